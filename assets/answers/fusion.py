"""Several rankings of the same questions become one.

``z_score``: each list's scores are brought to mean 0 and deviation 1 over its own top ranks, per
question, and added with weights; an item that a list does not hold gets that list's lowest z. Where
a list ends early because nothing else shares a word, the ranks up to its depth count with what all
the others score: few hits among many items then stand far above the rest.
``reciprocal_rank``: weights are added over 60 + rank (Cormack et al., SIGIR 2009).
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from assets.ranking import Ranked, Rows

Fusion = Literal["z_score", "reciprocal_rank"]
RANK_OFFSET = 60


@dataclass(frozen=True)
class Mixture:
    """Who answers, joined how.

    Attributes:
        fusion: See the module.
        weights: By part; parts without weight do not stand here.
    """

    fusion: Fusion
    weights: Mapping[str, float]

    @property
    def heaviest(self) -> str:
        """The part with the largest weight, the first of equals."""
        return max(self.weights, key=lambda name: self.weights[name])


@dataclass(frozen=True)
class Pool:
    """The items of all lists, with what each list says of them.

    Attributes:
        question: (entries,) int64 ascending; an entry is one item of one question.
        row: (entries,) int64 its row in the catalogue.
        place: By part (entries,) int64, its rank there from 0, the list's depth where absent.
        value: By part (entries,) float64, what it is worth there; see `fusion`.
        questions: Number of questions.
    """

    question: Rows
    row: Rows
    place: Mapping[str, Rows]
    value: Mapping[str, NDArray[np.float64]]
    questions: int

    @classmethod
    def of(cls, lists: Mapping[str, Ranked], fusion: Fusion, depth: int, items: int) -> Pool:
        """Put lists of the same questions together.

        Args:
            lists: By part.
            fusion: What makes scores of different parts comparable.
            depth: Ranks that count; an item further down is worth as much as one at this rank.
            items: Size of the catalogue.
        """
        keys = {name: _keys(ranked.rows, items) for name, ranked in lists.items()}
        pool = np.unique(np.concatenate([key[key >= 0] for key in keys.values()]))
        question = pool // items
        place, value = {}, {}
        for name, ranked in lists.items():
            key = keys[name]
            there = key >= 0
            at = np.searchsorted(pool, key[there])
            place[name] = np.full(len(pool), ranked.rows.shape[1], dtype=np.int64)
            place[name][at] = np.nonzero(there)[1]
            worth, least = _worth(ranked, fusion, min(depth, items, ranked.rows.shape[1]))
            value[name] = least[question]
            value[name][at] = worth[there]
        return cls(question, pool % items, place, value, len(next(iter(lists.values())).rows))

    def rank(self, mixture: Mixture, depth: int, ties: Rows) -> Ranked:
        """Rank the items.

        Args:
            mixture: Weights of parts that this pool has.
            depth: Ranks of each question.
            ties: (items,) rows in the order in which equals are shown, after the heaviest part's.
        """
        total = np.zeros(len(self.row))
        for name, weight in mixture.weights.items():
            total += weight * self.value[name]
        tie = np.empty(len(ties), dtype=np.int64)
        tie[ties] = np.arange(len(ties))
        high = np.flatnonzero(total >= self._least_of(total, depth)[self.question])
        keys = tie[self.row[high]], self.place[mixture.heaviest][high], -total[high]
        order = high[np.lexsort((*keys, self.question[high]))]
        question = self.question[order]
        rank = np.arange(len(order)) - np.searchsorted(question, question)
        near = rank < depth
        rows = np.full((self.questions, depth), -1, dtype=np.int64)
        scores = np.full((self.questions, depth), -np.inf, dtype=np.float32)
        rows[question[near], rank[near]] = self.row[order][near]
        scores[question[near], rank[near]] = total[order][near]
        return Ranked(rows, scores)

    def _least_of(self, total: NDArray[np.float64], depth: int) -> NDArray[np.float64]:
        """Return the total at a rank for every question: sorting what lies below is for nothing."""
        cells, width = self._cells
        if width <= depth:
            return np.full(self.questions, -np.inf)
        table = np.full(self.questions * width, -np.inf)
        table[cells] = total
        return np.partition(table.reshape(self.questions, width), -depth, axis=1)[:, -depth]

    @cached_property
    def _cells(self) -> tuple[Rows, int]:
        """The place of each entry in a table of one row per question, and the table's width."""
        place = np.arange(len(self.question)) - np.searchsorted(self.question, self.question)
        width = int(place.max(initial=-1)) + 1
        return self.question * width + place, width


def _keys(rows: Rows, items: int) -> Rows:
    """Number (question, item) pairs; -1 where there is no item."""
    return np.where(rows >= 0, np.arange(len(rows))[:, None] * items + rows, -1)


def _worth(
    ranked: Ranked, fusion: Fusion, depth: int
) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Return (questions, ranks) what each rank is worth, and (questions,) what absence is."""
    there = ranked.rows >= 0
    if fusion == "reciprocal_rank":
        worth = 1.0 / (RANK_OFFSET + 1 + np.arange(ranked.rows.shape[1], dtype=np.float64))
        return np.broadcast_to(worth, ranked.rows.shape), np.zeros(len(ranked.rows))
    counts = there.copy()
    counts[:, depth:] = False
    held = counts.sum(axis=1, keepdims=True)
    rest = ranked.rest or 0.0
    # ranks that the list leaves empty, where it says what stands there; an empty list says nothing
    empty = np.where((ranked.rest is not None) & (held > 0), np.maximum(depth - held, 0), 0)
    ranks = np.maximum(held + empty, 1)
    scores = np.where(there, ranked.scores, 0.0).astype(np.float64)
    mean = (np.where(counts, scores, 0.0).sum(axis=1, keepdims=True) + empty * rest) / ranks
    squares = np.where(counts, (scores - mean) ** 2, 0.0).sum(axis=1, keepdims=True)
    spread = np.sqrt((squares + empty * (rest - mean) ** 2) / ranks)
    unit = np.where(spread > 0, spread, 1.0)
    z = np.where(there & (spread > 0), (scores - mean) / unit, 0.0)
    least = np.where(counts, z, np.inf).min(axis=1, initial=np.inf, keepdims=True)
    least = np.where(np.isfinite(least), least, 0.0)
    least = np.where(empty > 0, (rest - mean) / unit, least)
    return np.maximum(z, least), least[:, 0]
