"""Each ``SIDMILL_*`` variable is obeyed in a fresh process, and a bad value is one sentence.

Three are shown elsewhere: the endpoint's key and concurrency in ``synthetic_queries``, two training
processes in ``bi_encoder``.
"""

from __future__ import annotations

import json
import math
import os
import platform
import subprocess
import sys

import pytest
import torch
from conftest import ROOT, run_stage

from assets import threads
from assets.machine import Machine, bfloat16_is_fast, precision_for
from assets.stage import UserError

THREADS = ("SIDMILL_THREADS", *threads.COUNTS, *threads.WAITING)
POOLS = """
import json, os, faiss, numba, numpy, pyarrow, scipy.linalg, sklearn.cluster, threadpoolctl, torch
print(json.dumps({
    "torch": torch.get_num_threads(),
    "numba": numba.get_num_threads(),
    "arrow": pyarrow.cpu_count(),
    "pools": sorted({pool["num_threads"] for pool in threadpoolctl.threadpool_info()}),
    "waiting": [os.environ["OMP_WAIT_POLICY"], os.environ["OPENBLAS_THREAD_TIMEOUT"]],
}))
"""


def fresh(code, folder=ROOT, **environment):
    """Run code in a new process that has none of this one's thread variables; return its JSON."""
    kept = {name: value for name, value in os.environ.items() if name not in THREADS}
    done = subprocess.run(
        [sys.executable, "-W", "ignore", "-c", code],
        cwd=folder,
        env=kept | {"PYTHONPATH": str(ROOT)} | environment,
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    return json.loads(done.stdout)


@pytest.mark.parametrize("first", ["assets.files", "orchestration.commands.options", "sidmill"])
def test_whatever_is_imported_first_every_library_takes_the_threads_it_is_told(first):
    found = fresh(f"import {first}\n{POOLS}", SIDMILL_THREADS="1", OMP_NUM_THREADS="2")
    assert found == {
        "torch": 1,
        "numba": 1,
        "arrow": 1,
        "pools": [1],
        "waiting": ["passive", "4"],
    }


def test_a_program_that_had_loaded_the_libraries_before_is_limited_too():
    code = f"import numpy, torch, numba, scipy.linalg, sklearn.cluster\nimport assets\n{POOLS}"
    found = fresh(code, SIDMILL_THREADS="1")
    assert (found["torch"], found["numba"], found["pools"]) == (1, 1, [1])


def test_fewer_threads_are_preferred_unless_a_user_asked_for_some():
    code = f"import assets, pandas\nfrom assets.threads import prefer\nprefer(1)\n{POOLS}"
    found = fresh(code)
    assert (found["torch"], found["numba"], found["pools"]) == (1, 1, [1])
    found = fresh(code, SIDMILL_THREADS="2")
    assert (found["torch"], found["pools"]) == (2, [2])


def test_what_a_user_set_for_a_library_stands_unless_sidmill_is_told_otherwise():
    code = "import assets, json, os; print(json.dumps(os.environ['OMP_NUM_THREADS']))"
    assert fresh(code, OMP_NUM_THREADS="3") == "3"
    assert fresh(code, OMP_NUM_THREADS="3", SIDMILL_THREADS="2") == "2"


@pytest.mark.parametrize(
    ("text", "share"), [("150000 100000\n", 1.5), ("max 100000\n", math.inf), ("", math.inf)]
)
def test_the_share_of_the_processor_that_a_container_gets_is_read(tmp_path, text, share):
    file = tmp_path / "cpu.max"
    assert threads._share_of_container(file) == math.inf
    file.write_text(text)
    assert threads._share_of_container(file) == share


def test_the_warehouse_keeps_to_threads_memory_and_the_folder_to_spill_to(tmp_path):
    code = """
import json
from pathlib import Path
from assets.interactions.warehouse import opened
from assets.machine import Machine
with opened(Path("warehouse.duckdb"), Machine.here(), {}) as db:
    names = ["threads", "memory_limit", "temp_directory"]
    chosen = ", ".join(f"current_setting('{name}')" for name in names)
    print(json.dumps(db.execute(f"SELECT {chosen}").fetchone()))
"""
    found = fresh(
        code,
        tmp_path,
        SIDMILL_THREADS="3",
        SIDMILL_MEMORY_LIMIT="512MiB",
        SIDMILL_TEMP_FOLDER="spill/here",
    )
    assert found == [3, "512.0 MiB", "spill/here"]
    assert (tmp_path / "spill" / "here").is_dir()


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("DEVICE", "gpu"),
        ("THREADS", "0"),
        ("THREADS", "many"),
        ("MEMORY_LIMIT", "lots"),
        ("MEMORY_LIMIT", "4"),
        ("OPENAI_CONCURRENCY", "0"),
        ("PROCESSES", "-1"),
    ],
)
def test_a_value_that_may_not_be_is_one_sentence_that_names_the_variable(monkeypatch, name, value):
    monkeypatch.setenv(f"SIDMILL_{name}", value)
    with pytest.raises(UserError, match=rf"^SIDMILL_{name}: [^\n]*\.$"):
        Machine.here()


def test_a_folder_to_spill_to_that_cannot_be_made_is_one_sentence(monkeypatch, tmp_path):
    (tmp_path / "file").write_text("")
    monkeypatch.setenv("SIDMILL_TEMP_FOLDER", str(tmp_path / "file" / "below"))
    with pytest.raises(UserError, match=r"^SIDMILL_TEMP_FOLDER: [^\n]*cannot be made"):
        Machine.here().spill_folder()


def test_a_stage_ends_with_the_sentence(tmp_path):
    (tmp_path / "params.yaml").write_text("interactions: {}\n")
    (tmp_path / "data" / "incoming").mkdir(parents=True)
    done = run_stage("interactions", tmp_path, SIDMILL_MEMORY_LIMIT="lots")
    assert done.returncode == 1
    assert "error: interactions: SIDMILL_MEMORY_LIMIT: 'lots' is no amount" in done.stderr
    assert "Traceback" not in done.stderr


@pytest.mark.skipif(torch.cuda.is_available(), reason="there is a GPU")
def test_a_gpu_that_is_not_there_is_one_sentence(monkeypatch):
    monkeypatch.setenv("SIDMILL_DEVICE", "cuda")
    with pytest.raises(UserError, match=r"^SIDMILL_DEVICE is `cuda`, but torch sees no GPU"):
        Machine.here().torch_device()


def test_the_device_and_the_processes_are_those_that_are_named(monkeypatch):
    monkeypatch.setenv("SIDMILL_DEVICE", "cpu")
    monkeypatch.setenv("SIDMILL_PROCESSES", "3")
    assert Machine.here().torch_device() == "cpu"
    assert Machine.here().training_processes() == 3
    monkeypatch.delenv("SIDMILL_PROCESSES")
    assert Machine.here().training_processes() == 1


def test_the_key_is_not_shown(monkeypatch):
    monkeypatch.setenv("SIDMILL_OPENAI_KEY", "hush")
    assert Machine.here().openai_key.get_secret_value() == "hush"
    assert "hush" not in f"{Machine.here()!r} {Machine.here().model_dump_json()}"


def test_a_precision_that_is_named_is_taken_and_auto_takes_what_is_fast():
    assert precision_for("float32", "cpu") == "float32"
    assert precision_for("bfloat16", "cpu") == "bfloat16"
    assert (precision_for("auto", "cpu") == "bfloat16") == bfloat16_is_fast("cpu")


@pytest.mark.skipif(platform.machine() != "x86_64", reason="the variable is of such processors")
@pytest.mark.parametrize("instructions", ["AVX2", "AVX512_CORE"])
def test_a_processor_without_instructions_for_bfloat16_is_told_from_one_with_them(instructions):
    code = "import json, assets.machine as m; print(json.dumps(m.precision_for('auto', 'cpu')))"
    assert fresh(code, ONEDNN_MAX_CPU_ISA=instructions) == "float32"


@pytest.mark.skipif(
    not getattr(torch.cpu, "_is_amx_tile_supported", bool)(),
    reason="no processor that is surely fast in bfloat16",
)
def test_a_processor_with_matrix_units_for_bfloat16_uses_them():
    code = "import json, assets.machine as m; print(json.dumps(m.precision_for('auto', 'cpu')))"
    assert fresh(code) == "bfloat16"
