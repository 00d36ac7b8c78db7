"""One Dagster asset per DVC stage, and the asset `release`, which is no stage.

Materialising an asset runs ``dvc repro --single-item <stage>``; what is recorded about it comes
from files that the stage and DVC wrote: ``dvc.lock``, ``report.json``, the figures beside it and
``data/logs/stages.jsonl``.
"""

import base64
import json
import time
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import dagster as dg

from assets.stage import UserError
from orchestration import gate_checks
from orchestration.dvc_pipeline import Pipeline, Stage, StageFailedError, repro
from orchestration.project_params import require_valid_params
from orchestration.releases.answering import who_answers
from orchestration.releases.publishing import publish
from orchestration.releases.store import FINAL_FIT, PublishError, Release

MOST_ROWS = 50
MOST_FIGURE_BYTES = 500_000
RELEASE_CODE_VERSION = "1"


def stage_asset(pipeline: Pipeline, stage: Stage) -> dg.AssetsDefinition:
    """Make the asset of one stage.

    Args:
        pipeline: The project.
        stage: The stage.
    """
    is_gate = stage.name == gate_checks.GATE

    @dg.asset(
        name=stage.name,
        deps=list(stage.upstream),
        group_name=stage.group,
        kinds=set(stage.kinds),
        description=stage.desc,
        code_version=pipeline.code_version(stage),
        pool=stage.pool,
        check_specs=gate_checks.check_specs() if is_gate else None,
    )
    def materialise(
        context: dg.AssetExecutionContext,
    ) -> Iterator[dg.MaterializeResult[Any] | dg.AssetCheckResult]:
        begun = time.time()
        try:
            require_valid_params(pipeline.root)
        except UserError as fault:
            raise dg.Failure(description=str(fault), allow_retries=False) from None
        try:
            outcome = repro(pipeline.root, stage.name, context.log.info)
        except StageFailedError as failure:
            if is_gate and _written_since(_folder(pipeline, stage) / "verdict.json", begun):
                yield from gate_checks.check_results(pipeline.root)
            # DVC's lock apart, which `repro` waits for, a second try gives the same failure.
            raise dg.Failure(description=str(failure), allow_retries=False) from None
        if is_gate:
            yield from gate_checks.check_results(pipeline.root)
        yield dg.MaterializeResult(
            metadata={"dvc": outcome, **stage_metadata(pipeline, stage)},
            data_version=dg.DataVersion(pipeline.lock()[stage.name].output),
        )

    return materialise


def release_asset(pipeline: Pipeline) -> dg.AssetsDefinition:
    """Make the asset `release`: a copy of all assets, made if they fit and are good enough."""

    @dg.asset(
        name="release",
        deps=pipeline.leaves(),
        group_name="release",
        code_version=RELEASE_CODE_VERSION,
        description="What is used: a copy of every asset, published once all of it fits together.",
    )
    def materialise(context: dg.AssetExecutionContext) -> dg.MaterializeResult[Any]:
        context.log.info("copying the assets and making the page about them")
        try:
            release = publish(pipeline.root)
        except PublishError as refusal:
            raise dg.Failure(description=str(refusal), allow_retries=False) from None
        context.log.info("published %s", release.name)
        return dg.MaterializeResult(
            metadata=release_metadata(release),
            data_version=dg.DataVersion(release.name),
        )

    return materialise


def release_metadata(release: Release) -> dict[str, Any]:
    """Collect what people want to know of a release: what it is, who answers, how well."""
    page = release.folder / "report.html"
    answering = "\n".join(f"- {sentence}" for sentence in who_answers(release.folder))
    return {
        "release": release.name,
        "sid_version": release.sid_version,
        "folder": dg.MetadataValue.path(str(release.folder)),
        **({"report": dg.MetadataValue.path(str(page))} if page.is_file() else {}),
        **{f"{task} recall@10": float(value) for task, value in release.metrics.items()},
        **({"who answers": dg.MetadataValue.md(answering)} if answering else {}),
        **({"final fit": FINAL_FIT} if release.final_fit else {}),
        **({"compared": dg.MetadataValue.json(list(release.notes))} if release.notes else {}),
    }


def stage_metadata(pipeline: Pipeline, stage: Stage) -> dict[str, Any]:
    """Collect what people want to see of an asset: figures, numbers, tables, its last run.

    Args:
        pipeline: The project.
        stage: The stage; its folder may lack any of these files.
    """
    folder = _folder(pipeline, stage)
    figures = {file.name: _figure(file) for file in sorted(folder.glob("*.png"))}
    pages = {
        file.name: dg.MetadataValue.path(str(file.resolve()))
        for file in sorted(folder.glob("*.html"))
    }
    return {**figures, **_report(folder / "report.json"), **pages, **_last_run(pipeline, stage)}


def _folder(pipeline: Pipeline, stage: Stage) -> Path:
    return pipeline.root / stage.outs[0]


def _written_since(file: Path, moment: float) -> bool:
    return file.is_file() and file.stat().st_mtime >= moment - 1


def _report(file: Path) -> dict[str, Any]:
    if not file.is_file():
        return {}
    content = json.loads(file.read_text(encoding="utf-8"))
    return {name: _value(value) for name, value in content.items() if value is not None}


def _value(value: Any) -> dg.MetadataValue[Any]:
    """Turn one entry of a report into metadata; numbers as plain Python ones."""
    if isinstance(value, bool):
        return dg.MetadataValue.bool(value)
    if isinstance(value, int):
        return dg.MetadataValue.int(int(value))
    if isinstance(value, float):
        return dg.MetadataValue.float(float(value))
    if isinstance(value, str):
        return dg.MetadataValue.text(value)
    if isinstance(value, list) and value and all(isinstance(row, Mapping) for row in value):
        return dg.MetadataValue.md(_table(value))
    return dg.MetadataValue.json(value)


def _table(rows: list[Mapping[str, Any]]) -> str:
    columns = list(dict.fromkeys(name for row in rows for name in row))
    lines = [columns, ["---"] * len(columns)]
    lines += [[_cell(row.get(name)) for name in columns] for row in rows[:MOST_ROWS]]
    text = "\n".join("| " + " | ".join(line) + " |" for line in lines)
    more = len(rows) - MOST_ROWS
    return f"{text}\n\n… and {more} more rows in report.json" if more > 0 else text


def _cell(value: Any) -> str:
    if isinstance(value, float):
        return f"{value:.4g}"
    return "" if value is None else str(value).replace("|", "\\|").replace("\n", " ")


def _figure(file: Path) -> dg.MetadataValue[Any]:
    """Embed a figure, so that the browser shows it; a large one is named by its path alone."""
    if file.stat().st_size > MOST_FIGURE_BYTES:
        return dg.MetadataValue.path(str(file.resolve()))
    data = base64.b64encode(file.read_bytes()).decode()
    return dg.MetadataValue.md(f"![{file.stem}](data:image/png;base64,{data})")


def _last_run(pipeline: Pipeline, stage: Stage) -> dict[str, Any]:
    """Return time and memory of the run that made the asset, if this machine made it."""
    log = pipeline.root / "data" / "logs" / "stages.jsonl"
    if not log.is_file():
        return {}
    entries = [json.loads(line) for line in log.read_text(encoding="utf-8").splitlines()]
    own = [entry for entry in entries if entry["stage"] == stage.name]
    if not own:
        return {}
    return {
        "seconds": float(own[-1]["seconds"]),
        "peak_memory_mb": float(own[-1]["peak_memory_mb"]),
        "made": own[-1]["ended"],
    }
