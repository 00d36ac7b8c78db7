"""Publishes the workbench as a release, lists releases and moves back to an earlier one.

A release is ``data/releases/r<number>-<sid version>/``: a read-only copy of every asset folder with
a ``release.json`` and a page about all of it, ``report.html``. ``data/releases/current`` is a
symbolic link to the one that is used::

    data/releases/
      r1-15790d01/
      r2-8c1f77aa/        interactions/ ... metrics/ release.json
      current -> r2-8c1f77aa

Each step is a rename, so a publication killed at any point leaves the current release as it was,
and the next one clears up or finishes what is left. Nothing here knows Dagster or a terminal.
"""

from __future__ import annotations

import contextlib
import datetime as dt
import fcntl
import hashlib
import json
import re
import shutil
from collections.abc import Iterator, Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import yaml
from pydantic import BaseModel, ConfigDict, Field

from assets.stage import UserError, load_params, read_json
from orchestration.dvc_pipeline import Pipeline
from orchestration.growth import base_name

NAME = re.compile(r"r(\d+)-[0-9a-f]{8}")
NOTHING_YET = "nothing is released yet"
RECALL = {
    "search": "search.retriever.recall@10",
    "re-ranked search": "search.retriever_reranked.recall@10",
    "recommendation": "recommendation.retriever.recall@10",
}


class ReleaseParams(BaseModel):
    """When a release is refused, and how many are kept."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    max_recall_fall: float = Field(
        0.01, ge=0, description="Most by which recall@10 of either task may fall, absolute."
    )
    min_shared_items: float = Field(
        0.5,
        ge=0,
        le=1,
        description="Least share of the released items (same id, same title) that the new "
        "catalogue must hold for the two to be compared at all.",
    )
    keep: int = Field(
        5,
        ge=1,
        description="Newest releases kept; the current one and the one to grow from always are.",
    )


class PublishError(UserError):
    """Nothing was published or moved; the text says why and what to do."""


@dataclass(frozen=True)
class Release:
    """One release.

    Attributes:
        name: ``r<number>-<first 8 digits of the SID version>``.
        folder: Its folder, laid out like ``data/``.
        number: Counts up from 1 and is never given again.
        created: When it was published, ISO 8601 in UTC.
        sid_version: Version of its Semantic IDs.
        metrics: recall@10 by task, for the tasks that were measured.
        assets: Hash of each asset as ``dvc.lock`` had it.
        params: The whole of ``params.yaml``.
    """

    name: str
    folder: Path
    number: int
    created: str
    sid_version: str
    metrics: Mapping[str, float]
    assets: Mapping[str, str]
    params: Mapping[str, Any]


def releases(root: Path) -> list[Release]:
    """Return all releases, the oldest first."""
    found = [
        _read(folder)
        for folder in _home(root).glob("r*")
        if NAME.fullmatch(folder.name) and (folder / "release.json").is_file()
    ]
    return sorted(found, key=lambda release: release.number)


def current(root: Path) -> Release | None:
    """Return the release that is used, None before the first."""
    folder = (_home(root) / "current").resolve()
    return _read(folder) if (folder / "release.json").is_file() else None


def find(root: Path, name: str | None = None) -> Release:
    """Return a release.

    Args:
        root: The project's folder.
        name: Its name or the part before the dash, such as ``r3``; the current one if None.

    Raises:
        PublishError: There is no such release.
    """
    known, used = releases(root), current(root)
    fitting = [r for r in known if name in {r.name, f"r{r.number}"}] if name else [used]
    if not known or used is None:
        raise PublishError(f"{NOTHING_YET}: `sidmill run` builds everything and publishes it.")
    if not fitting or fitting[0] is None:
        names = ", ".join(release.name for release in known)
        raise PublishError(f"no release is called {name}; there are {names}.")
    return fitting[0]


def publish(root: Path, force: bool = False) -> Release:
    """Copy the assets to a new release and make it the current one.

    Where the assets are those of the current release already, that one is returned.

    Args:
        root: The project's folder.
        force: Publish also what is worse than the current release, or was rolled back.

    Raises:
        PublishError: The assets are stale, do not fit together or are worse than the current
            release.
    """
    with _as_refusal(), _only_one(root):
        params = load_params("release", ReleaseParams, root / "params.yaml")
        pipeline = Pipeline.load(root)
        # Taken first: what a run changes after this line fails the comparison while copying.
        hashes = {name: lock.output for name, lock in pipeline.lock().items()}
        _require_fresh(pipeline)
        sid_version = _fitting_version(root / "data")
        used = current(root)
        if used and used.assets == hashes:
            return used
        metrics = _metrics(root / "data" / "metrics")
        if used and not force:
            _require_no_return(root, used, hashes)
            _require_no_worse(root / "data", metrics, hashes, used, params)
        number = max((release.number for release in releases(root)), default=0) + 1
        name = f"r{number}-{sid_version[:8]}"
        release = Release(
            name=name,
            folder=_home(root) / name,
            number=number,
            created=dt.datetime.now(dt.UTC).isoformat(timespec="seconds"),
            sid_version=sid_version,
            metrics=metrics,
            assets=hashes,
            params=yaml.safe_load((root / "params.yaml").read_text(encoding="utf-8")),
        )
        _write(release, root / "data", pipeline)
        _prune(root, params.keep)
        return release


def rollback(root: Path, name: str | None = None) -> Release:
    """Make another release the current one.

    Args:
        root: The project's folder.
        name: Its name or the part before the dash, such as ``r3``; the one before the current if
            None.

    Raises:
        PublishError: There is no such release.
    """
    with _as_refusal(), _only_one(root):
        known, used = releases(root), current(root)
        if not known:
            raise PublishError(f"{NOTHING_YET}, so there is nothing to go back to.")
        if name is None:
            earlier = [r for r in known if used is None or r.number < used.number]
            if not earlier:
                raise PublishError(f"no release is older than the current one, {known[0].name}.")
            chosen = earlier[-1]
        else:
            chosen = find(root, name)
        _announce(_home(root), chosen.name)
        _finish(_home(root))
        return chosen


def _home(root: Path) -> Path:
    return root / "data" / "releases"


def _read(folder: Path) -> Release:
    return Release(folder=folder, **read_json(folder / "release.json"))


@contextlib.contextmanager
def _as_refusal() -> Iterator[None]:
    try:
        yield
    except PublishError:
        raise
    except UserError as error:
        raise PublishError(str(error)) from error


@contextlib.contextmanager
def _only_one(root: Path) -> Iterator[None]:
    """Hold the lock of all releases and clear up what a killed publication left."""
    home = _home(root)
    home.mkdir(parents=True, exist_ok=True)
    with (home / ".lock").open("a", encoding="utf-8") as file:
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError as error:
            raise PublishError("another process is publishing just now: try again.") from error
        for leftover in home.glob(".*.partial"):
            shutil.rmtree(leftover)
        _finish(home)
        yield


def _require_fresh(pipeline: Pipeline) -> None:
    stale = pipeline.stale()
    if stale:
        name, reasons = next(iter(stale.items()))
        others = f" and {len(stale) - 1} more" if len(stale) > 1 else ""
        raise PublishError(
            f"{name}{others} out of date ({'; '.join(reasons)}): run `sidmill run` or `dvc repro`."
        )


def _fitting_version(data: Path) -> str:
    """Return the SID version that all assets speak of.

    Raises:
        UserError: They do not speak of the same one, or the gate did not pass.
    """
    from assets.codebooks.artifact import Codebooks
    from assets.quality_gate.artifact import Verdict
    from assets.semantic_ids.artifact import SemanticIds

    ids = SemanticIds.load(data / "semantic_ids")
    codebooks = Codebooks.load(data / "codebooks").version
    if ids.codebook_version != codebooks:
        raise PublishError(
            f"data/semantic_ids was made with codebooks {ids.codebook_version[:12]}, but "
            f"data/codebooks holds {codebooks[:12]}: run `dvc repro semantic_ids`."
        )
    Verdict.load(data / "quality_gate").require(ids.version)
    trained = read_json(data / "retriever" / "manifest.json")["sid_version"]
    if trained != ids.version:
        raise PublishError(
            f"data/retriever was trained on SID version {trained[:12]}, but data/semantic_ids "
            f"holds {ids.version[:12]}: run `dvc repro retriever`."
        )
    return ids.version


def _metrics(folder: Path) -> dict[str, float]:
    report = read_json(folder / "report.json")
    return {task: report[key] for task, key in RECALL.items() if report.get(key) is not None}


def _require_no_return(root: Path, used: Release, hashes: Mapping[str, str]) -> None:
    """Refuse the content of a newer release that somebody has moved back from."""
    for release in releases(root):
        if release.assets == hashes and release.number > used.number:
            raise PublishError(
                f"these assets are release {release.name}, which was rolled back to {used.name}; "
                f"`sidmill rollback {release.name}` makes it current again."
            )


def _require_no_worse(
    data: Path,
    metrics: Mapping[str, float],
    hashes: Mapping[str, str],
    used: Release,
    params: ReleaseParams,
) -> None:
    if _shared_items(used.folder, data) < params.min_shared_items:
        return
    problems = []
    for task, before in used.metrics.items():
        now = metrics.get(task)
        if now is None:
            problems.append(f"{task} is not measured any more (recall@10 was {before:.4f})")
        elif before - now > params.max_recall_fall:
            problems.append(
                f"{task} recall@10 falls from {before:.4f} to {now:.4f}, by more than the "
                f"{params.max_recall_fall:g} of `release.max_recall_fall`"
            )
    if not problems:
        return
    asked = ("interactions", "synthetic_queries")
    changed = any(used.assets.get(name) != hashes.get(name) for name in asked)
    caution = " The test data changed too, so part of it may be theirs." if changed else ""
    raise PublishError(
        f"worse than the current release {used.name}: {'; '.join(problems)}.{caution} "
        "`sidmill publish --force` publishes all the same."
    )


def _shared_items(old: Path, new: Path) -> float:
    """Return the share of the old catalogue's items that the new one holds under the same title."""
    from assets.interactions.artifact import Interactions

    def titles(folder: Path) -> set[tuple[str, str | None]]:
        items = Interactions.load(folder / "interactions").items
        return set(zip(items["item_id"], items["title"].fillna(""), strict=True))

    before = titles(old)
    return len(before & titles(new)) / max(len(before), 1)


def _write(release: Release, data: Path, pipeline: Pipeline) -> None:
    from orchestration.report_page import write_page

    partial = release.folder.with_name(f".{release.name}.partial")
    for name, recorded in release.assets.items():
        if _copy(data / name, partial / name) != recorded:
            raise PublishError(
                f"data/{name} is not what dvc.lock recorded, perhaps because a run is going on: "
                f"run `dvc repro {name}` and publish then."
            )
    write_page(partial, release, pipeline).chmod(0o444)
    entry = asdict(release)
    del entry["folder"]
    # Not `write_json`: what is recorded here is kept to the last digit.
    file = partial / "release.json"
    file.write_text(json.dumps(entry, indent=1, default=str) + "\n", encoding="utf-8")
    file.chmod(0o444)
    _announce(release.folder.parent, release.name)
    partial.rename(release.folder)
    _finish(release.folder.parent)


def _copy(source: Path, target: Path) -> str:
    """Copy a folder, files read-only, and return the copy's hash as DVC defines it."""
    entries = []
    for file in (path for path in source.rglob("*") if path.is_file()):
        name = file.relative_to(source)
        copy = target / name
        copy.parent.mkdir(parents=True, exist_ok=True)
        shutil.copyfile(file, copy)
        copy.chmod(0o444)
        with copy.open("rb") as stream:
            digest = hashlib.file_digest(stream, "md5").hexdigest()
        entries.append({"md5": digest, "relpath": name.as_posix()})
    entries.sort(key=lambda entry: entry["relpath"])
    listing = json.dumps(entries, sort_keys=True).encode()
    return hashlib.md5(listing, usedforsecurity=False).hexdigest() + ".dir"


def _announce(home: Path, name: str) -> None:
    """Say which release is about to become current, so that a later process can finish it."""
    link = home / ".next"
    link.unlink(missing_ok=True)
    link.symlink_to(name)


def _finish(home: Path) -> None:
    """Make the announced release current, or forget it if it was never completed."""
    link = home / ".next"
    if link.exists():
        link.replace(home / "current")
    else:
        link.unlink(missing_ok=True)


def _prune(root: Path, keep: int) -> None:
    needed = {base_name(root), *(used.name for used in [current(root)] if used)}
    for old in releases(root)[:-keep]:
        if old.name not in needed:
            # Renamed first, so that a half-deleted release is never listed.
            doomed = old.folder.rename(old.folder.with_name(f".{old.name}.partial"))
            shutil.rmtree(doomed)
