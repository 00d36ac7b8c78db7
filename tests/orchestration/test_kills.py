"""A build that is killed again and again ends where one that is left alone ends."""

from __future__ import annotations

import contextlib
import os
import random
import shutil
import signal
import subprocess
import time
from pathlib import Path
from typing import Any

import psutil
import pytest

KILLS = 20


@pytest.mark.verify
def test_after_twenty_kills_one_repro_completes_and_from_nothing_gives_the_same_bytes(
    new_house, tmp_path
):
    """Slow: the small project, every stage, killed at twenty seeded moments."""
    calm, harried = (new_house(tmp_path / name) for name in ("calm", "harried"))
    started = time.monotonic()
    repro(calm)
    seconds = time.monotonic() - started

    draw = random.Random(0)  # noqa: S311  moments, no secrets
    where = []
    while len(where) < KILLS:
        whom = draw.choice(["dvc", "stage", "both"])
        if killed(harried, whom, after=draw.uniform(1, seconds / 4)):
            where.append(len(harried.pipeline.lock()))
        else:  # it ended before its moment came: from nothing once more
            forget_all(harried.root)
    assert len(set(where)) > 3, f"the kills hit too few stages: {where}"

    repro(harried)
    assert harried.pipeline.stale() == {}
    shutil.rmtree(harried.root / "data" / "cache")
    repro(harried, "--force")
    assert outputs(harried) == outputs(calm)


def repro(house: Any, *words: str) -> None:
    mend_lock(house.root)
    done = house.dvc("repro", *words)
    assert done.returncode == 0, done.stdout + done.stderr


def killed(house: Any, whom: str, after: float) -> bool:
    """Start a run and kill a part of it after so many seconds; False if it ended before."""
    mend_lock(house.root)
    file = house.root / "killed.log"
    with file.open("w") as log:  # no pipe: what is left of a killed run must be able to speak
        running = house.start_dvc("repro", output=log)
    with contextlib.suppress(subprocess.TimeoutExpired):
        assert running.wait(after) == 0, file.read_text()
        return False
    stage = psutil.Process(running.pid).children(recursive=True)
    victims = {"dvc": [running.pid], "stage": [child.pid for child in stage]}
    for pid in victims.get(whom) or [running.pid, *victims["stage"]]:
        with contextlib.suppress(ProcessLookupError):
            os.kill(pid, signal.SIGKILL)
    running.wait()
    return True


def mend_lock(root: Path) -> None:
    """Take out the file that a DVC leaves empty if it is killed while it writes it.

    `sidmill run` and Dagster do so themselves; DVC alone says which file it is, and stops.
    """
    file = root / ".dvc" / "tmp" / "rwlock"
    if file.is_file() and not file.read_text():
        file.unlink()


def forget_all(root: Path) -> None:
    """Take away everything that runs have made; what users wrote stays."""
    (root / "dvc.lock").unlink()
    for folder in [root / ".dvc" / "cache", *(root / "data").iterdir()]:
        if folder.name not in ("incoming", "base.yaml"):
            shutil.rmtree(folder) if folder.is_dir() else folder.unlink()


def outputs(house: Any) -> dict[str, str | None]:
    return {name: lock.output for name, lock in house.pipeline.lock().items()}
