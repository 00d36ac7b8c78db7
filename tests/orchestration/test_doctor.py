"""`sidmill doctor`: what it calls slow and broken, and that it keeps secrets."""

from __future__ import annotations

import json
import os
import platform
import shutil
import socket
import subprocess
import sys

import pytest
import yaml
from conftest import ROOT

from assets.threads import usable_cores
from orchestration.commands.doctor.command import PROBES, examine
from orchestration.commands.doctor.machine import cores, memory, name_and_flags

DOCTOR = "from orchestration.commands.main import main; main(['doctor', '--json'])"


def doctor(folder, **environment):
    """Ask as a user does: exit code and findings by name."""
    done = subprocess.run(
        [sys.executable, "-c", DOCTOR],
        cwd=folder,
        env=os.environ | environment,
        capture_output=True,
        text=True,
        check=False,
    )
    assert not done.stderr
    told = json.loads(done.stdout)
    assert told["broken"] == sum(finding["state"] == "broken" for finding in told["findings"])
    assert done.returncode == (1 if told["broken"] else 0)
    return done.stdout, {finding["what"]: finding for finding in told["findings"]}


@pytest.fixture
def project_of(tmp_path):
    """Makes a project that never ran, with some params."""

    def make(**params):
        root = tmp_path / "project"
        root.mkdir()
        shutil.copy(ROOT / "dvc.yaml", root)
        (root / "params.yaml").write_text(yaml.safe_dump(params))
        return root

    return make


@pytest.fixture
def package(tmp_path):
    """Makes a folder in which a package looks installed."""

    def make(name, version, module):
        info = tmp_path / "site" / f"{name.replace('-', '_')}-{version}.dist-info"
        info.mkdir(parents=True)
        (info / "METADATA").write_text(f"Metadata-Version: 2.1\nName: {name}\nVersion: {version}\n")
        (info / "top_level.txt").write_text(f"{module}\n")

    return make


def test_in_a_project_everything_is_looked_at_and_no_secret_is_told(toy):
    secrets = dict.fromkeys(("SIDMILL_OPENAI_KEY", "SIDMILL_TOKEN"), "sesame")
    text, found = doctor(toy.root, **secrets)
    assert "sesame" not in text
    assert (
        found["SIDMILL_OPENAI_KEY"] | {"said": "set", "state": "OK"}
        == (found["SIDMILL_OPENAI_KEY"])
    )
    assert found["SIDMILL_TOKEN"]["state"] == "slow"
    assert "SIDMILL_OPENAI_KEY" in found["SIDMILL_TOKEN"]["fix"]
    assert found["SIDMILL_THREADS"]["said"] == os.environ["SIDMILL_THREADS"]
    looked_at = {"python", "system", "cores", "load", "memory", "disk", "processor", "bfloat16"}
    looked_at |= {"torch", "GPU", "faiss", "packages", "project", "git", "params.yaml", "DVC cache"}
    looked_at |= {"DVC links", "data", "compiled loops", "port 3000", "port 8000"}
    assert looked_at <= set(found)
    assert all((one["fix"] is None) == (one["state"] == "OK") for one in found.values())
    assert found["git"]["state"] == "OK"
    assert found["DVC cache"]["said"] == f"{toy.root / '.dvc' / 'cache'}, writable"
    assert found["DVC links"]["said"].split(":")[0] in {"copy", "reflink"}
    assert "numpy" in found["packages"]["said"]


def test_outside_a_project_it_says_so_and_looks_at_the_rest(tmp_path):
    _, found = doctor(tmp_path)
    assert found["project"]["state"] == "slow"
    assert str(tmp_path) in found["project"]["said"]
    assert "params.yaml and dvc.yaml" in found["project"]["fix"]
    assert not {"params.yaml", "DVC cache", "data"} & set(found)
    assert found["torch"]["state"] == "OK"


def test_what_cannot_work_is_broken(project_of, tmp_path, package):
    (tmp_path / "file").write_text("")
    package("faiss-gpu", "1.15.1", "faiss")
    package("dvc", "2.0.0", "dvc")
    path = os.pathsep.join([str(tmp_path / "site"), os.environ.get("PYTHONPATH", "")])
    _, found = doctor(
        project_of(codebooks={"quantizer": "rq_kmean"}),
        PYTHONPATH=path,
        XDG_CACHE_HOME=str(tmp_path / "file"),
        SIDMILL_THREADS="many",
    )
    broken = {name for name, one in found.items() if one["state"] == "broken"}
    assert {"compiled loops", "faiss", "dvc", "params.yaml", "variables"} <= broken
    assert "cannot be written to" in found["compiled loops"]["said"]
    assert "faiss-gpu" in found["faiss"]["said"]
    assert "2.0.0, but >=3" in found["dvc"]["said"]
    assert 'pip install "dvc>=' in found["dvc"]["fix"]
    assert "codebooks.quantizer" in found["params.yaml"]["said"]
    assert "SIDMILL_THREADS" in found["variables"]["said"]


def test_bfloat16_is_slow_where_params_ask_for_it_and_the_processor_has_none(project_of):
    if platform.machine() != "x86_64":
        pytest.skip("another instruction set can be played on x86 alone")
    look = (
        "from pathlib import Path; from orchestration.commands.doctor.project import precision; "
        "[found] = precision(Path()); print(found.state, found.said, found.fix, sep='\\n')"
    )

    def looked(precision):
        (root / "params.yaml").write_text(f"retriever: {{precision: {precision}}}\n")
        return examined()

    def examined():
        done = subprocess.run(
            [sys.executable, "-c", look],
            cwd=root,
            env=os.environ | {"ONEDNN_MAX_CPU_ISA": "AVX2"},
            capture_output=True,
            text=True,
            check=True,
        )
        return done.stdout.splitlines()

    root = project_of()
    state, said, _ = looked("auto")
    assert (state, "takes float32" in said) == ("OK", True)
    state, said, fix = looked("bfloat16")
    assert (state, "in retriever" in said, "set `auto`" in fix) == ("slow", True, True)
    (root / "params.yaml").write_text("synthetic_queries: {transformers: {dtype: bfloat16}}\n")
    state, said, _ = examined()
    assert (state, "in synthetic_queries" in said) == ("slow", True)


def test_more_threads_than_cores_are_slow(monkeypatch):
    monkeypatch.setenv("SIDMILL_THREADS", "4000")
    found = next(cores(None))
    assert found.state == "slow"
    assert f"SIDMILL_THREADS={usable_cores()}" in found.fix


def test_the_memory_of_a_container_counts(tmp_path):
    (tmp_path / "memory.max").write_text("1000000000\n")
    found = next(memory(None, tmp_path))
    assert found.state == "broken"
    assert "1.0 GB for this container" in found.said
    (tmp_path / "memory.max").write_text("max\n")
    assert "container" not in next(memory(None, tmp_path)).said


def test_a_taken_port_names_another(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    with socket.socket() as other:
        other.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            other.bind(("127.0.0.1", 3000))
            other.listen()
        except OSError:  # taken by somebody else, which is as good
            pass
        found = {finding.what: finding for finding in PROBES["ports"](None)}
    assert found["port 3000"].state == "slow"
    assert "sidmill ui --port 3001" in found["port 3000"].fix


def test_a_probe_that_breaks_is_a_finding_and_not_the_end(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    (tmp_path / ".dvc").mkdir()
    (tmp_path / ".dvc" / "config").write_text("[core\n")
    found = {finding.what: finding for finding in examine(tmp_path)}
    assert found["DVC"].state == "broken"
    assert "dvc cache dir" in found["DVC"].said
    assert "port 8000" in found  # probes after it are asked all the same


def test_a_folder_without_git_that_dvc_was_not_told_of_is_left_to_the_run(tmp_path):
    (tmp_path / ".dvc").mkdir()
    found = {finding.what: finding for finding in PROBES["DVC"](tmp_path)}
    assert found["DVC"].state == "slow"
    assert "sidmill run" in found["DVC"].fix


def test_the_processor_has_a_name_and_instructions():
    name, flags = name_and_flags()
    assert name
    if platform.machine() == "x86_64" and sys.platform == "linux":
        assert "sse2" in flags
