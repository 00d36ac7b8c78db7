"""Runs the stage in this process, in a folder of its own, on files the test writes."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from assets.files import read_json
from assets.interactions.__main__ import main
from assets.interactions.artifact import Interactions
from assets.interactions.params import InteractionsParams
from assets.stage import Run, UserError

ITEMS = "item_id,title\na,Alien\nb,Brazil\nc,Casablanca\nd,Dune\n"


@dataclass
class Workbench:
    """A project folder: write files, run the stage, look at what it made."""

    folder: Path
    runs: int = 0

    def write(self, name: str, content: str | bytes) -> Path:
        """Write ``data/incoming/<name>``."""
        file = self.folder / "data" / "incoming" / name
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_bytes(content if isinstance(content, bytes) else content.encode())
        return file

    def run(self, **params: Any) -> Interactions:
        """Run the stage into a fresh folder."""
        self.runs += 1
        folder = self.folder / f"made-{self.runs}"
        folder.mkdir()
        main(Run("interactions", InteractionsParams(**params), folder))
        return Interactions.load(folder)

    def report(self) -> Any:
        """The report of the last run."""
        return read_json(self.folder / f"made-{self.runs}" / "report.json")


@pytest.fixture
def bench(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Workbench:
    """A workbench with four items and nothing else."""
    monkeypatch.chdir(tmp_path)
    workbench = Workbench(tmp_path)
    workbench.write("items/items.csv", ITEMS)
    return workbench


@pytest.fixture
def tables() -> Callable[[Interactions], dict[str, bytes]]:
    """The bytes of every table but the rejects, whose row numbers are places in files."""
    names = ("items", "interactions", "queries", "pairs")
    return lambda made: {n: (made.folder / f"{n}.parquet").read_bytes() for n in names}


@pytest.fixture
def says(bench):
    """``says(*words)``: a run is refused in one sentence that holds these words."""

    def check(*words, **params):
        with pytest.raises(UserError) as error:
            bench.run(**params)
        for word in words:
            assert word in str(error.value)
        assert "\n" not in str(error.value)

    return check
