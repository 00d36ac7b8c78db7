"""DVC and Dagster do the same work: same skips, same stops, same dvc.lock."""

from __future__ import annotations

import json
import os
import shutil
import signal
import subprocess
import sys
from pathlib import Path

import dagster as dg
import pytest
from dagster._core.definitions.data_version import CachingStaleStatusResolver, StaleStatus
from dagster._core.loader import LoadingContextForTest

from assets.quality_gate.expectations import EXPECTATIONS
from orchestration.definitions import build_definitions
from orchestration.rebuilds import incoming_sensor, repro_sensor

ROOT = Path(__file__).parents[2]
ENGINES = ["dvc", "dagster"]
SEARCH = "from orchestration.commands.main import main; main(['search', 'star wars', '--json'])"
FIRST, SECOND = EXPECTATIONS[0].name, EXPECTATIONS[1].name


def latest(instance: dg.DagsterInstance, stage: str) -> dg.AssetMaterialization | None:
    event = instance.get_latest_materialization_event(dg.AssetKey(stage))
    return event.asset_materialization if event else None


def look(sensor: dg.SensorDefinition, instance: dg.DagsterInstance, cursor: str | None = None):
    """One evaluation of a sensor; what it found is stored as the daemon would."""
    with dg.build_sensor_context(instance=instance, cursor=cursor) as context:
        found = sensor.evaluate_tick(context)
    for event in found.asset_events:
        instance.report_runless_asset_event(event)
    return found


def made(found: dg.SensorResult) -> list[str]:
    """Assets that a sensor entered as made, in its order."""
    events = [e for e in found.asset_events if isinstance(e, dg.AssetMaterialization)]
    return [event.asset_key.to_user_string() for event in events]


def not_fresh(workshop, instance: dg.DagsterInstance) -> list[str]:
    graph = build_definitions(workshop.root).resolve_asset_graph()
    resolver = CachingStaleStatusResolver(instance, graph, LoadingContextForTest(instance))
    return [
        stage
        for stage in workshop.pipeline.stages
        if resolver.get_status(dg.AssetKey(stage)) != StaleStatus.FRESH
    ]


def test_both_engines_leave_the_same_lock(fresh_toy, instance, tmp_path):
    root = shutil.copytree(fresh_toy.root, tmp_path / "other")
    other = type(fresh_toy)(root)
    assert fresh_toy.dvc("repro").returncode == 0
    assert other.dagster(instance).success
    assert (root / "dvc.lock").read_bytes() == (fresh_toy.root / "dvc.lock").read_bytes()
    assert other.runs() == fresh_toy.runs() == list(other.pipeline.stages)
    assert other.pipeline.stale() == {}


def test_dagster_shows_what_dvc_and_the_stage_recorded(fresh_toy, instance):
    assert fresh_toy.dagster(instance).success
    asset = latest(instance, "embeddings")
    shown = {name: value.value for name, value in asset.metadata.items()}
    assert asset.tags["dagster/data_version"] == fresh_toy.pipeline.lock()["embeddings"].output
    assert (shown["dvc"], shown["lines"], shown["share"], shown["word"]) == ("ran", 2, 0.5, "yes")
    assert shown["table"] == "| level | used |\n| --- | --- |\n| a\\|b | 0.25 |"
    assert shown["usage.png"].startswith("![usage](data:image/png;base64,iVBOR")
    assert shown["seconds"] >= 0
    assert shown["peak_memory_mb"] > 10
    assert "none" not in shown
    page = latest(instance, "codebooks").metadata["report.html"].value
    assert page == str(fresh_toy.root / "data/codebooks/report.html")
    assert not_fresh(fresh_toy, instance) == []


def test_the_stages_lines_stand_on_the_run_page(toy, instance):
    toy.set("codebooks", times=3)
    result = toy.dagster(instance, "codebooks")
    lines = [entry.user_message for entry in instance.all_logs(result.run_id)]
    assert any(line.startswith("codebooks: done in") for line in lines)


def test_a_stage_that_is_up_to_date_is_recorded_and_not_run(toy, instance):
    before = toy.runs()
    assert toy.dagster(instance).success
    assert toy.runs() == before
    assert latest(instance, "retriever").metadata["dvc"].value == "unchanged"
    assert not_fresh(toy, instance) == []


@pytest.mark.parametrize("engine", ENGINES)
def test_a_changed_knob_reruns_its_stage_and_followers_and_going_back_computes_nothing(
    toy, instance, engine
):
    first = toy.lock
    toy.set("codebooks", times=3)
    assert toy.computed(engine, instance, "retriever") == ["codebooks", "quality_gate", "retriever"]
    assert toy.lock["embeddings"] == first["embeddings"]
    toy.set("codebooks", times=2)
    assert toy.computed(engine, instance, "retriever") == []
    assert toy.lock == first
    assert (toy.root / "data/codebooks/lines.txt").read_text() == "line\n" * 4


def test_a_failing_gate_stops_dvc_before_the_retriever(toy):
    toy.set("quality_gate", most=3)
    before = len(toy.runs())
    done = toy.dvc("repro")
    assert done.returncode != 0
    assert f"{FIRST} is 4, expected at most 3: off by 1" in done.stdout + done.stderr
    assert "retriever" not in toy.runs()[before:]


def test_a_failing_gate_stops_dagster_before_the_retriever(toy, instance):
    toy.set("quality_gate", most=3)
    before = len(toy.runs())
    result = toy.dagster(instance)
    assert not result.success
    [failed] = [event for event in result.all_events if event.is_step_failure]
    assert failed.step_key == "quality_gate"
    reason = failed.step_failure_data.user_failure_data.description
    assert reason == f"error: quality_gate: {FIRST} is 4, expected at most 3: off by 1"
    checks = {e.check_name: e for e in result.get_asset_check_evaluations()}
    assert list(checks) == [expectation.name for expectation in EXPECTATIONS]
    assert [name for name, check in checks.items() if not check.passed] == [FIRST]
    assert checks[FIRST].severity == dg.AssetCheckSeverity.ERROR
    assert checks[FIRST].metadata["observed"].value == 4
    assert latest(instance, "quality_gate") is None
    assert latest(instance, "retriever") is None
    assert "retriever" not in toy.runs()[before:]


def test_a_warning_does_not_stop_dagster(toy, instance):
    toy.set("codebooks", times=1)
    result = toy.dagster(instance)
    assert result.success
    [check] = [e for e in result.get_asset_check_evaluations() if not e.passed]
    assert (check.check_name, check.severity) == (SECOND, dg.AssetCheckSeverity.WARN)


def test_a_gate_that_breaks_down_is_not_judged_by_an_old_verdict(toy, instance):
    toy.set("quality_gate", mots=3)
    result = toy.dagster(instance)
    assert not result.success
    assert result.get_asset_check_evaluations() == []


def test_a_mistake_in_params_fails_the_asset_in_the_stages_own_words(toy, instance):
    toy.set("embeddings", tims=3)
    result = toy.dagster(instance)
    [failed] = [event for event in result.all_events if event.is_step_failure]
    reason = failed.step_failure_data.user_failure_data.description
    assert reason.startswith("error: embeddings: params.yaml: unknown param `embeddings.tims`")
    assert len(reason.splitlines()) == 1


def test_dagster_completes_after_dvc_was_killed_and_its_stage_lives_on(toy, instance):
    toy.set("codebooks", times=3)
    (toy.root / "hang").touch()
    killed = toy.start_dvc("repro")
    for line in killed.stdout:
        if "half-way" in line:
            break
    os.kill(killed.pid, signal.SIGKILL)
    killed.wait()
    assert toy.dagster(instance).success
    killed.stdout.close()
    assert toy.pipeline.stale() == {}
    assert (toy.root / "data/codebooks/lines.txt").read_text() == "line\n" * 6


def test_work_done_by_dvc_shows_up_in_dagster_once(toy, instance):
    sensor = repro_sensor(toy.pipeline)
    stages = list(toy.pipeline.stages)
    found = look(sensor, instance)
    assert made(found) == stages
    assert latest(instance, "embeddings").metadata["lines"].value == 2
    checks = [e for e in found.asset_events if isinstance(e, dg.AssetCheckEvaluation)]
    assert [check.check_name for check in checks] == [e.name for e in EXPECTATIONS]
    assert not_fresh(toy, instance) == []
    assert look(sensor, instance).asset_events == []
    toy.set("codebooks", times=3)
    assert toy.dvc("repro").returncode == 0
    found = look(repro_sensor(toy.pipeline), instance)
    # The gate's verdict names other numbers, so that even the retriever's input changed.
    assert made(found) == stages[1:]
    assert not_fresh(toy, instance) == []


def test_what_dagster_made_itself_is_not_entered_again(toy, instance):
    assert toy.dagster(instance).success
    assert look(repro_sensor(toy.pipeline), instance).asset_events == []


def test_note_is_taken_only_while_no_run_is_going(toy, instance):
    job = build_definitions(toy.root).resolve_job_def("run_everything")
    run = instance.create_run_for_job(job, status=dg.DagsterRunStatus.STARTED)
    assert look(repro_sensor(toy.pipeline), instance).skip_message == "A run is in progress."
    instance.report_run_canceled(instance.get_run_by_id(run.run_id))
    assert look(repro_sensor(toy.pipeline), instance).asset_events


def test_new_files_are_built_once_they_have_settled(toy, instance):
    sensor = incoming_sensor(toy.pipeline)
    incoming = toy.root / "data" / "incoming"
    (incoming / "items.csv").write_text("item_id,title\n1,One\n")
    first = look(sensor, instance)
    assert "still changing" in first.skip_message
    with (incoming / "items.csv").open("a") as file:
        file.write("2,Two\n")
    second = look(sensor, instance, first.cursor)
    assert "still changing" in second.skip_message
    third = look(sensor, instance, second.cursor)
    assert len(third.run_requests) == 1
    assert look(sensor, instance, third.cursor).run_requests == []


def test_files_that_were_built_already_start_nothing(toy, instance):
    sensor = incoming_sensor(toy.pipeline)
    first = look(sensor, instance)
    second = look(sensor, instance, first.cursor)
    assert second.run_requests == []
    assert second.skip_message == "The files are those of the last build."


@pytest.mark.parametrize(("engine", "size"), [("dvc", 12), ("dagster", 10)])
def test_another_codebook_size_reruns_codebooks_and_followers_alone(house, instance, engine, size):
    first, followers = house.lock, ["codebooks", "semantic_ids", "collision_report", "quality_gate"]
    house.set("codebooks", codebook_size=size)
    assert house.computed(engine, instance, "quality_gate") == followers
    assert house.pipeline.lock()["codebooks"].output != first["codebooks"]["outs"][0]["md5"]
    house.set("codebooks", codebook_size=16)
    assert house.computed(engine, instance, "quality_gate") == []
    assert house.lock == first


def test_after_a_gate_failed_in_either_engine_the_last_release_still_answers(
    house, instance, put_release
):
    home = put_release(house.root)
    try:
        house.set("quality_gate", gini_of_different={"maximum": 0.0})
        failed = house.dvc("repro", "quality_gate")
        assert failed.returncode != 0
        result = house.dagster(instance, *list(house.pipeline.stages)[:8])
        [step] = [event for event in result.all_events if event.is_step_failure]
        reason = step.step_failure_data.user_failure_data.description
        for said in (failed.stdout + failed.stderr, reason):
            assert "gini_of_different is" in said
            assert "expected at most 0: off by" in said
        answer = subprocess.run(
            [sys.executable, "-c", SEARCH],
            cwd=house.root,
            capture_output=True,
            text=True,
            check=True,
        )
        assert len(json.loads(answer.stdout)) == 10
    finally:
        shutil.rmtree(home)
        house.set("quality_gate", gini_of_different={"maximum": 0.6})
        assert house.computed("dvc", instance, "quality_gate") == []


def test_dagsters_command_materialises_by_string_as_its_users_type_it(house, tmp_path):
    shutil.copy(ROOT / "orchestration" / "commands" / "dagster.yaml", tmp_path)
    words = ["asset", "materialize", "--select", "key:codebooks+ and +key:quality_gate"]
    done = subprocess.run(
        [sys.executable, "-m", "dagster", *words, "-m", "orchestration.definitions"],
        cwd=house.root,
        env=os.environ | {"DAGSTER_HOME": str(tmp_path)},
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    assert "quality_gate" not in house.pipeline.stale()
    with dg.DagsterInstance.from_config(str(tmp_path)) as instance:
        verdict = json.loads((house.root / "data/quality_gate/verdict.json").read_text())
        assert latest(instance, "quality_gate").metadata["dvc"].value == "unchanged"
        assert len(verdict["outcomes"]) == len(EXPECTATIONS)
