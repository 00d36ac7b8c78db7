"""What is asked on the test split, and what a method's answers are worth."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from assets.answers.artifact import Parts
from assets.evaluation import Floats, choose_by_hash
from assets.interactions.artifact import Sessions
from assets.interactions.catalogue import Catalogue
from assets.metrics.params import MetricsParams
from assets.ranking import Histories, Queries, Rows, Task
from assets.stage import CACHE
from assets.synthetic_queries.artifact import SearchTasks


@dataclass(frozen=True)
class Questions:
    """The questions of one task, each asked of every method.

    Attributes:
        task: Search or recommendation.
        asked: Queries or histories.
        ids: What tells questions apart across releases: a hash of what is asked (the query, or all
            items of the history) and of the right answers. Of a user's name it would be no secret:
            names can be tried one by one.
        relevant: For each question the rows of its right answers.
        items: For each question the item_id of its first right answer.
        kinds: The kind of each query; None for users.
        slices: (questions,) place in SLICES: that of the most popular right answer.
    """

    task: Task
    asked: Queries | Histories
    ids: list[str]
    relevant: list[Rows]
    items: list[str]
    kinds: list[str] | None
    slices: NDArray[np.int64]

    @classmethod
    def of(
        cls,
        task: Task,
        asked: Queries | Histories,
        what: Sequence[str],
        targets: Sequence[list[str]],
        catalogue: Catalogue,
        kinds: list[str] | None = None,
    ) -> Questions:
        """Look the right answers up in the catalogue."""
        relevant = catalogue.row_lists(targets)
        return cls(
            task=task,
            asked=asked,
            ids=[_hash(task, text, items) for text, items in zip(what, targets, strict=True)],
            relevant=relevant,
            items=[str(catalogue.item_ids[rows.min()]) for rows in relevant],
            kinds=kinds,
            slices=np.array([catalogue.slices[rows].min() for rows in relevant], dtype=np.int64),
        )

    @classmethod
    def of_search(cls, tasks: SearchTasks, parts: Parts, params: MetricsParams) -> Questions:
        """Turn test queries into questions, at most `max_queries`; every right answer counts."""
        kept = choose_by_hash(tasks.queries, params.max_queries, params.seed)
        texts = [tasks.queries[place] for place in kept]
        return cls.of(
            "search",
            parts.encode(texts, CACHE),
            texts,
            [tasks.targets[place] for place in kept],
            parts.catalogue,
            [tasks.kinds[place] for place in kept],
        )

    @classmethod
    def of_sessions(cls, sessions: Sessions, parts: Parts, params: MetricsParams) -> Questions:
        """Turn test sessions into questions, at most `max_users`: what came last, from the rest."""
        kept = choose_by_hash(sessions.user_ids, params.max_users, params.seed)
        histories = parts.catalogue.row_lists([sessions.histories[place] for place in kept])
        return cls.of(
            "recommendation",
            parts.histories(histories),
            ["\0".join(sessions.histories[place]) for place in kept],
            [sessions.targets[place] for place in kept],
            parts.catalogue,
        )

    @property
    def answers(self) -> NDArray[np.int64]:
        """(questions,) number of right answers."""
        return np.fromiter(map(len, self.relevant), np.int64, len(self.relevant))

    @property
    def groups(self) -> list[str] | None:
        """What is resampled as one: queries about the same item succeed and fail together."""
        return self.items if self.task == "search" else None


@dataclass(frozen=True)
class Answered:
    """What one method answers to the questions of one task.

    Attributes:
        method: Name in the report.
        ranked: (questions, depth) rows as they would be shown, -1 where there is none.
        gains: (questions, depth) what each rank is worth.
        first: (questions, depth) chance that the first right answer stands at each rank.
    """

    method: str
    ranked: Rows
    gains: Floats
    first: Floats


def _hash(task: Task, what: str, targets: Sequence[str]) -> str:
    whole = "\0".join([task, what, "", *sorted(targets)])
    return hashlib.sha256(whole.encode()).hexdigest()
