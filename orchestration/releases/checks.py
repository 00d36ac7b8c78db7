"""What speaks against publishing: worse answers, vanished items, refused rows, IDs of no item.

Popular items that are not found by their own name speak against it, too.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from pydantic import BaseModel, ConfigDict, Field

from assets.files import read_json
from assets.interactions.artifact import Interactions
from assets.interactions.params import DATASETS
from orchestration.releases.comparing import Comparison, NotComparableError, answered, compare
from orchestration.releases.store import PublishError, Release

# Key in the report of `metrics` of what a release is known by.
RECALL = {
    "search": "search.answers.recall@10",
    "recommendation": "recommendation.answers.recall@10",
}
FOUND_BY_NAME = "named.found@10"
# A release remembers what it was forced past as sentences: these words tell a fall from the rest.
FALLS = "recall@10 falls from"


class ReleaseParams(BaseModel):
    """When a release is refused, and how many are kept."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    max_recall_fall: float = Field(
        0.01,
        ge=0,
        description="Most by which recall@10 of either task may fall, absolute; a larger fall that "
        "may be chance is let pass.",
    )
    interval_level: float = Field(
        0.99,
        gt=0,
        lt=1,
        description="Coverage of the interval that must leave out zero for a fall not to be "
        "chance. With several releases compared, each is one more occasion to be wrong.",
    )
    compared_releases: int = Field(
        5,
        ge=1,
        description="Newest releases, up to the current one, that a new one is compared with, so "
        "that small losses do not add up.",
    )
    max_vanished_items: float = Field(
        0.1, ge=0, le=1, description="Largest share of the released items that may be gone."
    )
    max_refused_rows: float = Field(
        0.05,
        ge=0,
        le=1,
        description="Largest share of the rows of a table that may have been refused, unless the "
        "current release had as large a share.",
    )
    min_found_by_name: float = Field(
        0.95,
        ge=0,
        le=1,
        description="Least share of the most popular items that are among the first ten when their "
        "own title is asked for; where nothing has interactions, it is not measured.",
    )
    keep: int = Field(
        5,
        ge=1,
        description="Newest releases kept; the current one and the one to grow from always are.",
    )


@dataclass(frozen=True)
class Findings:
    """What was found before a publication.

    Attributes:
        problems: Why it should not be; empty if nothing speaks against it.
        comparisons: With earlier releases.
        notes: What was not compared, and why.
    """

    problems: list[str] = field(default_factory=list)
    comparisons: list[Comparison] = field(default_factory=list)
    notes: list[str] = field(default_factory=list)


def examine(data: Path, known: Sequence[Release], params: ReleaseParams) -> Findings:
    """Look for what speaks against publishing.

    Args:
        data: The workbench.
        known: Releases up to the current one, the oldest first.
        params: What is allowed.

    Raises:
        PublishError: The workbench was not measured.
    """
    used, data_sets = known[-1] if known else None, _packaged(data)
    report = read_json(data / "metrics" / "report.json")
    found = Findings()
    found.problems.extend(_invalid_ids(report))
    found.problems.extend(_not_found_by_name(report, params.min_found_by_name))
    found.problems.extend(_refused_rows(data, used, params.max_refused_rows))
    if used is None:
        return found
    if _packaged(used.folder) != data_sets:
        found.notes.append(f"{used.name} is of another data set, so nothing is compared with it")
        return found
    found.problems.extend(_vanished(data, used, params.max_vanished_items))
    found.problems.extend(_not_measured(report, used))
    earlier = [one for one in _recent(known, params) if _packaged(one.folder) == data_sets]
    _compare(found, data, earlier, params)
    found.problems.extend(_worse(found.comparisons, used, params))
    return found


def _recent(known: Sequence[Release], params: ReleaseParams) -> list[Release]:
    """Return the newest releases, none from before one whose fall was forced: a new mark."""
    recent = list(known[-params.compared_releases :])
    forced = [
        place
        for place, release in enumerate(recent)
        if any(FALLS in problem for problem in release.accepted)
    ]
    return recent[forced[-1] :] if forced else recent


def _compare(
    found: Findings, data: Path, earlier: Sequence[Release], params: ReleaseParams
) -> None:
    try:
        now = answered(data)
    except NotComparableError as error:
        raise PublishError(f"data/metrics: {error}: run `dvc repro metrics`.") from error
    for release in reversed(earlier):
        try:
            comparisons, notes = compare(
                answered(release.folder), now, release=release.name, level=params.interval_level
            )
        except NotComparableError as error:
            notes = [f"nothing is compared with {release.name}: {error}"]
            comparisons = []
        found.comparisons.extend(comparisons)
        found.notes.extend(notes)


def _worse(
    comparisons: Sequence[Comparison], used: Release, params: ReleaseParams
) -> Iterator[str]:
    """Yield for each task the largest fall that is not allowed."""
    falls = [one for one in comparisons if one.is_worse(params.max_recall_fall)]
    for task in dict.fromkeys(one.task for one in falls):
        # Of equal ones the first, which is the newest.
        worst = max((one for one in falls if one.task == task), key=lambda one: one.fall)
        against = f"the current release {worst.release}"
        if worst.release != used.name:
            against = f"{worst.release}, one of the last {params.compared_releases},"
        yield (
            f"{task} {FALLS} {worst.before:.4f} to {worst.now:.4f} on the "
            f"{worst.questions:,} questions that {against} answered too ({worst.interval()}), by "
            f"more than the {params.max_recall_fall:g} of `release.max_recall_fall`"
        )


def _not_measured(report: Mapping[str, Any], used: Release) -> Iterator[str]:
    for task, key in RECALL.items():
        before = used.metrics.get(task)
        if before is not None and report.get(key) is None:
            yield f"{task} is not measured any more (recall@10 was {before:.4f} in {used.name})"


def _invalid_ids(report: Mapping[str, Any]) -> Iterator[str]:
    """Yield a line for each task whose generator writes IDs that are in no table."""
    for task in RECALL:
        key = f"{task}.retriever.valid_ids"
        share = report.get(key)
        if share is not None and share < 1:
            yield (
                f"{1 - share:.2%} of the IDs that the retriever writes for {task} belong to no "
                f"item (`{key}` is {share:g}): run `dvc repro --force retriever`"
            )
        elif share is None and report.get(f"{task}.retriever.recall@10") is not None:
            yield f"data/metrics/report.json has no `{key}`: run `dvc repro --force metrics`"


def _not_found_by_name(report: Mapping[str, Any], least: float) -> Iterator[str]:
    """Yield a line if too few of the most popular items are found by their own title."""
    share = report.get(FOUND_BY_NAME)
    if share is not None and share < least:
        yield (
            f"{share:.1%} of the {report['named.items']:,} most popular items are among the first "
            f"ten for their own title, less than the {least:.1%} of `release.min_found_by_name`: "
            "`named` in data/metrics/report.json says which part finds how many"
        )


def _refused_rows(data: Path, used: Release | None, most: float) -> Iterator[str]:
    """Yield a line for each table of which too many rows were refused."""
    before = _refusals(used.folder) if used else {}
    for table, (refused, rows) in _refusals(data).items():
        share = refused / max(rows, 1)
        allowed, of = before.get(table, (0, 1))
        if share > max(most, allowed / max(of, 1)):
            yield (
                f"{refused:,} of {rows:,} rows of {table} were refused ({share:.1%}, more than the "
                f"{most:.1%} of `release.max_refused_rows`): data/interactions/rejects.parquet "
                "says why"
            )


def _refusals(folder: Path) -> dict[str, tuple[int, int]]:
    """Return for each table how many rows were refused, and of how many."""
    report = read_json(folder / "interactions" / "report.json")
    rows: Counter[str] = Counter()
    refused: Counter[str] = Counter()
    for file in report["files"]:
        rows[file["table"]] += file["rows"]
    for reason in report["rejects"]:
        refused[reason["table"]] += reason["rows"]
    return {table: (refused[table], count) for table, count in rows.items()}


def _vanished(data: Path, used: Release, most: float) -> Iterator[str]:
    old, new = (
        Interactions.load(folder / "interactions").items["item_id"]
        for folder in (used.folder, data)
    )
    gone = int((~old.isin(new)).sum())
    share = gone / max(len(old), 1)
    if share > most:
        yield (
            f"{gone:,} of the {len(old):,} items of {used.name} are gone ({share:.1%}, more than "
            f"the {most:.1%} of `release.max_vanished_items`): is a file of data/incoming/items "
            "incomplete?"
        )


def _packaged(folder: Path) -> set[str]:
    """Return the packaged data set that a build is of; empty where it is of the user's own files.

    Who goes from one to the other means to: items of the one are not missed in the other.
    """
    files = read_json(folder / "interactions" / "report.json")["files"]
    return {file["file"] for file in files} & set(DATASETS)
