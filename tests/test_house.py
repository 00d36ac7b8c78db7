"""The rules of the house: names line up, params are documented, walls stand where they should."""

from __future__ import annotations

import ast
import importlib
from pathlib import Path

import pytest
import yaml

from assets.stage import Params, stage_names

ROOT = Path(__file__).parents[1]
SHARED = {
    *("stage", "machine", "threads", "files", "exact", "evaluation", "ranking"),
    *("sequential", "training"),
}
HANDED_OVER = {  # beside the artifacts
    ("interactions", "catalogue"),
    ("rankers", "fitting"),
    ("rankers", "params"),
    ("retriever", "fitting"),
    ("retriever", "params"),
    ("retriever", "processes"),
    ("semantic_ids", "buckets"),
    ("semantic_ids", "trie"),
}
STAGES = list(yaml.safe_load((ROOT / "dvc.yaml").read_text(encoding="utf-8"))["stages"])


def _params_model(stage: str) -> type[Params]:
    module = importlib.import_module(f"assets.{stage}.params")
    models = [
        value
        for value in vars(module).values()
        if isinstance(value, type)
        and issubclass(value, Params)
        and value is not Params
        and value.__module__ == module.__name__
    ]
    assert len(models) == 1, f"{stage}: one model of params, found {models}"
    return models[0]


def test_a_stage_has_the_same_name_in_code_dvc_params_and_tests():
    params = yaml.safe_load((ROOT / "params.yaml").read_text(encoding="utf-8"))
    assert stage_names() == sorted(STAGES)
    assert [section for section in params if section in STAGES] == STAGES
    assert all((ROOT / "tests" / stage).is_dir() for stage in STAGES)
    for name, stage in yaml.safe_load((ROOT / "dvc.yaml").read_text())["stages"].items():
        assert stage["cmd"] == f"python -m assets.{name}"
        assert stage["outs"] == [f"data/{name}"]


@pytest.mark.parametrize("stage", STAGES)
def test_params_yaml_lists_every_knob_with_its_default(stage):
    section = yaml.safe_load((ROOT / "params.yaml").read_text(encoding="utf-8"))[stage]
    model = _params_model(stage)
    assert list(section) == list(model.model_fields)
    assert model.model_validate(section) == model()


@pytest.mark.parametrize("stage", STAGES)
def test_every_knob_is_documented(stage):
    fields = _params_model(stage).model_fields
    assert all(field.description for field in fields.values())


@pytest.mark.parametrize("stage", STAGES)
def test_a_stage_imports_its_own_folder_the_contract_and_artifacts_only(stage):
    for file in (ROOT / "assets" / stage).glob("**/*.py"):
        for module in _imports(file):
            parts = module.split(".")
            if parts[0] != "assets" or parts[1] in SHARED:
                continue
            handed_over = parts[2:] == ["artifact"] or tuple(parts[1:]) in HANDED_OVER
            assert parts[1] == stage or handed_over, f"{file} imports {module}"


def _imports(file: Path) -> set[str]:
    """Modules named by import statements anywhere in a file."""
    found = set()
    for node in ast.walk(ast.parse(file.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Import):
            found.update(alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom) and node.module:
            found.add(node.module)
    return found
