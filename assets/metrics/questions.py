"""What is asked on the test split, and what a method's answers are worth."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from assets.evaluation import Floats, Rows, gains_of
from assets.metrics.catalogue import Catalogue

Task = Literal["search", "recommendation"]


@dataclass(frozen=True)
class Questions:
    """The questions of one task, each asked of every method.

    Attributes:
        task: Search or recommendation.
        ids: The query's text, or the user_id.
        relevant: For each question the catalogue rows of its right answers.
        kinds: The kind of each query; None for users.
        slices: (questions,) place in SLICES: that of the most popular right answer.
    """

    task: Task
    ids: list[str]
    relevant: list[Rows]
    kinds: list[str] | None
    slices: NDArray[np.int64]

    @classmethod
    def of(
        cls,
        task: Task,
        ids: list[str],
        targets: list[list[str]],
        catalogue: Catalogue,
        kinds: list[str] | None = None,
    ) -> Questions:
        """Look the right answers up in the catalogue."""
        relevant = catalogue.row_lists(targets)
        slices = np.array([catalogue.slices[rows.min()] for rows in relevant], dtype=np.int64)
        return cls(task, ids, relevant, kinds, slices)

    @property
    def answers(self) -> NDArray[np.int64]:
        """(questions,) number of right answers."""
        return np.fromiter(map(len, self.relevant), np.int64, len(self.relevant))


@dataclass(frozen=True)
class Answers:
    """What one method answers to the questions of one task.

    Attributes:
        method: Name in the report.
        ranked: (questions, depth) catalogue rows as they would be shown, -1 where there is none.
        gains: (questions, depth) what each rank is worth.
        first: (questions, depth) chance that the first right answer stands at each rank.
    """

    method: str
    ranked: Rows
    gains: Floats
    first: Floats

    @classmethod
    def untied(cls, method: str, ranked: Rows, questions: Questions) -> Answers:
        """Judge a plain ranking of items."""
        gains = gains_of(ranked, questions.relevant)
        return cls(method, ranked, gains, gains)


def sample(ids: Sequence[str], most: int | None, seed: int) -> list[int]:
    """Return the places of at most so many ids, chosen by hash, in their given order."""
    if most is None or len(ids) <= most:
        return list(range(len(ids)))
    keys = [hashlib.sha256(f"{seed}\0{name}".encode()).digest() for name in ids]
    return sorted(sorted(range(len(ids)), key=keys.__getitem__)[:most])
