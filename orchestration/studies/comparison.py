"""Several builds beside each other: releases, DVC experiments, folders of assets."""

from __future__ import annotations

import tempfile
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from assets.files import read_json
from assets.semantic_ids.artifact import SemanticIds
from assets.semantic_ids.neighbourhood import churn
from assets.stage import UserError
from orchestration.releases.store import current, releases
from orchestration.studies.build_columns import COLUMNS
from orchestration.studies.experiments import fetch, references
from orchestration.studies.ranking import Column, Ranking, Row

PARTS = ("collision_report", "semantic_ids", "codebooks")
MORE = ("quality_gate", "metrics")  # a build may lack them
LEAST_CHANGE = 0.01  # of a value, for it to be told in words


@dataclass(frozen=True)
class Build:
    """One build as far as it is compared.

    Attributes:
        name: What it is called.
        ids: Its IDs.
        numbers: All flat numbers of its reports, as ``<stage>.<number>``.
        codebooks: Manifest of its codebooks.
        refused: What the gate found, None if it passed or was not asked.
    """

    name: str
    ids: SemanticIds
    numbers: Mapping[str, float]
    codebooks: Mapping[str, Any]
    refused: str | None


def compare(root: Path, words: Sequence[str]) -> Ranking:
    """Put builds into a table, and say of each what changed since the one before it.

    Args:
        root: The project's folder.
        words: Names of releases (``r3``, ``current``) and DVC experiments, and folders; none: all
            releases and what lies in data/.

    Raises:
        UserError: There is no such build, or nothing to compare.
    """
    builds = [_find(root, word) for word in words or _default(root)]
    if not builds:
        raise UserError("nothing is built yet: run `sidmill run`, or name folders of assets.")
    rows = []
    for place, build in enumerate(builds):
        notes = [f"The quality gate refused it: {build.refused}"] if build.refused else []
        notes += _changes(builds[place - 1], build) if place else []
        labels = {
            "quantizer": build.codebooks["quantizer"],
            "policy": build.ids.policy,
            "items": len(build.ids.item_ids),
            "sid_version": build.ids.version,
        }
        name = f"{build.name} ({labels['quantizer']}, {labels['policy']})"
        rows.append(Row(name, build.numbers, notes=notes, sound=not build.refused, labels=labels))
    return Ranking.of(rows, COLUMNS)


def _default(root: Path) -> list[str]:
    names = [release.name for release in releases(root)]
    return [*names, *(["data"] if (root / "data" / "collision_report").is_dir() else [])]


def _find(root: Path, word: str) -> Build:
    known, used = releases(root), current(root)
    for release in known:
        is_current = used is not None and used.name == release.name
        if word in {release.name, f"r{release.number}"} or (word == "current" and is_current):
            return _read(release.folder, release.name)
    experiments = references(root) if (root / ".git").exists() else {}
    if word in experiments:
        with tempfile.TemporaryDirectory() as scratch:
            _fetch(root, experiments[word][0], Path(scratch))
            return _read(Path(scratch), word)
    for base in (Path.cwd() / word, root / word):
        for folder in (base, base / "data"):
            if (folder / "collision_report").is_dir():
                return _read(folder, word)
    there = ", ".join([release.name for release in known] + sorted(experiments)) or "none yet"
    raise UserError(
        f"{word} is neither a release nor an experiment nor a folder that holds "
        f"`collision_report/`; there are: {there}."
    )


def _fetch(root: Path, rev: str, folder: Path) -> None:
    for part in PARTS:
        fetch(root, rev, f"data/{part}", folder / part)
    for part in MORE:
        try:
            fetch(root, rev, f"data/{part}/report.json", folder / part / "report.json")
            fetch(root, rev, f"data/{part}/verdict.json", folder / part / "verdict.json")
        except UserError:
            continue  # not every experiment went so far


def _read(folder: Path, name: str) -> Build:
    from assets.quality_gate.artifact import Verdict

    missing = [part for part in PARTS if not (folder / part).is_dir()]
    if missing:
        raise UserError(f"{folder} lacks {missing[0]}/: run `dvc repro collision_report` there.")
    ids = SemanticIds.load(folder / "semantic_ids")
    numbers = {}
    for part in ("collision_report", *MORE):
        file = folder / part / "report.json"
        for key, value in (read_json(file) if file.is_file() else {}).items():
            if isinstance(value, int | float):
                numbers[f"{part}.{key}"] = float(value)
    refused = None
    if (folder / "quality_gate" / "verdict.json").is_file():
        verdict = Verdict.load(folder / "quality_gate")
        if verdict.sid_version == ids.version and not verdict.passed:
            refused = "; ".join(outcome.sentence() for outcome in verdict.failures) + "."
    manifest = read_json(folder / "codebooks" / "manifest.json")
    return Build(name, ids, numbers, manifest, refused)


def _changes(before: Build, after: Build) -> list[str]:
    """Say in sentences what changed from one build to another."""
    return [
        f"Against {before.name}: {text}"
        for text in (
            _items(before.ids, after.ids),
            _settings(before, after),
            _values(before, after),
        )
        if text
    ]


def _items(before: SemanticIds, after: SemanticIds) -> str:
    """Say which items came and went, and how many kept their ID."""
    if before.version == after.version:
        return f"the same IDs for the same {len(after.item_ids):,} items."
    moved = churn(before, after)
    moves = [
        f"{moved.came:,} new items" if moved.came else "",
        f"{moved.went:,} items gone" if moved.went else "",
    ]
    text = ", ".join(filter(None, moves)) or "the same items"
    if moved.kept is None or moved.kept_first is None:
        old, new = before.codes.shape[1], after.codes.shape[1]
        if old != new:
            return f"{text}; IDs have {new} codes, before {old}."
        return f"{text}; the codebooks are others, so no ID means what it did."
    share = moved.kept / max(moved.both, 1)
    return (
        f"{text}; {moved.kept:,} of {moved.both:,} ({share:.1%}) kept their ID, "
        f"{moved.kept_first - moved.kept:,} more their first code."
    )


def _settings(before: Build, after: Build) -> str:
    """Say which settings of codebooks and IDs differ."""
    old, new = _flat(before), _flat(after)
    found = [
        f"{key} was {old.get(key)}, is {new.get(key)}"
        for key in dict.fromkeys([*old, *new])
        if old.get(key) != new.get(key)
    ]
    return "; ".join(found) + "." if found else ""


def _flat(build: Build) -> dict[str, Any]:
    settings = dict(build.codebooks.get("settings") or {})
    quantizer = build.codebooks["quantizer"]
    shown = {key: value for key, value in settings.items() if not isinstance(value, dict)}
    own = settings.get(quantizer)
    shown |= {f"{quantizer}.{key}": value for key, value in (own or {}).items()}
    return {"quantizer": quantizer, **shown, "policy": build.ids.policy}


def _values(before: Build, after: Build) -> str:
    """Say what is better and what is worse."""
    better: list[str] = []
    worse: list[str] = []
    for column in COLUMNS:
        old, new = before.numbers.get(column.key), after.numbers.get(column.key)
        if old is None or new is None or column.best is None or not _told(column, old, new):
            continue
        gained = (new < old) == (column.best == "lowest")
        text = f"{column.name} {column.text(old)} to {column.text(new)}"
        (better if gained else worse).append(text)
    parts = [f"better are {', '.join(better)}" if better else ""]
    parts += [f"worse are {', '.join(worse)}" if worse else ""]
    return "; ".join(filter(None, parts)) + "." if better or worse else ""


def _told(column: Column, old: float, new: float) -> bool:
    different = column.text(old) != column.text(new)
    return different and not np.isclose(old, new, rtol=LEAST_CHANGE, atol=0)
