"""The stage contract: all or nothing, readable errors, one at a time."""

from __future__ import annotations

import fcntl
import json
import os
import signal
import subprocess
import sys
import threading
from pathlib import Path

import pytest

from assets.files import exchange
from assets.stage import _swap_in

# A stage as small as one can be; it says when it works and then waits to be let go.
STAGE = """
import sys
import threading
from pathlib import Path
from assets.stage import Params, UserError, run_stage

class NoiseParams(Params):
    word: str = "hello"

def main(run):
    (run.folder / "half.txt").write_text(run.params.word)
    print("working", flush=True)
    if "fail" in sys.argv:
        raise UserError("items.csv, row 3: no title; add one.")
    if "wait" in sys.argv:
        sys.stdin.readline()
    run.report({"words": 1})

run_stage("embeddings", NoiseParams, main)
"""


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    (tmp_path / "params.yaml").write_text("embeddings: {word: first}\n")
    (tmp_path / "stage.py").write_text(STAGE)
    return tmp_path


def run(folder: Path, *words: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "stage.py", *words],
        cwd=folder,
        capture_output=True,
        text=True,
        check=False,
    )


def asset(folder: Path) -> dict[str, str]:
    return {f.name: f.read_text() for f in (folder / "data" / "embeddings").iterdir()}


def test_a_run_leaves_exactly_its_own_files(folder):
    assert run(folder).returncode == 0
    assert asset(folder) == {"half.txt": "first", "report.json": '{\n "words": 1\n}\n'}
    entry = json.loads((folder / "data/logs/stages.jsonl").read_text())
    assert entry["stage"] == "embeddings"
    assert entry["peak_memory_mb"] > 0


def test_a_failed_run_leaves_the_previous_asset_and_one_sentence(folder):
    run(folder)
    (folder / "params.yaml").write_text("embeddings: {word: second}\n")
    failed = run(folder, "fail")
    assert failed.returncode == 1
    assert failed.stderr == "error: embeddings: items.csv, row 3: no title; add one.\n"
    assert asset(folder)["half.txt"] == "first"


@pytest.mark.parametrize(
    ("params", "said"),
    [
        ("embeddings: {wrod: x}", "unknown param `embeddings.wrod`; known ones are seed, word"),
        ("embedings: {word: x}", "unknown section `embedings`"),
        ("embeddings: {word: [1]}", "`embeddings.word`: Input should be a valid string"),
        ("embeddings: {word: x", "is no valid YAML"),
        ("- embeddings", "must map section names to params"),
    ],
)
def test_bad_params_are_refused_with_the_name_of_the_fault(folder, params, said):
    (folder / "params.yaml").write_text(params)
    failed = run(folder)
    assert failed.returncode == 1
    assert said in failed.stderr
    assert "Traceback" not in failed.stderr
    assert not (folder / "data" / "embeddings").exists()


def test_params_that_are_no_text_file_are_refused(folder):
    (folder / "params.yaml").write_bytes(b"embeddings: {word: caf\xe9}")
    assert "params.yaml cannot be read as a text file in UTF-8" in run(folder).stderr
    (folder / "params.yaml").unlink()
    (folder / "params.yaml").mkdir()
    failed = run(folder)
    assert "params.yaml cannot be read" in failed.stderr
    assert "Traceback" not in failed.stderr


def test_outside_a_project_the_error_says_where_to_go(tmp_path):
    (tmp_path / "stage.py").write_text(STAGE)
    assert "run from the project's top folder" in run(tmp_path).stderr


def test_a_killed_stage_leaves_the_previous_asset_and_the_next_run_completes(folder):
    run(folder)
    (folder / "params.yaml").write_text("embeddings: {word: second}\n")
    killed = start(folder, [sys.executable, "stage.py", "wait"])
    killed.kill()
    killed.wait()
    assert asset(folder)["half.txt"] == "first"
    assert run(folder).returncode == 0
    assert asset(folder)["half.txt"] == "second"


def test_a_process_left_by_a_killed_run_is_ended_by_the_next(folder):
    parent = start(
        folder,
        [
            sys.executable,
            "-c",
            "import subprocess, sys; subprocess.run([sys.executable, 'stage.py', 'wait'])",
        ],
        until="working",
    )
    holder = json.loads((folder / "data/logs/embeddings.lock").read_text())["pid"]
    parent.kill()
    parent.wait()
    os.kill(holder, 0)  # it is still alive
    done = run(folder)
    assert done.returncode == 0
    assert f"ended process {holder}" in done.stdout
    assert asset(folder)["half.txt"] == "first"


def test_a_second_run_waits_for_the_first(folder):
    first = start(folder, [sys.executable, "stage.py", "wait"])
    second = start(folder, [sys.executable, "stage.py"], until="waiting for process")
    assert not (folder / "data" / "embeddings").exists()
    first.communicate("\n")
    said, _ = second.communicate()
    assert first.returncode == second.returncode == 0
    assert "working" in said


def test_a_reader_finds_an_asset_at_every_moment_of_a_swap(tmp_path):
    target, looks, gone = tmp_path / "asset", 0, 0
    for name in ("asset", "first"):
        (tmp_path / name).mkdir()
    if not exchange(tmp_path / "first", target):
        pytest.skip("this file system cannot let two folders change places")
    done = threading.Event()

    def swap_often():
        for number in range(1000):
            new = tmp_path / f"new{number}"
            new.mkdir()
            _swap_in(new, target)
        done.set()

    thread = threading.Thread(target=swap_often)
    thread.start()
    while not done.is_set():
        looks += 1
        gone += not target.exists()
    thread.join()
    assert looks > 100
    assert gone == 0
    assert sorted(path.name for path in tmp_path.iterdir()) == ["asset", "first"]


def test_what_is_missing_changes_no_places(tmp_path):
    (tmp_path / "there").mkdir()
    with pytest.raises(FileNotFoundError):
        exchange(tmp_path / "there", tmp_path / "missing")


@pytest.mark.parametrize("text", ["", "{", "7", '{"pid": 1}' + " " * 500])
def test_a_lock_file_that_says_nothing_or_is_longer_is_no_obstacle(folder, text):
    lock = folder / "data" / "logs" / "embeddings.lock"
    lock.parent.mkdir(parents=True)
    lock.write_text(text)
    assert run(folder).returncode == 0
    assert set(json.loads(lock.read_text())) == {"pid", "created", "parents"}


def test_a_holder_that_has_not_said_who_it_is_is_waited_for(folder):
    lock = folder / "data" / "logs" / "embeddings.lock"
    lock.parent.mkdir(parents=True)
    with lock.open("w") as file:
        fcntl.flock(file, fcntl.LOCK_EX)
        second = start(folder, [sys.executable, "stage.py"], until="waiting for another process")
        fcntl.flock(file, fcntl.LOCK_UN)
        second.communicate()
    assert second.returncode == 0


def test_an_interrupted_run_says_so_and_changes_nothing(folder):
    first = start(folder, [sys.executable, "stage.py", "wait"])
    first.send_signal(signal.SIGINT)
    _, errors = first.communicate()
    assert first.returncode == 130
    assert "interrupted; this run has written nothing to data/embeddings" in errors
    assert not (folder / "data" / "embeddings").exists()


def start(folder: Path, command: list[str], until: str = "working") -> subprocess.Popen[str]:
    """Start a process and return when it has printed a line that holds `until`."""
    process = subprocess.Popen(
        command,
        cwd=folder,
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        # A suite that a shell started in the background ignores Ctrl-C, and so would its children.
        preexec_fn=lambda: signal.signal(signal.SIGINT, signal.SIG_DFL),  # noqa: PLW1509
    )
    assert process.stdout is not None
    for line in process.stdout:
        if until in line:
            return process
    raise AssertionError(process.communicate())
