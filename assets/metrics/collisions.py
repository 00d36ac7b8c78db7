"""Item-level gains of generated SIDs, corrected for collisions.

A generated SID stands for all g items of its bucket, and nothing in it says which comes first.
Counting the order in which they happen to be listed rewards luck (or popularity), counting the
whole bucket as one hit rewards collisions. Both are avoided by the expectation over all orders
inside each bucket (faithful evaluation of SID tokenisers, arXiv 2605.25330): a bucket that begins
at rank p and holds one right answer is worth 1/g at each of the ranks p … p + g - 1, so recall@K
counts m/g with m = min(g, max(0, K - p + 1)).
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy.special import gammaln

from assets.evaluation import Floats, Rows
from assets.semantic_ids.buckets import Buckets


@dataclass(frozen=True)
class Expected:
    """What a ranking with ties is worth on average over all orders of tied items.

    Attributes:
        items: (queries, depth) the items as they are listed, a bucket's in its own order; -1 where
            there is none.
        gains: (queries, depth) expected gain at each rank.
        first: (queries, depth) chance that the first right answer stands at each rank.
    """

    items: Rows
    gains: Floats
    first: Floats


def expected_gains(
    sids: Rows,
    buckets: Buckets,
    relevant: Sequence[Rows],
    excluded: Sequence[Rows] | None,
    depth: int,
) -> Expected:
    """Return the expected gains of ranked SIDs.

    Args:
        sids: (queries, beams) distinct SIDs, best first, -1 where there is none.
        buckets: The items of each SID.
        relevant: For each query the item rows of its right answers, each once.
        excluded: For each query item rows that are never shown, such as a user's history.
        depth: Number of item ranks.
    """
    queries, beams = sids.shape
    row, beam, items = buckets.expand(sids)
    group = row * beams + beam  # (places,) which beam put the item there
    if excluded is not None:
        shown = ~_among(group // beams, items, excluded)
        group, items = group[shown], items[shown]
    right = _among(group // beams, items, relevant)

    size = np.bincount(group, minlength=queries * beams)
    answers = np.bincount(group, weights=right, minlength=queries * beams)
    answered = np.flatnonzero(answers)
    opening = np.zeros(queries * beams, dtype=bool)  # each query's first bucket with an answer
    opening[answered[np.unique(answered // beams, return_index=True)[1]]] = True

    query = group // beams
    place = np.arange(len(group)) - np.searchsorted(query, query)
    offset = np.arange(len(group)) - np.searchsorted(group, group)
    ranked = np.full((queries, depth), -1, dtype=np.int64)
    gains, first = np.zeros((2, queries, depth), dtype=np.float32)
    near = place < depth
    at = query[near], place[near]
    ranked[at] = items[near]
    gains[at] = (answers[group] / size[group])[near]
    near &= opening[group]
    at = query[near], place[near]
    first[at] = _first_at(offset[near], size[group[near]], answers[group[near]])
    return Expected(ranked, gains, first)


def _among(queries: Rows, items: Rows, lists: Sequence[Rows]) -> NDArray[np.bool_]:
    """Say of each (query, item) whether the item is on the query's list."""
    lengths = np.fromiter(map(len, lists), np.int64, len(lists))
    listed = np.concatenate([*lists, np.empty(0, np.int64)]).astype(np.int64)
    width = int(max(items.max(initial=0), listed.max(initial=0))) + 1
    keys = np.repeat(np.arange(len(lists)), lengths) * width + listed
    return np.isin(queries * width + items, keys)


def _first_at(offset: Rows, size: Rows, answers: Floats) -> NDArray[Any]:
    """Return the chance that the first of r right answers among g shuffled items is at an offset.

    C(g - 1 - offset, r - 1) / C(g, r), 0 where fewer than r places are left.
    """
    left = np.maximum(size - offset, answers)
    chance = np.exp(
        _log_choose(left - 1, answers - 1) - _log_choose(size.astype(np.float64), answers)
    )
    return np.where(size - offset >= answers, chance, 0.0)


def _log_choose(n: Floats, k: Floats) -> Floats:
    return np.asarray(gammaln(n + 1) - gammaln(k + 1) - gammaln(n - k + 1))
