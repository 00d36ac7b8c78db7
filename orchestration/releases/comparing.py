"""Whether a new release answers as well as an earlier one: on the questions that both were asked.

Two recalls alone say little: with 671 questions they differ by .02 between equally good models. The
questions are the same, though, so their differences are looked at one by one, and resampled: only a
fall that hardly any choice of questions would turn into none is called one.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pyarrow.parquet as pq

from assets.evaluation import bootstrap
from assets.stage import UserError

FILE = Path("metrics") / "per_query.parquet"
COLUMNS = ["task", "question", "item", "method", "recall@10"]
WHOLE = "answers"  # the method that a user gets
# A search's questions ask for an item by several texts, which are found or missed together.
RESAMPLED = {"search": "item", "recommendation": "question"}
LEAST_QUESTIONS = 30


class NotComparableError(UserError):
    """There is nothing to compare; the text says why."""


@dataclass(frozen=True)
class Comparison:
    """How the recall@10 of one task changed since an earlier release.

    Attributes:
        task: ``search`` or ``recommendation``.
        release: Name of the earlier release.
        questions: Questions that both answered.
        before: Mean recall@10 of the earlier release on them.
        now: That of the new one.
        low: Lower bound of the interval of now - before.
        high: Its upper bound.
        level: The interval's coverage.
        smallest_fall: Falls below it these questions could not have told from chance: half the
            interval's width, or what losing the fewest units would be that it can tell.
    """

    task: str
    release: str
    questions: int
    before: float
    now: float
    low: float
    high: float
    level: float
    smallest_fall: float

    @property
    def fall(self) -> float:
        """By how much recall@10 fell; negative where it rose."""
        return self.before - self.now

    def is_worse(self, most: float) -> bool:
        """Whether the fall is larger than allowed, and more than chance."""
        return self.high < 0 and self.fall > most

    def sentence(self) -> str:
        """Say what changed and what could have been seen."""
        return (
            f"{self.task} recall@10 {self.before:.4f} -> {self.now:.4f} against {self.release} on "
            f"{self.questions:,} common questions ({self.interval()}); a fall below "
            f"{self.smallest_fall:.4f} could not have been told from chance"
        )

    def interval(self) -> str:
        """Say the difference with its interval."""
        return (
            f"{self.now - self.before:+.4f}, {self.level:.0%} interval {self.low:+.4f} to "
            f"{self.high:+.4f}"
        )

    def row(self) -> dict[str, Any]:
        """Return the numbers, for a manifest."""
        return asdict(self)


def answered(folder: Path) -> pd.DataFrame:
    """Return what the answers to the test questions are worth.

    Args:
        folder: ``data/`` or a release.

    Returns:
        task, question, item, recall@10; each question once.

    Raises:
        NotComparableError: It was not measured, or in another way than today.
    """
    file = folder / FILE
    if not file.is_file():
        raise NotComparableError(f"it holds no {FILE}")
    lacking = [name for name in COLUMNS if name not in pq.read_schema(file).names]
    if lacking:
        raise NotComparableError(
            f"its {FILE} has no `{lacking[0]}`: it was measured by another version"
        )
    table = pq.read_table(file, columns=COLUMNS, filters=[("method", "==", WHOLE)]).to_pandas()
    if table.empty:
        raise NotComparableError(f"its {FILE} has no method `{WHOLE}`")
    return table.drop(columns="method").drop_duplicates(["task", "question"])


def compare(
    before: pd.DataFrame, now: pd.DataFrame, *, release: str, level: float
) -> tuple[list[Comparison], list[str]]:
    """Compare two releases on the questions that both answered.

    Args:
        before: What :func:`answered` returned of the earlier release.
        now: That of the new one.
        release: Name of the earlier one.
        level: Coverage of the intervals.

    Returns:
        One comparison for each task that both measured; and a line for each of which they have too
        few questions in common.
    """
    found, notes = [], []
    for task in dict.fromkeys(before["task"]):
        old, new = before[before["task"] == task], now[now["task"] == task]
        both = old.merge(new, on="question", suffixes=("_before", "_now"))
        if len(new) and len(both) < LEAST_QUESTIONS:
            notes.append(
                f"{task} is not compared with {release}: {len(both)} of its {len(old):,} questions "
                f"are asked still, and fewer than {LEAST_QUESTIONS} tell nothing"
            )
        elif len(new):
            units = both["question" if RESAMPLED.get(task) != "item" else "item_now"]
            found.append(_compared(both, units, {"task": task, "release": release}, level))
    return found, notes


def _compared(
    both: pd.DataFrame, units: pd.Series[Any], names: Mapping[str, str], level: float
) -> Comparison:
    before = both["recall@10_before"].to_numpy(np.float64)
    now = both["recall@10_now"].to_numpy(np.float64)
    groups = units.to_numpy()
    found = bootstrap(now - before, seed=0, level=level, groups=groups)
    # That many lost and none won leave fewer samples without any of them than the interval cuts off
    fewest = math.ceil(-math.log((1 - level) / 2)) / len(np.unique(groups))
    return Comparison(
        **names,
        questions=len(both),
        before=float(before.mean()),
        now=float(now.mean()),
        low=found.low,
        high=found.high,
        level=level,
        smallest_fall=max((found.high - found.low) / 2, fewest),
    )
