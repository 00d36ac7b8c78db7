"""How well an encoder finds what it should, on the validation split."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from assets.evaluation import bootstrap, gains_of, nearest, recall

CUTS = (5, 10, 30)


def query_recall(
    queries: NDArray[np.float32],
    targets: Sequence[Sequence[str]],
    documents: NDArray[np.float32],
    item_ids: Sequence[str],
    *,
    seed: int,
    device: str = "cpu",
) -> dict[str, float]:
    """Return recall@{5,10,30} of queries against all documents, with bootstrap intervals.

    Args:
        queries: (queries, dim) unit vectors.
        targets: Right item ids of each query.
        documents: (items, dim) unit vectors.
        item_ids: (items,) text.
        seed: Seed of the bootstrap.
        device: Where to search.
    """
    rows = {item: row for row, item in enumerate(item_ids)}
    relevant = [np.array([rows[item] for item in group]) for group in targets]
    ranked = nearest(queries, documents, max(CUTS), device=device)
    return _recalls("query", ranked, relevant, seed)


def pair_recall(
    pairs: pd.DataFrame,
    documents: NDArray[np.float32],
    item_ids: Sequence[str],
    *,
    seed: int,
    device: str = "cpu",
) -> dict[str, float]:
    """Return how often an item's neighbours hold the item that was taken after it.

    Args:
        pairs: ``item_id`` and ``other_item_id``.
        documents: (items, dim) unit vectors.
        item_ids: (items,) text.
        seed: Seed of the bootstrap.
        device: Where to search.
    """
    rows = pd.Series(np.arange(len(item_ids)), index=pd.Index(item_ids))
    own = rows[pairs["item_id"]].to_numpy()
    other = rows[pairs["other_item_id"]].to_numpy()
    found = nearest(documents[own], documents, max(CUTS) + 1, device=device)
    # Leave out the item itself; among copies of its document it need not come first, nor at all.
    last = np.argsort(found == own[:, None], axis=1, kind="stable")[:, : max(CUTS)]
    ranked = np.take_along_axis(found, last, axis=1)
    return _recalls("pair", ranked, list(other[:, None]), seed)


def _recalls(
    name: str, ranked: NDArray[np.integer], relevant: list[NDArray[np.integer]], seed: int
) -> dict[str, float]:
    gains = gains_of(ranked, relevant)
    counts = np.array([len(group) for group in relevant])
    numbers: dict[str, float] = {}
    for k in CUTS:
        interval = bootstrap(recall(gains, counts, k), seed=seed)
        numbers[f"{name}_recall@{k}"] = interval.mean
        numbers[f"{name}_recall@{k}_low"] = interval.low
        numbers[f"{name}_recall@{k}_high"] = interval.high
    return numbers
