"""The generator trained in several processes, which end as one does."""

from __future__ import annotations

import shutil
from pathlib import Path

import numpy as np
import pytest
import yaml
from conftest import run_stage
from safetensors.numpy import load_file

from assets.bi_encoder.artifact import BiEncoder
from assets.embeddings.artifact import Embeddings
from assets.files import read_json
from assets.interactions.artifact import Interactions
from assets.retriever.fitting import fit
from assets.retriever.model import WEIGHTS
from assets.retriever.params import RetrieverParams
from assets.retriever.processes import train_in_processes
from assets.semantic_ids.artifact import SemanticIds
from assets.synthetic_queries.artifact import SyntheticQueries

SETTINGS = {"epochs": 1, "positions": 300, "learning_rate": 5e-4, "dropout": 0.0}


@pytest.fixture
def trained(project, tmp_path):
    """``trained(processes)``: run the stage in a copy of the small project."""
    project.make("quality_gate")

    def run(processes: int) -> Path:
        root = tmp_path / str(processes)
        ignored = shutil.ignore_patterns("retriever", "training", "logs", ".*")
        shutil.copytree(project.folder, root, ignore=ignored)
        params = yaml.safe_load((root / "params.yaml").read_text())
        params["retriever"] |= SETTINGS | {"precision": "float32"}
        (root / "params.yaml").write_text(yaml.safe_dump(params, sort_keys=False))
        done = run_stage("retriever", root, SIDMILL_PROCESSES=str(processes))
        assert done.returncode == 0, done.stderr
        assert not any((root / "data" / "cache" / "training" / "retriever").iterdir())
        return root / "data" / "retriever"

    return run


def test_two_processes_end_as_one_does(trained):
    one, two = trained(1), trained(2)
    weights = load_file(two / WEIGHTS)
    for name, values in load_file(one / WEIGHTS).items():
        np.testing.assert_allclose(weights[name], values, atol=2e-3)
    curves = [np.loadtxt(out / "training.csv", delimiter=",", skiprows=1) for out in (one, two)]
    np.testing.assert_allclose(curves[1], curves[0], rtol=1e-2)
    reports = [read_json(out / "report.json") for out in (one, two)]
    assert reports[1]["step"] == reports[0]["step"]
    for name, value in reports[0].items():
        if "recall" in name:
            assert reports[1][name] == pytest.approx(value, abs=0.05)


def test_two_processes_learn_from_all_splits_where_that_is_asked(project, tmp_path, monkeypatch):
    project.make("quality_gate")
    monkeypatch.chdir(project.folder)
    data = Path("data")
    # a batch of a single query leaves one of the two without any
    small = {"hidden": 32, "feed_forward": 64, "search_batch": 1, "precision": "float32"}
    params = RetrieverParams(**small, **SETTINGS)
    read = (
        SemanticIds.load(data / "semantic_ids"),
        Interactions.load(data / "interactions").all_as_train(),
        SyntheticQueries.load(data / "synthetic_queries").all_as_train(),
        BiEncoder.load(data / "bi_encoder"),
        Embeddings.load(data / "embeddings"),
    )
    curves = []
    for processes in (1, 2):
        folder, said = tmp_path / str(processes), []
        folder.mkdir()
        monkeypatch.setenv("SIDMILL_PROCESSES", str(processes))
        train_in_processes(folder, params, epochs=1, all_splits=True)
        _, course = fit(*read, params, device="cpu", folder=folder, say=said.append, epochs=1)
        curves.append([list(row.values()) for row in course.curve])
        assert any("goes on after" in line for line in said) == (processes == 2)
    np.testing.assert_allclose(curves[1], curves[0], rtol=1e-2)
