"""Reading dvc.yaml and dvc.lock, and starting DVC."""

from __future__ import annotations

import json
import os
import signal
import time

import psutil
import pytest
import yaml
from conftest import ROOT

from assets.stage import UserError
from orchestration.dvc_pipeline import Pipeline, StageFailedError, repro


def quiet(line: str) -> None:
    """Take a line and drop it."""


def holder(toy) -> psutil.Process:
    """The process that is inside the stage `codebooks`."""
    return psutil.Process(json.loads((toy.root / "data/logs/codebooks.lock").read_text())["pid"])


def alive(process: psutil.Process) -> bool:
    """Whether it does anything any more; where nobody collects orphans the dead stay listed."""
    return process.is_running() and process.status() != psutil.STATUS_ZOMBIE


def wait_for(process, text: str) -> None:
    for line in process.stdout:
        if text in line:
            return
    pytest.fail(f"it ended without saying {text!r}")


def test_stages_come_with_what_they_need_first(toy):
    file = toy.root / "dvc.yaml"
    raw = yaml.safe_load(file.read_text())
    raw["stages"] = dict(reversed(raw["stages"].items()))
    file.write_text(yaml.safe_dump(raw, sort_keys=False))
    stages = toy.pipeline.stages
    assert list(stages) == ["embeddings", "codebooks", "quality_gate", "retriever"]
    assert stages["embeddings"].upstream == ()
    assert stages["quality_gate"].upstream == ("codebooks",)  # it reads a file of the folder
    assert stages["embeddings"].pool == "gpu"
    assert stages["codebooks"].params == (("params.yaml", "codebooks"),)
    assert toy.pipeline.leaves() == ["retriever"]


def test_stages_that_do_not_need_each_other_come_in_the_order_of_the_file():
    written = list(yaml.safe_load((ROOT / "dvc.yaml").read_text(encoding="utf-8"))["stages"])
    assert list(Pipeline.load(ROOT).stages) == written


def test_params_of_another_file_are_told_apart(toy):
    file = toy.root / "dvc.yaml"
    raw = yaml.safe_load(file.read_text())
    raw["stages"]["codebooks"]["params"] = ["codebooks", {"data/base.yaml": ["release"]}]
    file.write_text(yaml.safe_dump(raw))
    expected = (("params.yaml", "codebooks"), ("data/base.yaml", "release"))
    assert toy.pipeline.stages["codebooks"].params == expected


def test_a_folder_without_dvc_yaml_is_named(tmp_path):
    with pytest.raises(UserError, match=r"dvc.yaml not found: start from the project's top folder"):
        Pipeline.load(tmp_path)


def test_stages_that_need_each_other_are_named(tmp_path):
    stages = {"a": {"cmd": "x", "deps": ["b"], "outs": ["a"]}}
    stages["b"] = {"cmd": "x", "deps": ["a"], "outs": ["b"]}
    (tmp_path / "dvc.yaml").write_text(yaml.safe_dump({"stages": stages}))
    with pytest.raises(UserError, match=r"circle: [ab] -> [ab] -> [ab]"):
        Pipeline.load(tmp_path)


def test_the_lock_says_what_was_made_from_what(toy):
    lock = toy.pipeline.lock()
    assert list(lock) == ["embeddings", "codebooks", "quality_gate", "retriever"]
    assert lock["embeddings"].output == toy.lock["embeddings"]["outs"][0]["md5"]
    assert lock["codebooks"].inputs == {"embeddings": lock["embeddings"].output}
    assert lock["retriever"].inputs == {"quality_gate": lock["quality_gate"].output}


def test_nothing_is_locked_before_the_first_run(fresh_toy):
    assert fresh_toy.pipeline.lock() == {}


def test_the_code_version_follows_code_command_and_own_params_alone(toy):
    def version() -> str:
        return toy.pipeline.code_version(toy.pipeline.stages["codebooks"])

    first = version()
    toy.set("embeddings", times=9)
    (toy.root / "data/embeddings/lines.txt").write_text("other")
    assert version() == first
    toy.set("codebooks", times=9)
    second = version()
    assert second != first
    with (toy.root / "toy.py").open("a") as file:
        file.write("# changed\n")
    assert version() not in {first, second}


def test_what_is_up_to_date_is_left_alone(toy):
    lines = []
    assert repro(toy.root, "codebooks", lines.append) == "unchanged"
    assert any("didn't change" in line for line in lines)


def test_a_changed_stage_runs_and_is_restored_when_changed_back(toy):
    lines = []
    toy.set("codebooks", times=3)
    assert repro(toy.root, "codebooks", lines.append) == "ran"
    assert any(line.startswith("codebooks: done in") for line in lines)
    toy.set("codebooks", times=2)
    assert repro(toy.root, "codebooks", lines.append) == "restored from cache"


def test_a_failed_stage_is_reported_in_its_own_words(toy):
    toy.set("codebooks", tims=3)
    with pytest.raises(StageFailedError) as failure:
        repro(toy.root, "codebooks", quiet)
    [line] = failure.value.lines
    assert line.startswith("error: codebooks: params.yaml: unknown param `codebooks.tims`; known")


def test_a_stage_without_its_input_says_what_is_missing(fresh_toy):
    with pytest.raises(StageFailedError, match="data/embeddings"):
        repro(fresh_toy.root, "codebooks", quiet)


def test_another_dvc_at_work_is_waited_for(toy):
    toy.set("codebooks", times=3)
    (toy.root / "hang").touch()
    other = toy.start_dvc("repro", "codebooks")
    wait_for(other, "half-way")
    lines = []

    def let_the_other_go_on(line: str) -> None:
        lines.append(line)
        if "another DVC is at work" in line:
            (toy.root / "hung").unlink(missing_ok=True)

    assert repro(toy.root, "codebooks", let_the_other_go_on, pause=0.5) == "unchanged"
    assert any("another DVC is at work" in line for line in lines)
    assert other.wait() == 0
    other.stdout.close()


def test_patience_ends(toy):
    toy.set("codebooks", times=3)
    (toy.root / "hang").touch()
    other = toy.start_dvc("repro", "codebooks")
    wait_for(other, "half-way")
    with pytest.raises(StageFailedError, match="is busy"):
        repro(toy.root, "codebooks", quiet, patience=0)
    (toy.root / "hung").unlink()
    assert other.wait() == 0
    other.stdout.close()


def test_an_interrupted_run_leaves_no_process_behind(toy):
    toy.set("codebooks", times=3)
    (toy.root / "hang").touch()
    inside = []

    def stop(line: str) -> None:
        if "half-way" in line:
            inside.append(holder(toy))
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        repro(toy.root, "codebooks", stop)
    deadline = time.monotonic() + 5
    while alive(*inside):  # the kernel takes its moment
        assert time.monotonic() < deadline
    assert repro(toy.root, "codebooks", quiet) == "ran"


def test_the_next_run_completes_after_dvc_was_killed_and_its_stage_lives_on(toy):
    toy.set("codebooks", times=3)
    (toy.root / "hang").touch()
    killed = toy.start_dvc("repro", "codebooks")
    wait_for(killed, "half-way")
    orphan = holder(toy)
    killed.kill()
    killed.wait()
    assert alive(orphan)
    lines = []
    assert repro(toy.root, "codebooks", lines.append) == "ran"
    assert any(f"ended process {orphan.pid}" in line for line in lines)
    assert not alive(orphan)
    killed.stdout.close()
    assert toy.pipeline.stale().keys() == {"quality_gate", "retriever"}


def test_the_next_run_completes_after_dvc_was_killed_while_it_wrote_its_lock_file(toy):
    toy.set("codebooks", times=3)
    (toy.root / ".dvc" / "tmp" / "rwlock").write_text("")
    lines = []
    assert repro(toy.root, "codebooks", lines.append) == "ran"
    assert (
        "codebooks: a killed DVC left .dvc/tmp/rwlock half-written: removed, trying again" in lines
    )


def test_the_next_run_completes_after_the_stage_was_killed(toy):
    toy.set("codebooks", times=3)
    (toy.root / "hang").touch()
    killed = toy.start_dvc("repro", "codebooks")
    wait_for(killed, "half-way")
    os.kill(holder(toy).pid, signal.SIGKILL)
    assert killed.wait() != 0
    killed.stdout.close()
    assert repro(toy.root, "codebooks", quiet) == "ran"


def test_status_names_the_reason_and_what_follows(toy):
    assert toy.pipeline.stale() == {}
    toy.set("codebooks", times=3)
    assert toy.pipeline.stale() == {
        "codebooks": ["codebooks.times was 2, is 3"],
        "quality_gate": ["follows codebooks"],
        "retriever": ["follows quality_gate"],
    }


def test_status_of_a_project_that_was_never_run(fresh_toy):
    stale = fresh_toy.pipeline.stale()
    assert list(stale) == list(fresh_toy.pipeline.stages)
    assert stale["codebooks"] == ["never made", "follows embeddings"]


def test_status_names_new_files_of_the_user(toy):
    (toy.root / "data/incoming/items.csv").write_text("item_id,title\n1,One\n")
    assert toy.pipeline.stale()["embeddings"] == ["data/incoming modified"]
