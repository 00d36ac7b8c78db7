"""All of params.yaml is held against its models before anything runs."""

from __future__ import annotations

import shutil

import pytest
import yaml
from conftest import ROOT

from assets.stage import UserError
from orchestration.commands.main import main
from orchestration.project_params import require_valid_params


@pytest.fixture
def project(tmp_path):
    """The real graph and params, never run; returns a function that changes a section."""
    for name in ("dvc.yaml", "params.yaml"):
        shutil.copy(ROOT / name, tmp_path)
    (tmp_path / "data" / "incoming").mkdir(parents=True)

    def change(section, **values):
        file = tmp_path / "params.yaml"
        params = yaml.safe_load(file.read_text(encoding="utf-8"))
        params.setdefault(section, {}).update(values)
        file.write_text(yaml.safe_dump(params), encoding="utf-8")
        return tmp_path

    return change


def test_the_params_of_the_house_are_valid():
    require_valid_params(ROOT)


@pytest.mark.parametrize(
    ("section", "values", "said"),
    [
        ("codebooks", {"quantizer": "rq_kmean"}, "codebooks.quantizer"),
        ("metrics", {"bootstrap_sample": 3}, "unknown param `metrics.bootstrap_sample`"),
        ("release", {"keep": 0}, "release.keep"),
        ("codebook", {}, "unknown section `codebook`"),
    ],
)
def test_a_fault_in_any_section_is_told(project, section, values, said):
    with pytest.raises(UserError, match=said):
        require_valid_params(project(section, **values))


@pytest.mark.parametrize("words", [("run",), ("rebuild",), ("status",), ("check",), ("ui",)])
def test_commands_tell_it_before_anything_is_done(project, monkeypatch, capsys, words):
    root = project("codebooks", quantizer="rq_kmean")
    monkeypatch.chdir(root)
    with pytest.raises(SystemExit) as end:
        main(words)
    assert end.value.code == 1
    assert "codebooks.quantizer" in capsys.readouterr().err
    assert {path.name for path in root.iterdir()} == {"data", "dvc.yaml", "params.yaml"}
    assert [path.name for path in (root / "data").iterdir()] == ["incoming"]


def test_dagster_tells_it_before_the_first_stage(hollow_house, instance):
    hollow_house.set("codebooks", quantizer="rq_kmean")
    result = hollow_house.dagster(instance, "interactions", "synthetic_queries")
    failed = [event for event in result.all_events if event.is_step_failure]
    assert [event.step_key for event in failed] == ["interactions"]
    data = failed[0].step_failure_data
    assert "codebooks.quantizer" in (data.user_failure_data.description or "")
    assert not (hollow_house.root / "data" / "logs").exists()
    assert (hollow_house.root / "data" / "interactions" / "report.json").read_text() == "{}"


def test_stages_that_are_not_ours_are_left_alone(toy):
    require_valid_params(toy.root)
