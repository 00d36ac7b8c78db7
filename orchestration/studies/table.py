"""The table of a study: a row per variant, means over its seeds, from what DVC recorded."""

from __future__ import annotations

import statistics
from collections.abc import Iterable, Mapping
from pathlib import Path

from assets.files import write_json
from orchestration.dvc_pipeline import Pipeline
from orchestration.studies.build_columns import COLUMNS, seconds_column
from orchestration.studies.experiments import Experiment, recorded
from orchestration.studies.ranking import Column, Ranking, Row
from orchestration.studies.study import Job, Record, Study, home, jobs, load_study, records


def study_table(root: Path, name: str) -> Ranking:
    """Collect what there is of a study, also while it is running or was never finished."""
    pipeline = Pipeline.load(root)
    study = load_study(root, name, pipeline)
    listed = jobs(study, name, pipeline)
    known = records(root, name)
    made = recorded(root, [job.name for job in listed])
    measured = {job.name: _numbers(job, made, known) for job in listed}
    rows = [
        _row([job for job in listed if job.variant == variant], measured, known)
        for variant in study.plan()
    ]
    return Ranking.of(rows, [*COLUMNS, *_time_columns(study, pipeline)])


def write_study(root: Path, name: str, ranking: Ranking) -> Path:
    """Write the table as CSV, JSON and a page into ``data/studies/<name>/``; return the page."""
    study = load_study(root, name, Pipeline.load(root))
    folder = home(root, name)
    folder.mkdir(parents=True, exist_ok=True)
    write_json(folder / "table.json", {"study": name, "rows": ranking.content()})
    (folder / "table.csv").write_text(ranking.csv(), encoding="utf-8")
    many = f", mean ± standard deviation over {len(study.seeds)} seeds"
    foot = (
        f"Made by `sidmill study {name}` of {len(ranking.rows)} variants"
        f"{many if len(study.seeds) > 1 else ''}."
    )
    page = folder / "study.html"
    ranking.write_page(page, study.title, [study.about] if study.about else [], foot)
    return page


def _time_columns(study: Study, pipeline: Pipeline) -> list[Column]:
    """Return a column for each stage that is varied."""
    varied = {key.split(".")[0] for variant in study.plan() for key in variant.overrides}
    return [seconds_column(stage) for stage in pipeline.stages if stage in varied]


def _numbers(
    job: Job, made: Mapping[str, Experiment], known: Mapping[str, Record]
) -> dict[str, float]:
    """Return all numbers of an experiment; a stage restored from the cache took as long as it did.

    Times stand with the experiment that ran the stage; others with the same output share them.
    """
    experiment = made.get(job.name)
    if experiment is None:
        return {}
    numbers = dict(experiment.numbers)
    for name, record in known.items():
        other = made.get(name)
        for stage, seconds in record.seconds.items():
            if other and other.outputs.get(stage) == experiment.outputs.get(stage):
                numbers.setdefault(f"seconds.{stage}", seconds)
    return numbers


def _row(
    own: list[Job], measured: Mapping[str, Mapping[str, float]], known: Mapping[str, Record]
) -> Row:
    """Put the seeds of one variant together."""
    found: dict[str, list[float]] = {}
    for job in own:
        for key, value in measured[job.name].items():
            found.setdefault(key, []).append(float(value))
    failed = {job.seed: known[job.name] for job in own if job.name in known}
    failed = {seed: record for seed, record in failed.items() if record.failed}
    missing = [job.seed for job in own if job.name not in known]
    variant = own[0].variant
    return Row(
        variant.name,
        {key: statistics.fmean(values) for key, values in found.items()},
        {key: statistics.stdev(values) for key, values in found.items() if len(values) > 1},
        [*_reasons(failed, len(own)), *_missing(missing, len(own))],
        sound=not failed and len(missing) < len(own),
        labels={**variant.labels, "seeds": len(own) - len(missing)},
        ends={key: (min(values), max(values)) for key, values in found.items() if len(values) > 1},
    )


def _reasons(failed: Mapping[int, Record], seeds: int) -> list[str]:
    """Say what failed, seeds with the same reason together."""
    texts: dict[str, list[int]] = {}
    for seed, record in failed.items():
        texts.setdefault(f"{record.failed} failed: {record.reason}", []).append(seed)
    return [text + _which(of, seeds) for text, of in texts.items()]


def _missing(missing: list[int], seeds: int) -> list[str]:
    return [f"not run yet{_which(missing, seeds)}"] if missing else []


def _which(some: Iterable[int], seeds: int) -> str:
    chosen = list(some)
    return "" if len(chosen) == seeds else f" (seed {', '.join(map(str, chosen))})"
