"""A small real project that tests share: about 300 MovieLens items and who rated them."""

from __future__ import annotations

import contextlib
import fcntl
import io
import os
import runpy
import shutil
import subprocess
import sys
import warnings
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

import hypothesis
import pytest
import yaml

# Models and matrices are tiny here: a second thread costs more than it saves.
os.environ |= {"OMP_NUM_THREADS": "1", "SIDMILL_THREADS": "1"}

ROOT = Path(__file__).parents[1]
ITEMS = 300
USERS = 200

# What a stage needs to be quick on so few items; everything else is the default of params.yaml.
SMALL_PARAMS: dict[str, dict[str, object]] = {
    "bi_encoder": {"head_hidden": 64, "train_batch": 64, "steps": 60, "check_every": 20},
    "codebooks": {"codebook_size": 16},
    "retriever": {
        "hidden": 32,
        "feed_forward": 64,
        "epochs": 6,
        "check_every": 3,
        "check_queries": 50,
        "check_beams": 20,
        "search_batch": 64,
    },
    "rankers": {"sasrec": {"hidden": 16, "epochs": 2, "check_every": 1}},
}


def small_params() -> dict[str, dict[str, object]]:
    """params.yaml of the repository with SMALL_PARAMS on top."""
    params = yaml.safe_load((ROOT / "params.yaml").read_text(encoding="utf-8"))
    for section, values in SMALL_PARAMS.items():
        params[section].update(values)
    return params


def run_stage(stage: str, folder: Path, **environment: str) -> subprocess.CompletedProcess[str]:
    """Run one stage as a person would, in a folder with params.yaml and data/."""
    return subprocess.run(
        [sys.executable, "-m", f"assets.{stage}"],
        cwd=folder,
        env=os.environ | environment,
        capture_output=True,
        text=True,
        check=False,
    )


def run_here(stage: str, folder: Path, **environment: str) -> subprocess.CompletedProcess[str]:
    """Run one stage like :func:`run_stage`, but in this process, which need not load torch anew."""
    out, err = io.StringIO(), io.StringIO()
    module = f"assets.{stage}"
    with (
        contextlib.chdir(folder),
        contextlib.redirect_stdout(out),
        contextlib.redirect_stderr(err),
        pytest.MonkeyPatch.context() as patch,
        warnings.catch_warnings(action="ignore", category=RuntimeWarning),  # it was imported before
    ):
        for name, value in environment.items():
            patch.setenv(name, value)
        try:
            runpy.run_module(module, run_name="__main__")
            code = 0
        except SystemExit as end:
            code = int(end.code or 0)
    return subprocess.CompletedProcess([module], code, out.getvalue(), err.getvalue())


@pytest.fixture
def run_in() -> Callable[..., subprocess.CompletedProcess[str]]:
    """``run_in(stage, folder)``: run one stage, without a process of its own."""
    return run_here


@pytest.hookimpl(optionalhook=True)
def pytest_xdist_auto_num_workers() -> int:
    """A worker for each core that may be used; each takes about a gigabyte of memory."""
    from assets.threads import usable_cores

    return min(usable_cores(), 8)


# speed is judged by `make bench`: on a busy machine an example may take any time
hypothesis.settings.register_profile("untimed", deadline=None)
hypothesis.settings.load_profile("untimed")

LONGEST = ["test_reproducibility", "test_engines", "test_growth", "test_server", "test_processes"]


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Begin with the files that take longest: none is left to one core alone at the end."""
    items.sort(key=lambda item: item.path.stem not in LONGEST)


@dataclass
class Project:
    """A folder with params.yaml and data/incoming; stages run in it when first asked for.

    Several test processes may share one: whoever comes first makes a stage, the others wait.
    """

    folder: Path
    run: Callable[..., subprocess.CompletedProcess[str]] = run_stage

    def make(self, stage: str) -> Path:
        """Run a stage, and all before it, once; return its folder."""
        graph = yaml.safe_load((ROOT / "dvc.yaml").read_text(encoding="utf-8"))["stages"]
        for upstream in graph:
            if f"data/{upstream}" in graph[stage]["deps"]:
                self.make(upstream)
        made = self.folder / ".made" / stage
        with alone(made.with_suffix(".lock")):
            if not made.exists():
                done = self.run(stage, self.folder)
                assert done.returncode == 0, f"{stage} failed:\n{done.stdout}\n{done.stderr}"
                made.touch()
        return self.folder / "data" / stage


@contextlib.contextmanager
def alone(file: Path) -> Iterator[None]:
    """Hold a file, which is made if it is missing, against other test processes."""
    file.parent.mkdir(parents=True, exist_ok=True)
    with file.open("a") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        yield


def made_once(folder: Path, make: Callable[[Path], None]) -> Path:
    """Make a folder that several test processes read, whoever comes first."""
    done = folder.with_suffix(".done")
    with alone(folder.with_suffix(".lock")):
        if not done.exists():
            shutil.rmtree(folder, ignore_errors=True)  # of somebody who failed
            make(folder)
            done.touch()
    return folder


@pytest.fixture(scope="session")
def shared(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder that all test processes of this run have in common."""
    base = tmp_path_factory.getbasetemp()
    folder = (base.parent if "PYTEST_XDIST_WORKER" in os.environ else base) / "shared"
    folder.mkdir(exist_ok=True)
    return folder


@pytest.fixture(scope="session")
def project(shared: Path) -> Project:
    """The shared small project. Read from it; what writes takes a copy of what it needs."""
    return Project(made_once(shared / "project", write_project))


def write_project(folder: Path) -> None:
    """Write params, data/base.yaml and data/incoming of the small project: the most rated items."""
    from assets.interactions.packaged import movielens_small

    items, interactions = movielens_small()
    kept = interactions["item_id"].value_counts(sort=False).sort_index()
    kept = kept.sort_values(ascending=False, kind="stable").index[:ITEMS]
    interactions = interactions[interactions["item_id"].isin(kept)]
    users = sorted(interactions["user_id"].unique(), key=int)[:USERS]
    tables = {
        "items": items[items["item_id"].isin(kept)],
        "interactions": interactions[interactions["user_id"].isin(users)],
    }
    for name, table in tables.items():
        target = folder / "data" / "incoming" / name
        target.mkdir(parents=True)
        table.to_csv(target / f"{name}.csv", index=False)
    (folder / "params.yaml").write_text(yaml.safe_dump(small_params(), sort_keys=False))
    shutil.copy(ROOT / "data" / "base.yaml", folder / "data")
