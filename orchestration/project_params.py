"""Holds all of params.yaml against its models, before anything runs.

A stage reads its own section when its turn comes, perhaps after minutes of other stages' work; here
a misspelt word is told at once.
"""

from __future__ import annotations

import importlib
from pathlib import Path

from assets.stage import Params, load_params
from orchestration.dvc_pipeline import Pipeline


def require_valid_params(root: Path) -> None:
    """Let pass only a params.yaml whose every section is valid.

    Args:
        root: The project's folder. Stages of its dvc.yaml that run other commands than ours are
            not looked into.

    Raises:
        UserError: The first fault, by file and key.
    """
    from orchestration.releases.checks import ReleaseParams

    file = root / "params.yaml"
    load_params("release", ReleaseParams, file)  # with it, sections that nobody has
    for stage in Pipeline.load(root).stages.values():
        if stage.cmd == f"python -m assets.{stage.name}":
            load_params(stage.name, params_model(stage.name), file)


def params_model(stage: str) -> type[Params]:
    """Return the model of a stage's section: the one in its ``params`` module that is a stage's."""
    module = importlib.import_module(f"assets.{stage}.params")
    (model,) = (
        value
        for value in vars(module).values()
        if isinstance(value, type)
        and issubclass(value, Params)
        and value.__module__ == module.__name__
    )
    return model
