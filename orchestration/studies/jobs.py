"""Studies in Dagster: a job each, which runs it and shows its table on the run's page.

Nothing is decided here: the job does what ``sidmill study <name>`` does.
"""

import re

import dagster as dg

from orchestration.dvc_pipeline import Pipeline
from orchestration.studies.ranking import Ranking
from orchestration.studies.running import run_study
from orchestration.studies.study import studies
from orchestration.studies.table import study_table, write_study


def study_jobs(pipeline: Pipeline) -> list[dg.JobDefinition]:
    """Make a job ``study_<name>`` for each file in ``studies/``."""
    return [_study_job(pipeline, name) for name in studies(pipeline.root)]


def _study_job(pipeline: Pipeline, name: str) -> dg.JobDefinition:
    word = "study_" + re.sub(r"\W", "_", name)

    @dg.op(name=f"{word}_table", description=f"Runs what studies/{name}.yaml lacks.")
    def run(context: dg.OpExecutionContext) -> None:
        run_study(pipeline.root, name, context.log.info)
        ranking = study_table(pipeline.root, name)
        page = write_study(pipeline.root, name, ranking)
        context.log_event(
            dg.AssetObservation(
                asset_key=word,
                description=f"{len(ranking.rows)} variants",
                metadata={**_tables(ranking), "page": dg.MetadataValue.path(str(page))},
            )
        )

    @dg.job(name=word, description=f"`sidmill study {name}`: DVC experiments and their table.")
    def study() -> None:
        run()

    return study


def _tables(ranking: Ranking) -> dict[str, dg.MetadataValue]:
    return {
        group: dg.MetadataValue.md(ranking.markdown(columns))
        for group, columns in ranking.groups().items()
    }
