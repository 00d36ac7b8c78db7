"""Studies: lists of DVC experiments, as ``studies/<name>.yaml`` says.

Each variant is run with each seed as a DVC experiment
``<study>-<variant>-s<seed>``; what there is already is not run again, and what fails becomes a row
with its reason. Numbers are read from what DVC recorded; beside them lies only, in
``data/studies/<name>/``, what DVC does not record: reasons of failures and times.
"""

from __future__ import annotations

import itertools
import json
import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import yaml
from pydantic import BaseModel, ConfigDict, Field, ValidationError, model_validator

from assets.files import read_json
from assets.stage import UserError
from orchestration.dvc_pipeline import Pipeline

FOLDER = Path("studies")
Overrides = dict[str, Any]


class Study(BaseModel):
    """What ``studies/<name>.yaml`` says."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    title: str = Field(description="What it is about, in a few words.")
    about: str = Field("", description="More about it.")
    last_stage: str = Field(description="The stage that each variant is run to.")
    seeds: tuple[int, ...] = Field((0,), min_length=1, description="Seeds; one row over all.")
    seeded: tuple[str, ...] = Field(
        (), description="Sections of params.yaml whose `seed` takes the study's."
    )
    variants: dict[str, Overrides] = Field(
        {}, description="Name to params, as `section.key: value`."
    )
    grid: dict[str, dict[str, Overrides]] = Field(
        {}, description="Axis to choice to params; every combination is a variant too."
    )
    leave_out: list[dict[str, list[str] | str]] = Field(
        [], description="Combinations of the grid that are not run: axis to one or more choices."
    )

    @model_validator(mode="after")
    def _complete(self) -> Study:
        if not self.variants and not self.grid:
            raise ValueError("name some `variants` or a `grid`")
        for rule in self.leave_out:
            for axis, choices in rule.items():
                unknown = set(_listed(choices)) - set(self.grid.get(axis, {}))
                if unknown:
                    raise ValueError(f"`leave_out` names {axis} {min(unknown)!r}: no such")
        return self

    def plan(self) -> list[Variant]:
        """Return all variants, those of the grid first."""
        found = []
        for chosen in itertools.product(*self.grid.values()) if self.grid else ():
            labels = dict(zip(self.grid, chosen, strict=True))
            if any(
                all(labels[axis] in _listed(choices) for axis, choices in rule.items())
                for rule in self.leave_out
            ):
                continue
            overrides: Overrides = {}
            for axis, choice in labels.items():
                overrides |= self.grid[axis][choice]
            found.append(Variant("-".join(chosen), labels, overrides))
        return found + [Variant(name, {}, values) for name, values in self.variants.items()]


@dataclass(frozen=True)
class Variant:
    """One row of a study's table.

    Attributes:
        name: Its name.
        labels: Its choice on each axis of the grid.
        overrides: Params that differ.
    """

    name: str
    labels: Mapping[str, str]
    overrides: Overrides


@dataclass(frozen=True)
class Job:
    """One variant with one seed.

    Attributes:
        name: Name of the experiment.
        variant: The variant.
        seed: The seed.
        overrides: Params that differ, seeds included, in the order of the stages.
    """

    name: str
    variant: Variant
    seed: int
    overrides: Overrides

    def up_to(self, stages: list[str]) -> tuple[tuple[str, str], ...]:
        """Return the overrides of some stages, to compare with another job's."""
        return tuple(
            (key, json.dumps(value))
            for key, value in self.overrides.items()
            if key.split(".")[0] in stages
        )


@dataclass
class Record:
    """What DVC does not record of an experiment.

    Attributes:
        digest: Of code, params and input files it was run with.
        rev: Its commit; empty if nothing was recorded.
        failed: The stage that failed, if one did.
        reason: What it said.
        seconds: Stage to seconds, for the stages that really ran.
    """

    digest: str
    rev: str = ""
    failed: str = ""
    reason: str = ""
    seconds: dict[str, float] = field(default_factory=dict)


def studies(root: Path) -> list[str]:
    """Return the names of the studies of a project."""
    return sorted(file.stem for file in (root / FOLDER).glob("*.yaml"))


def load_study(root: Path, name: str, pipeline: Pipeline) -> Study:
    """Read a study.

    Raises:
        UserError: There is none of this name, or it says what cannot be.
    """
    file = root / FOLDER / f"{name}.yaml"
    if not file.is_file():
        known = ", ".join(studies(root)) or "none yet"
        raise UserError(f"{file.relative_to(root)} not found; the studies here are: {known}.")
    try:
        study = Study.model_validate(yaml.safe_load(file.read_text(encoding="utf-8")))
    except (yaml.YAMLError, ValidationError) as error:
        problems = (
            [f"{'.'.join(map(str, e['loc']))}: {e['msg']}" for e in error.errors()]
            if isinstance(error, ValidationError)
            else [str(error)]
        )
        raise UserError(f"{file.relative_to(root)}: {'; '.join(problems)}.") from error
    keys = [key for variant in study.plan() for key in variant.overrides]
    for stage in [study.last_stage, *study.seeded, *(key.split(".")[0] for key in keys)]:
        if stage not in pipeline.stages:
            raise UserError(
                f"{file.relative_to(root)}: no stage is called `{stage}`; there are "
                f"{', '.join(pipeline.stages)}."
            )
    return study


def home(root: Path, name: str) -> Path:
    """Return the folder of a study's results."""
    return root / "data" / FOLDER / name


def jobs(study: Study, name: str, pipeline: Pipeline) -> list[Job]:
    """Return all experiments of a study, the first seed of every variant before the second."""
    order = list(pipeline.stages)
    found = []
    for seed, variant in itertools.product(study.seeds, study.plan()):
        overrides = variant.overrides | {f"{section}.seed": seed for section in study.seeded}
        ordered = sorted(overrides.items(), key=lambda item: order.index(item[0].split(".")[0]))
        word = re.sub(r"[^A-Za-z0-9_.-]+", "_", f"{name}-{variant.name}-s{seed}")
        found.append(Job(word, variant, seed, dict(ordered)))
    return found


def records(root: Path, name: str) -> dict[str, Record]:
    """Read what is known of a study's experiments beside what DVC recorded."""
    file = home(root, name) / "experiments.json"
    content = read_json(file) if file.is_file() else {}
    return {job: Record(**entry) for job, entry in content.items()}


def _listed(choices: list[str] | str) -> list[str]:
    return [choices] if isinstance(choices, str) else choices
