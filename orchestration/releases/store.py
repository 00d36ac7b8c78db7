"""Lists releases, finds them and moves back to an earlier one.

A release is ``data/releases/r<number>-<sid version>/``: a read-only copy of what serving and
growing need of every asset folder (no log of what people did), with a ``release.json`` and a page
about all of it, ``report.html``. ``data/releases/current`` is a symbolic link to the one in use::

    data/releases/
      r1-15790d01/
      r2-8c1f77aa/        interactions/ ... metrics/ release.json
      current -> r2-8c1f77aa

Each step is a rename, so a publication killed at any point leaves the current release as it was,
and the next one clears up or finishes what is left. Nothing here knows Dagster, a terminal or an
asset.
"""

from __future__ import annotations

import contextlib
import fcntl
import re
import shutil
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from assets.files import read_json
from assets.stage import UserError
from orchestration.growth import base_name

NAME = re.compile(r"r(\d+)-[0-9a-f]{8}")
NOTHING_YET = "nothing is released yet"
FINAL_FIT = (
    "what answers was trained once more, on all splits, after measuring; the metrics are those of "
    "the model before"
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
        comparisons: How recall@10 changed since earlier releases, a row per release and task.
        notes: The same in sentences, and what was not compared.
        accepted: What spoke against it when it was published by force.
        left_out: Files of each asset that were not copied, because only a build needs them.
        final_fit: Whether what answers was trained once more, on all splits, after measuring.
    """

    name: str
    folder: Path
    number: int
    created: str
    sid_version: str
    metrics: Mapping[str, float]
    assets: Mapping[str, str]
    params: Mapping[str, Any]
    comparisons: Sequence[Mapping[str, Any]] = ()
    notes: Sequence[str] = ()
    accepted: Sequence[str] = ()
    left_out: Mapping[str, Sequence[str]] = field(default_factory=dict)
    final_fit: bool = False


def releases(root: Path) -> list[Release]:
    """Return all releases, the oldest first."""
    found = [
        _read(folder)
        for folder in home_of(root).glob("r*")
        if NAME.fullmatch(folder.name) and (folder / "release.json").is_file()
    ]
    return sorted(found, key=lambda release: release.number)


def current(root: Path) -> Release | None:
    """Return the release that is used, None before the first."""
    folder = (home_of(root) / "current").resolve()
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


def rollback(root: Path, name: str | None = None) -> Release:
    """Make another release the current one.

    Args:
        root: The project's folder.
        name: Its name or the part before the dash, such as ``r3``; the one before the current if
            None.

    Raises:
        PublishError: There is no such release.
    """
    with as_refusal(), only_one(root):
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
        announce(home_of(root), chosen.name)
        finish(home_of(root))
        return chosen


@contextlib.contextmanager
def as_refusal() -> Iterator[None]:
    """Turn what a user can mend into a refusal to publish."""
    try:
        yield
    except PublishError:
        raise
    except UserError as error:
        raise PublishError(str(error)) from error


@contextlib.contextmanager
def only_one(root: Path) -> Iterator[None]:
    """Hold the lock of all releases and clear up what a killed publication left."""
    home = home_of(root)
    home.mkdir(parents=True, exist_ok=True)
    with (home / ".lock").open("a", encoding="utf-8") as file:
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError as error:
            raise PublishError("another process is publishing just now: try again.") from error
        for leftover in home.glob(".*.partial"):
            shutil.rmtree(leftover)
        finish(home)
        yield


def home_of(root: Path) -> Path:
    """Return the folder of all releases."""
    return root / "data" / "releases"


def _read(folder: Path) -> Release:
    return Release(folder=folder, **read_json(folder / "release.json"))


def announce(home: Path, name: str) -> None:
    """Say which release is about to become current, so that a later process can finish it."""
    link = home / ".next"
    link.unlink(missing_ok=True)
    link.symlink_to(name)


def finish(home: Path) -> None:
    """Make the announced release current, or forget it if it was never completed."""
    link = home / ".next"
    if link.exists():
        link.replace(home / "current")
    else:
        link.unlink(missing_ok=True)


def prune(root: Path, keep: int) -> None:
    """Delete all but the newest releases, the current one and the one to grow from."""
    needed = {base_name(root), *(used.name for used in [current(root)] if used)}
    for old in releases(root)[:-keep]:
        if old.name not in needed:
            # Renamed first, so that a half-deleted release is never listed.
            doomed = old.folder.rename(old.folder.with_name(f".{old.name}.partial"))
            shutil.rmtree(doomed)
