"""Puts the parts of the Dagster side together; Dagster loads ``defs``.

sidmill ui
"""

from __future__ import annotations

from pathlib import Path

import dagster as dg

from orchestration.dvc_pipeline import Pipeline
from orchestration.rebuilds import incoming_sensor, repro_sensor, run_everything, weekly_run
from orchestration.stage_assets import release_asset, stage_asset
from orchestration.studies.jobs import study_jobs


def build_definitions(root: Path) -> dg.Definitions:
    """Build the definitions of the project in a folder.

    Args:
        root: Folder of dvc.yaml.

    Raises:
        UserError: It holds no readable dvc.yaml.
    """
    pipeline = Pipeline.load(root)
    return dg.Definitions(
        assets=[
            *(stage_asset(pipeline, stage) for stage in pipeline.stages.values()),
            release_asset(pipeline),
        ],
        jobs=[run_everything, *study_jobs(pipeline)],
        schedules=[weekly_run],
        sensors=[incoming_sensor(pipeline), repro_sensor(pipeline)],
        # Each stage is a process of its own already; one more per step costs two seconds each.
        executor=dg.in_process_executor,
    )


defs = build_definitions(Path.cwd())
