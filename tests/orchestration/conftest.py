"""Two projects under DVC: a toy of four quick stages, and the small real one."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

import dagster as dg
import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
import yaml
from conftest import made_once, write_project

from assets.quality_gate.artifact import Outcome, Verdict
from assets.semantic_ids.artifact import SemanticIds
from orchestration.dvc_pipeline import Pipeline

ROOT = Path(__file__).parents[2]
QUESTIONS = 2000  # of each task in the shop

TOY_STAGES = {
    "embeddings": {
        "desc": "Lines.",
        "cmd": "python toy.py embeddings",
        "deps": ["toy.py", "data/incoming"],
        "meta": {"group": "encoder", "kinds": ["torch"], "pool": "gpu"},
    },
    "codebooks": {"deps": ["toy.py", "data/embeddings"]},
    "quality_gate": {"deps": ["toy.py", "data/codebooks/lines.txt"]},
    "retriever": {"deps": ["toy.py", "data/quality_gate"]},
}
TOY_PARAMS = {
    "embeddings": {"times": 2},
    "codebooks": {"times": 2},
    "quality_gate": {"most": 10},
    "retriever": {},
}


@dataclass
class Workshop:
    """A folder under git and DVC, and the two engines that can run it."""

    root: Path

    @property
    def pipeline(self) -> Pipeline:
        return Pipeline.load(self.root)

    @property
    def lock(self) -> dict[str, object]:
        return yaml.safe_load((self.root / "dvc.lock").read_text())["stages"]

    def set(self, section: str, **values: object) -> None:
        """Change params.yaml."""
        file = self.root / "params.yaml"
        params = yaml.safe_load(file.read_text())
        params[section].update(values)
        file.write_text(yaml.safe_dump(params, sort_keys=False))

    def dvc(self, *words: str) -> subprocess.CompletedProcess[str]:
        """Run DVC as its user does."""
        return subprocess.run(
            [sys.executable, "-m", "dvc", *words],
            cwd=self.root,
            env=environment(),
            capture_output=True,
            text=True,
            check=False,
        )

    def start_dvc(self, *words: str, output: Any = subprocess.PIPE) -> subprocess.Popen[str]:
        """Start DVC and leave it running."""
        return subprocess.Popen(
            [sys.executable, "-m", "dvc", *words],
            cwd=self.root,
            env=environment(),
            stdout=output,
            stderr=subprocess.STDOUT,
            text=True,
            start_new_session=True,
        )

    def dagster(self, instance: dg.DagsterInstance, *stages: str) -> dg.ExecuteInProcessResult:
        """Materialise the assets of stages (all but the release by default)."""
        from orchestration.definitions import build_definitions

        job = build_definitions(self.root).resolve_implicit_global_asset_job_def()
        return job.execute_in_process(
            instance=instance,
            raise_on_error=False,
            asset_selection=[dg.AssetKey(name) for name in stages or self.pipeline.stages],
        )

    def runs(self) -> list[str]:
        """Stages that were really computed, in order."""
        log = self.root / "data" / "logs" / "stages.jsonl"
        return [json.loads(line)["stage"] for line in log.read_text().splitlines()]

    def computed(self, engine: str, instance: dg.DagsterInstance, last: str) -> list[str]:
        """Bring everything up to a stage up to date in one of the engines; what was computed."""
        before = len(self.runs())
        if engine == "dvc":
            done = self.dvc("repro", last)
            assert done.returncode == 0, done.stdout + done.stderr
        else:
            names = list(self.pipeline.stages)
            assert self.dagster(instance, *names[: names.index(last) + 1]).success
        return self.runs()[before:]


def environment() -> dict[str, str]:
    """The environment with this interpreter's folder first on PATH."""
    here = str(Path(sys.executable).parent)
    return os.environ | {"PATH": here + os.pathsep + os.environ["PATH"]}


def put_under_dvc(root: Path) -> None:
    """Make a folder a git and DVC repository, with the house's own settings."""
    subprocess.run(["git", "init", "--quiet"], cwd=root, check=True)
    subprocess.run([sys.executable, "-m", "dvc", "init", "--quiet"], cwd=root, check=True)
    for name in (".dvc/config", ".dvcignore", ".gitignore"):
        shutil.copy(ROOT / name, root / name)


@pytest.fixture(scope="session")
def toy_template(shared: Path) -> Path:
    """The toy pipeline, made once by plain `dvc repro`."""
    return made_once(shared / "toy", make_toy)


def make_toy(root: Path) -> None:
    """Write the toy pipeline and run it."""
    stages = {
        name: {
            "cmd": f"python toy.py {name}",
            "params": [name],
            "outs": [f"data/{name}"],
            **stage,
        }
        for name, stage in TOY_STAGES.items()
    }
    (root / "data" / "incoming").mkdir(parents=True)
    (root / "dvc.yaml").write_text(yaml.safe_dump({"stages": stages}, sort_keys=False))
    (root / "params.yaml").write_text(yaml.safe_dump(TOY_PARAMS, sort_keys=False))
    shutil.copy(Path(__file__).with_name("toy.py"), root)
    put_under_dvc(root)
    done = Workshop(root).dvc("repro")
    assert done.returncode == 0, done.stdout + done.stderr


@pytest.fixture
def toy(toy_template: Path, tmp_path: Path) -> Workshop:
    """The toy pipeline, up to date."""
    return Workshop(shutil.copytree(toy_template, tmp_path / "toy"))


@pytest.fixture
def fresh_toy(toy: Workshop) -> Workshop:
    """The toy pipeline, never run."""
    for name in toy.pipeline.stages:
        shutil.rmtree(toy.root / "data" / name)
    shutil.rmtree(toy.root / ".dvc" / "cache")
    shutil.rmtree(toy.root / ".dvc" / "tmp")
    (toy.root / "dvc.lock").unlink()
    (toy.root / "data" / "logs" / "stages.jsonl").write_text("")
    return toy


@pytest.fixture
def instance(tmp_path: Path) -> dg.DagsterInstance:
    """A Dagster of its own for each test."""
    home = tmp_path / "dagster"
    home.mkdir()
    quiet = {"telemetry": {"enabled": False}}
    with dg.DagsterInstance.local_temp(str(home), overrides=quiet) as instance:
        yield instance


@pytest.fixture(scope="session")
def house(project, tmp_path_factory: pytest.TempPathFactory) -> Workshop:
    """The small real project under DVC, with its own copy of the code, up to the gate."""
    project.make("quality_gate")
    root = tmp_path_factory.mktemp("house") / "repo"
    shutil.copytree(project.folder, root, ignore=shutil.ignore_patterns(".*"))
    workshop = with_code(root)
    done = workshop.dvc("commit", "--force", "--with-deps", "quality_gate")
    assert done.returncode == 0, done.stdout + done.stderr
    return workshop


@pytest.fixture
def new_house() -> Callable[[Path], Workshop]:
    """Makes the small real project under DVC in a folder, never run."""

    def make(root: Path) -> Workshop:
        write_project(root)
        return with_code(root)

    return make


def with_code(root: Path) -> Workshop:
    """Put the stages' code beside a project's data, and both under DVC."""
    ignored = shutil.ignore_patterns("__pycache__")
    shutil.copytree(ROOT / "assets", root / "assets", ignore=ignored)
    shutil.copy(ROOT / "dvc.yaml", root)
    put_under_dvc(root)
    return Workshop(root)


@pytest.fixture(scope="session")
def hollow_template(shared: Path) -> Path:
    """The real graph and code under DVC, up to date, with assets that hold next to nothing."""
    return made_once(shared / "hollow", make_hollow)


def make_hollow(root: Path) -> None:
    """Write assets that DVC takes for those that the graph made."""
    stages = yaml.safe_load((ROOT / "dvc.yaml").read_text(encoding="utf-8"))["stages"]
    for name in ("incoming", *stages):
        (root / "data" / name).mkdir(parents=True)
        (root / "data" / name / "report.json").write_text("{}")
    shutil.copy(ROOT / "data" / "base.yaml", root / "data")
    shutil.copy(ROOT / "params.yaml", root)
    done = with_code(root).dvc("commit", "--force")
    assert done.returncode == 0, done.stdout + done.stderr


@pytest.fixture
def hollow_house(hollow_template: Path, tmp_path: Path) -> Workshop:
    """The hollow house: its stages can be asked what is stale, and change nothing for others."""
    return Workshop(shutil.copytree(hollow_template, tmp_path / "hollow"))


@pytest.fixture
def put_release(project) -> Callable[[Path], Path]:
    """Puts all that answers in the small project into a folder as its current release."""

    def put(root: Path) -> Path:
        project.make("answers")
        home = root / "data" / "releases"
        ignored = shutil.ignore_patterns("incoming", ".*")
        shutil.copytree(project.folder / "data", home / "r1-00000000", ignore=ignored)
        entry = {"name": "r1-00000000", "number": 1, "created": "", "sid_version": "0" * 64}
        entry |= {"metrics": {}, "assets": {}, "params": {}}
        (home / "r1-00000000" / "release.json").write_text(json.dumps(entry))
        (home / "current").symlink_to("r1-00000000")
        return home

    return put


@dataclass
class Shop(Workshop):
    """A project whose stages copy ready-made assets from made/: quick, and they fit together.

    It lies in a plain folder without git. The tables and IDs are real; of the retriever and the
    metrics there is just what a release looks at.
    """

    def change(self, file: str, content: object) -> None:
        """Change a JSON file of a ready-made asset, key by key."""
        path = self.root / "made" / file
        old = json.loads(path.read_text()) if path.is_file() else {}
        path.write_text(json.dumps(old | content))

    def measured(self, **recalls: float) -> None:
        """Change recall@10 of tasks: whoever has less of it answers fewer of the same questions."""
        report = {f"{task}.answers.recall@10": value for task, value in recalls.items()}
        self.change("metrics/report.json", report)
        for task, recall in recalls.items():
            places = np.random.default_rng(0).permutation(QUESTIONS)
            self.answered(task, (places < round(recall * QUESTIONS)).astype(np.float32))

    def answered(self, task: str, recalls: np.ndarray, first: int = 0) -> None:
        """Change what the answers to each question of a task are worth; questions have numbers."""
        file = self.root / "made" / "metrics" / "per_query.parquet"
        numbers = range(first, first + len(recalls))
        rows = pd.DataFrame(
            {
                "task": task,
                "question": [f"{task} {number}" for number in numbers],
                "item": [f"i{number // 2}" for number in numbers],
                "kind": None,
                "slice": "head",
                "method": "answers",
                "recall@10": recalls,
            }
        )
        if file.is_file():
            old = pd.read_parquet(file)
            rows = pd.concat([old[old["task"] != task], rows])
        rows.sort_values("task", kind="stable").to_parquet(file, index=False)

    def edit_items(self, change: Callable[[pa.Table], pa.Table]) -> None:
        """Change the table of items, and bring the assets up to date."""
        file = self.root / "made" / "interactions" / "items.parquet"
        pq.write_table(change(pq.read_table(file)), file)
        self.rebuild()

    def rebuild(self) -> None:
        """Bring the assets up to date, without a release."""
        done = self.dvc("repro")
        assert done.returncode == 0, done.stdout + done.stderr

    def sidmill(self, *words: str, **more: object) -> subprocess.CompletedProcess[str]:
        """Run the command line as its user does."""
        return subprocess.run(
            [sys.executable, "-c", "from orchestration.commands.main import main; main()", *words],
            check=False,
            **{"cwd": self.root, "capture_output": True, "text": True} | more,
        )


SHOP_STAGES = {
    "interactions": [],
    "codebooks": ["interactions"],
    "semantic_ids": ["codebooks"],
    "quality_gate": ["semantic_ids"],
    "retriever": ["quality_gate"],
    "metrics": ["retriever"],
}
REAL_IN_SHOP = ["interactions", "codebooks", "semantic_ids"]


@pytest.fixture(scope="session")
def shop_template(project, shared: Path) -> Path:
    """The shop, built and never published."""
    project.make("semantic_ids")
    return made_once(shared / "shop", partial(make_shop, project.folder))


def make_shop(project: Path, root: Path) -> None:
    """Write the shop's pipeline and run it."""
    for name in SHOP_STAGES:
        made = project / "data" / name
        if name in REAL_IN_SHOP:
            shutil.copytree(made, root / "made" / name)
        else:
            (root / "made" / name).mkdir(parents=True)
    version = SemanticIds.load(root / "made" / "semantic_ids").version
    outcome = Outcome("gini_of_different", "", 0.2, None, 0.6, "critical", True, True)
    Verdict(version, [outcome]).save(root / "made" / "quality_gate")
    shop = Shop(root)
    shop.change("retriever/manifest.json", {"sid_version": version})
    row = {"task": "search", "method": "retriever", "recall@10": 0.3, "low": 0.2, "high": 0.4}
    shop.change("metrics/report.json", {"table": [row], "skipped": []})
    shop.measured(search=0.3, recommendation=0.08)
    stages = {
        name: {
            # Like the gate's stage, which leaves its verdict and fails.
            "cmd": f"echo {name}: copied && cp -r made/{name} data/{name} && test ! -e fail-{name}",
            "deps": [f"made/{name}", *(f"data/{other}" for other in upstream)],
            "outs": [f"data/{name}"],
        }
        for name, upstream in SHOP_STAGES.items()
    }
    (root / "dvc.yaml").write_text(yaml.safe_dump({"stages": stages}, sort_keys=False))
    params = yaml.safe_load((ROOT / "params.yaml").read_text())
    (root / "params.yaml").write_text(yaml.safe_dump({"release": params["release"]}))
    (root / "data").mkdir()
    (root / ".dvc").mkdir()
    shutil.copy(ROOT / ".dvc" / "config", root / ".dvc")
    (root / ".dvc" / "config.local").write_text("[core]\n    no_scm = true\n")
    shop.rebuild()


@pytest.fixture
def shop(shop_template: Path, tmp_path: Path) -> Shop:
    """The shop, built and never published."""
    return Shop(shutil.copytree(shop_template, tmp_path / "shop"))
