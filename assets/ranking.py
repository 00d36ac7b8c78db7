"""Rankings of items: what is asked, what a ranker returns, and how scores become ranks.

Rows number the items in order of item_id, everywhere.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any, Literal, Protocol, TypeVar

import numpy as np
import torch
from numpy.typing import NDArray

Rows = NDArray[np.int64]
Task = Literal["search", "recommendation"]
TASKS: tuple[Task, ...] = ("search", "recommendation")
CHUNK = 256  # questions scored at a time against all items, at most
SCORES = 1 << 25  # of them held at a time, 128 MiB: up to 131,072 items take the most questions


@dataclass(frozen=True)
class Ranked:
    """What a ranker answers to some questions.

    Attributes:
        rows: (questions, depth) rows of items, best first, -1 where there is none.
        scores: (questions, depth) float32, descending; -inf where there is none.
        rest: What every other item scores where a list ends early, as one of shared words does;
            None: a list that ends early says nothing of the others.
    """

    rows: Rows
    scores: NDArray[np.float32]
    rest: float | None = None

    def __post_init__(self) -> None:
        if self.rows.shape != self.scores.shape:
            raise ValueError(f"{self.rows.shape} rows, but {self.scores.shape} scores")

    def first(self, depth: int) -> Ranked:
        """Return the first ranks of every question."""
        return Ranked(self.rows[:, :depth], self.scores[:, :depth], self.rest)


@dataclass(frozen=True)
class Queries:
    """Questions of search.

    Attributes:
        texts: Normalised queries.
        vectors: (queries, dim) float32, the encoder's.
    """

    texts: Sequence[str]
    vectors: NDArray[np.float32]

    def __len__(self) -> int:
        return len(self.texts)

    def __getitem__(self, chunk: slice) -> Queries:
        return Queries(self.texts[chunk], self.vectors[chunk])


@dataclass(frozen=True)
class Histories:
    """Questions of recommendation: what comes after each history.

    Attributes:
        items: For each question the rows of the history, oldest first.
        repeats: Whether an item of the history may be an answer.
    """

    items: Sequence[Rows]
    repeats: bool = False

    def __len__(self) -> int:
        return len(self.items)

    def __getitem__(self, chunk: slice) -> Histories:
        return Histories(self.items[chunk], self.repeats)

    @property
    def excluded(self) -> Sequence[Rows]:
        """For each question the rows that are no answer."""
        return [rows[:0] for rows in self.items] if self.repeats else self.items


def task_of(asked: Queries | Histories) -> Task:
    """Return the task that questions belong to."""
    return "search" if isinstance(asked, Queries) else "recommendation"


Asked_contra = TypeVar("Asked_contra", Queries, Histories, contravariant=True)


class Ranker(Protocol[Asked_contra]):
    """Whoever ranks items for the questions of one task."""

    def rank(self, asked: Asked_contra, depth: int) -> Ranked:
        """Return the `depth` best items of each question."""


def best(scores: NDArray[np.floating[Any]], depth: int, ties: Rows) -> Ranked:
    """Return the best items of each question.

    Args:
        scores: (questions, items); -inf where an item may not be ranked.
        depth: How many.
        ties: (items,) rows in the order in which equals are shown.
    """
    # an index would lay its columns out one after another, and have to be copied once more
    scores = np.ascontiguousarray(np.take(scores, ties, axis=1), dtype=np.float32)
    rows = np.full((len(scores), depth), -1, dtype=np.int64)
    found = np.full((len(scores), depth), -np.inf, dtype=np.float32)
    width = min(depth, scores.shape[1])
    # numpy's partition is quadratic in ties, of which sparse scores are full
    kth = torch.topk(torch.from_numpy(scores), width)[0][:, -1].numpy()
    for question, (values, least) in enumerate(zip(scores, kth, strict=True)):
        above = np.flatnonzero(values > least)
        places = above[np.argsort(-values[above], kind="stable")]
        if np.isfinite(least):
            level = np.flatnonzero(values == least)[: width - len(above)]
            places = np.concatenate([places, level])
        rows[question, : len(places)] = ties[places]
        found[question, : len(places)] = values[places]
    return Ranked(rows, found)


def questions_at_once(items: int) -> int:
    """Return how many questions are scored together, so that memory does not grow with the items.

    Scores are those of any other number, but for the last digits of a product of matrices.

    Args:
        items: Number of items that each is scored against.
    """
    return max(1, min(CHUNK, SCORES // max(items, 1)))


def rank_in_chunks(
    scores: Callable[[slice], NDArray[np.floating[Any]]],
    questions: int,
    depth: int,
    ties: Rows,
    excluded: Sequence[Rows] | None = None,
) -> Ranked:
    """Rank all items for many questions, so many at a time.

    Args:
        scores: Returns (questions, items) scores for a slice of the questions, free to be changed.
        questions: Number of questions.
        depth: Ranks of each.
        ties: See :func:`best`.
        excluded: For each question the rows that may not be ranked, such as the user's history.
    """
    parts = [Ranked(np.empty((0, depth), np.int64), np.empty((0, depth), np.float32))]
    height = questions_at_once(len(ties))
    for start in range(0, questions, height):
        chunk = slice(start, min(start + height, questions))
        values = scores(chunk)
        for row, items in enumerate(excluded[chunk] if excluded else ()):
            values[row, items] = -np.inf
        parts.append(best(values, depth, ties))
    return Ranked(
        np.concatenate([part.rows for part in parts]),
        np.concatenate([part.scores for part in parts]),
    )
