"""Asks every part and the whole the same questions, and judges the generator's IDs beside."""

from __future__ import annotations

import re
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from assets.answers.artifact import Answers
from assets.evaluation import Floats, gains_of
from assets.metrics.collisions import expected_gains
from assets.metrics.questions import Answered, Questions
from assets.ranking import Histories, Rows
from assets.semantic_ids.artifact import SemanticIds
from assets.stage import progress

BATCH = 256  # questions asked at once; memory alone depends on it
WHOLE = "answers"  # what a user gets
SID = re.compile(r"(<[a-z]_\d+>)+")


@dataclass(frozen=True)
class Generated:
    """What the generator's SIDs are worth, beside the items under them.

    Attributes:
        gains: (questions, depth) 1 where the SID of a right answer was generated.
        answers: (questions,) number of distinct SIDs of right answers.
        valid: Share of the generated IDs that stand in the released table.
    """

    gains: Floats
    answers: Rows
    valid: float


class ReleasedTable:
    """The table of Semantic IDs as it lies on disk, for looking up what comes out as text."""

    def __init__(self, folder: Path) -> None:
        table = SemanticIds.table(folder)
        self._items: dict[str, set[str]] = {}
        for sid, item in zip(table["sid"], table["item_id"], strict=True):
            self._items.setdefault(sid, set()).add(item)

    def holds(self, text: str, shown: Iterable[str]) -> bool:
        """Say whether a text is a Semantic ID of the table, with just these items under it."""
        return bool(SID.fullmatch(text)) and self._items.get(text) == set(shown)


def ask(
    answers: Answers, questions: Questions, table: ReleasedTable, depth: int
) -> tuple[list[Answered], Generated | None]:
    """Ask everything, a batch at a time.

    Args:
        answers: What a user gets, and its parts.
        questions: What is asked.
        table: The released IDs.
        depth: Number of item ranks.

    Returns:
        What each method answers, the whole first, then the parts; and what the generator's SIDs are
        worth, None where it has not learnt the task.
    """
    parts, names = answers.parts, answers.names(questions.task)
    found: dict[str, list[tuple[Any, ...]]] = {name: [] for name in (WHOLE, *names)}
    judged: list[tuple[Any, ...]] = []
    for start in progress(range(0, len(questions.ids), BATCH), f"asking ({questions.task})"):
        chunk = slice(start, start + BATCH)
        asked, relevant = questions.asked[chunk], questions.relevant[chunk]
        lists, beams = parts.ask(asked, names, depth)
        lists[WHOLE] = parts.mix(answers.mixtures[questions.task], lists, depth)
        for name, ranked in lists.items():
            gains = gains_of(ranked.rows[:, :depth], relevant)
            found[name].append((ranked.rows[:, :depth], gains, gains))
        if beams is None:
            continue
        seen = asked.excluded if isinstance(asked, Histories) else None
        expected = expected_gains(beams.leaves, parts.generator.buckets, relevant, seen, depth)
        found["retriever"][-1] = (expected.items, expected.gains, expected.first)
        right = [np.unique(parts.generator.buckets.leaf_of[rows]) for rows in relevant]
        judged.append(
            (
                gains_of(beams.leaves[:, :depth], right),
                np.array([len(sids) for sids in right]),
                _valid(answers, beams, table),
            )
        )
    methods = [
        Answered(name, *(np.concatenate(part) for part in zip(*pieces, strict=True)))
        for name, pieces in found.items()
    ]
    if not judged:
        return methods, None
    gains, counts, valid = (np.concatenate(part) for part in zip(*judged, strict=True))
    return methods, Generated(gains, counts, float(valid.mean()) if len(valid) else 0.0)


def _valid(answers: Answers, beams: Any, table: ReleasedTable) -> list[bool]:
    """Hold every written SID, and the items that are shown for it, against the released table."""
    generator = answers.parts.generator
    ids, buckets = generator.ids.item_ids, generator.buckets
    return [
        table.holds(text, ids[buckets.items[buckets.starts[leaf] : buckets.starts[leaf + 1]]])
        for texts, leaves in zip(beams.texts(), beams.leaves, strict=True)
        for text, leaf in zip(texts, leaves[leaves >= 0], strict=True)
    ]
