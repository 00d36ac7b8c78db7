"""Whole builds, sound and unsound, made by the stages themselves and judged by the defaults."""

import importlib
import json
import shutil

import numpy as np
import pytest
import yaml

from assets.codebooks.artifact import Codebooks
from assets.codebooks.fitting.fit import TrainingData
from assets.codebooks.fitting.rq_kmeans import fit_rq_kmeans
from assets.codebooks.params import CodebooksParams
from assets.codebooks.quantizers import QUANTIZERS
from assets.collision_report.params import CollisionReportParams
from assets.embeddings.artifact import Embeddings
from assets.quality_gate.artifact import Verdict
from assets.quality_gate.params import QualityGateParams
from assets.semantic_ids.params import SemanticIdsParams
from assets.semantic_ids.policies import POLICIES
from assets.stage import NegativeResultError, Run

# so few items make few steps an epoch
TRAINED = {"rq_vae": {"epochs": 100, "batch_size": 32}}
COLLAPSING = {"kmeans_start": False, "restart_every": 0, "plain_epochs": 0, "codebook_weight": 0.0}


@pytest.fixture
def folder(project, tmp_path, monkeypatch):
    """A project with the real small embeddings."""
    project.make("embeddings")
    for stage in ("interactions", "embeddings"):
        shutil.copytree(project.folder / "data" / stage, tmp_path / "data" / stage)
    monkeypatch.chdir(tmp_path)
    return tmp_path


def run(folder, stage, params) -> None:
    target = folder / "data" / stage
    target.mkdir()
    importlib.import_module(f"assets.{stage}.__main__").main(Run(stage, params, target))


def judged(folder, **semantic_ids) -> Verdict:
    """Make IDs of the codebooks that lie there, and ask the gate with its defaults."""
    run(folder, "semantic_ids", SemanticIdsParams(**semantic_ids))
    run(folder, "collision_report", CollisionReportParams())
    try:
        run(folder, "quality_gate", QualityGateParams())
    except NegativeResultError:
        assert not Verdict.load(folder / "data" / "quality_gate").passed
    return Verdict.load(folder / "data" / "quality_gate")


@pytest.fixture
def fit(folder, run_in):
    """``fit(**params)`` runs the stage `codebooks` and returns its complaint."""

    def run_codebooks(**params) -> str:
        content = {"codebooks": {"codebook_size": 16} | params}
        (folder / "params.yaml").write_text(yaml.safe_dump(content))
        done = run_in("codebooks", folder)
        return done.stderr if done.returncode else ""

    return run_codebooks


def failed(verdict: Verdict) -> set[str]:
    return {outcome.expectation for outcome in verdict.failures}


@pytest.mark.parametrize("quantizer", [name for name in QUANTIZERS if name != "external"])
def test_a_sound_build_of_every_quantizer_passes(folder, fit, quantizer):
    knobs = {quantizer: TRAINED[quantizer]} if quantizer in TRAINED else {}
    assert fit(quantizer=quantizer, **knobs) == ""
    verdict = judged(folder, policy="append_index")
    assert verdict.passed, [outcome.sentence() for outcome in verdict.failures]


@pytest.mark.parametrize(
    "quantizer", ["rq_kmeans", "residual_lfq", "dictionary", "opq", "hierarchical_kmeans"]
)
def test_a_sound_build_with_fewer_items_than_codes_passes(folder, fit, quantizer):
    assert fit(quantizer=quantizer, codebook_size=512) == ""
    verdict = judged(folder, policy="append_index")
    assert verdict.passed, [outcome.sentence() for outcome in verdict.failures]
    applicable = {outcome.expectation for outcome in verdict.outcomes if outcome.applicable}
    assert {"utilisation_worst_level", "gini_worst_level"} <= applicable


def test_codes_that_collapsed_are_stopped_with_fewer_items_than_codes(folder, fit):
    knobs = COLLAPSING | {"on_collapse": "keep"}
    assert fit(quantizer="rq_vae", codebook_size=512, rq_vae=knobs) == ""
    found = failed(judged(folder, policy="append_index", index_size=300))
    assert {"utilisation_worst_level", "gini_worst_level", "index_share"} <= found


def test_a_sound_build_of_every_policy_passes(folder, fit):
    assert fit() == ""
    for policy in POLICIES:
        verdict = judged(folder, policy=policy)
        assert verdict.passed, (policy, [outcome.sentence() for outcome in verdict.failures])
        for stage in ("semantic_ids", "collision_report", "quality_gate"):
            shutil.rmtree(folder / "data" / stage)


def test_a_collapsed_rq_vae_is_stopped_by_its_doctor_or_else_by_the_gate(folder, fit):
    said = fit(quantizer="rq_vae", rq_vae=COLLAPSING)
    assert "the codes collapsed" in said
    assert "`kmeans_start: true`" in said
    assert "Traceback" not in said
    assert not (folder / "data" / "codebooks").exists()
    assert fit(quantizer="rq_vae", rq_vae=COLLAPSING | {"on_collapse": "keep"}) == ""
    assert json.loads((folder / "data" / "codebooks" / "report.json").read_text())["collapsed"]
    found = failed(judged(folder, policy="append_index", index_size=300))
    assert {"utilisation_worst_level", "index_share"} <= found


def test_codes_that_mean_nothing_are_stopped(folder):
    draw = np.random.default_rng(0)
    embeddings = Embeddings.load(folder / "data" / "embeddings")
    noise = draw.normal(size=embeddings.text.shape).astype(np.float32)
    noise /= np.linalg.norm(noise, axis=1, keepdims=True)
    params = CodebooksParams(codebook_size=16)
    (folder / "data" / "codebooks").mkdir()
    quantizer = fit_rq_kmeans(TrainingData(noise), params).quantizer
    Codebooks(quantizer, "text", {}).save(folder / "data" / "codebooks")
    assert "variance_explained" in failed(judged(folder, policy="append_index"))


def test_an_index_that_tells_apart_what_the_codes_do_not_is_stopped(folder, fit):
    assert fit(codebook_size=4, levels=1) == ""
    verdict = judged(folder, policy="append_index")
    assert "index_share" in failed(verdict)
    assert "conflict_rate_after" not in failed(verdict)  # every ID is unique, and yet
