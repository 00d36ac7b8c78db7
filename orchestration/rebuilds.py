"""What starts a run without a person, and what notices the work that people did by hand.

All of it is off until switched on in the UI, except the sensor that only takes note.
"""

import hashlib
import json
from pathlib import Path

import dagster as dg

from orchestration import gate_checks
from orchestration.dvc_pipeline import Lock, Pipeline
from orchestration.releases.store import current
from orchestration.stage_assets import RELEASE_CODE_VERSION, release_metadata, stage_metadata

INCOMING = "data/incoming"
UNFINISHED = [
    dg.DagsterRunStatus.QUEUED,
    dg.DagsterRunStatus.NOT_STARTED,
    dg.DagsterRunStatus.STARTING,
    dg.DagsterRunStatus.STARTED,
    dg.DagsterRunStatus.CANCELING,
]

run_everything = dg.define_asset_job(
    "run_everything",
    selection=dg.AssetSelection.all(),
    description="Every stage that is out of date, then a release.",
)

weekly_run = dg.ScheduleDefinition(
    name="weekly_run",
    job=run_everything,
    cron_schedule="0 3 * * 0",
    default_status=dg.DefaultScheduleStatus.STOPPED,
    description="Runs what is out of date and publishes, on Sundays at three in the morning.",
)


def incoming_sensor(pipeline: Pipeline) -> dg.SensorDefinition:
    """Make the sensor that runs everything when new files have arrived and have settled.

    Settled means that two looks in a row found the same names, sizes and times. DVC then says
    whether the content differs from what was last built; a run is asked for once per listing.
    """

    @dg.sensor(
        name="incoming_files",
        job=run_everything,
        minimum_interval_seconds=30,
        default_status=dg.DefaultSensorStatus.STOPPED,
        description="Runs when files in data/incoming/ are new or changed, and have settled.",
    )
    def watch(context: dg.SensorEvaluationContext) -> dg.SensorResult | dg.SkipReason:
        seen = json.loads(context.cursor or "{}")
        listing = _listing(pipeline.root / INCOMING)
        if listing != seen.get("listing"):
            context.update_cursor(json.dumps({**seen, "listing": listing}))
            return dg.SkipReason("The files are new or still changing; looking again.")
        if listing == seen.get("judged"):
            return dg.SkipReason("Nothing new since these files were last looked at.")
        cursor = json.dumps({"listing": listing, "judged": listing})
        reasons = [text for texts in pipeline.stale().values() for text in texts]
        if "never made" not in reasons and not any(text.startswith(INCOMING) for text in reasons):
            context.update_cursor(cursor)
            return dg.SkipReason("The files are those of the last build.")
        return dg.SensorResult([dg.RunRequest(run_key=listing)], cursor=cursor)

    return watch


def repro_sensor(pipeline: Pipeline) -> dg.SensorDefinition:
    """Make the sensor that enters what plain ``dvc repro`` and ``sidmill`` did into the history.

    It compares the hashes in dvc.lock with the latest materialisation of each asset, of its output
    and of its inputs: a stage that was run again with the same result on new inputs counts too, or
    its asset would look stale for ever.
    """

    @dg.sensor(
        name="dvc_repro",
        minimum_interval_seconds=30,
        default_status=dg.DefaultSensorStatus.RUNNING,
        description="Shows work that was done by plain `dvc repro` and `sidmill`.",
    )
    def watch(context: dg.SensorEvaluationContext) -> dg.SensorResult | dg.SkipReason:
        # A run in progress records its own stages, and DVC writes the lock before it does.
        unfinished = dg.RunsFilter(statuses=UNFINISHED)
        if context.instance.get_run_records(unfinished, limit=1):
            return dg.SkipReason("A run is in progress.")
        locks = pipeline.lock()
        events: list[dg.AssetMaterialization | dg.AssetCheckEvaluation] = []
        for name, lock in locks.items():
            if _is_known(context.instance, name, lock):
                continue
            stage = pipeline.stages[name]
            events.append(
                dg.AssetMaterialization(
                    asset_key=name,
                    description="Made by `dvc repro`.",
                    metadata=stage_metadata(pipeline, stage),
                    tags=_tags(lock, pipeline.code_version(stage)),
                )
            )
            if name == gate_checks.GATE:
                events += gate_checks.check_evaluations(pipeline.root)
        release = current(pipeline.root)
        if release and set(pipeline.leaves()) <= set(release.assets):
            made_of = {name: release.assets[name] for name in pipeline.leaves()}
            lock = Lock(release.name, made_of)
            if not _is_known(context.instance, "release", lock):
                events.append(
                    dg.AssetMaterialization(
                        asset_key="release",
                        description="Published or moved to by `sidmill`.",
                        metadata=release_metadata(release),
                        tags=_tags(lock, RELEASE_CODE_VERSION),
                    )
                )
        if not events:
            return dg.SkipReason("Everything that was done is known.")
        return dg.SensorResult(asset_events=events)

    return watch


def _versions(lock: Lock) -> dict[str, str]:
    """Return the tags under which Dagster keeps the data versions of an asset and its inputs."""
    inputs = {f"dagster/input_data_version/{name}": md5 for name, md5 in lock.inputs.items()}
    return {"dagster/data_version": lock.output, **inputs}


def _is_known(instance: dg.DagsterInstance, name: str, lock: Lock) -> bool:
    record = instance.get_latest_data_version_record(dg.AssetKey(name))
    tags = (record.event_log_entry.tags if record else None) or {}
    return all(tags.get(tag) == value for tag, value in _versions(lock).items())


def _tags(lock: Lock, code_version: str) -> dict[str, str]:
    """Return the tags of an event; without the last two Dagster compares times, not versions."""
    pointers = {f"dagster/input_event_pointer/{name}": "NULL" for name in lock.inputs}
    return {**_versions(lock), "dagster/code_version": code_version, **pointers}


def _listing(folder: Path) -> str:
    """Return a hash of the names, sizes and times of all files under a folder."""
    digest = hashlib.sha256()
    for file in sorted(path for path in folder.rglob("*") if path.is_file()):
        stat = file.stat()
        digest.update(f"{file.relative_to(folder)} {stat.st_size} {stat.st_mtime_ns}\n".encode())
    return digest.hexdigest()
