"""Training in several processes, and in one that is killed: both end as one that is left alone."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from bi_encoder.training_runs import trained, weights_of
from conftest import ROOT, run_stage
from safetensors.numpy import load_file

from assets.bi_encoder.base_model import load_base, save_encoder
from assets.bi_encoder.params import BiEncoderParams


def test_a_killed_training_goes_on_where_it_was_and_ends_the_same(trainable):
    whole = trained(trainable("whole", steps=40, check_every=2, patience=100))
    folder = trainable("killed", steps=40, check_every=2, patience=100)
    process = subprocess.Popen(
        [sys.executable, "-m", "assets.bi_encoder"],
        cwd=folder,
        env=os.environ | {"HF_HUB_OFFLINE": "1"},
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
    )

    def states():
        return sorted(
            (folder / "data" / "cache" / "training").glob(
                "bi_encoder/*/checkpoints/*/trainer_state.json"
            ),
            key=lambda file: int(file.parent.name.split("-")[1]),
        )

    while len(states()) < 2:
        try:
            process.wait(timeout=0.01)
        except subprocess.TimeoutExpired:
            continue
        pytest.fail("the stage ended before it wrote two checkpoints")
    process.kill()
    process.wait()
    newest = states()[-1]
    newest.write_text(newest.read_text()[:50])  # as a kill in the middle of writing leaves it
    done = run_stage("bi_encoder", folder, HF_HUB_OFFLINE="1")
    assert done.returncode == 0, done.stderr
    assert "training goes on after step" in done.stdout
    out = folder / "data" / "bi_encoder"
    assert (out / "training.csv").read_text() == (whole / "training.csv").read_text()
    for name, values in weights_of(whole).items():
        np.testing.assert_allclose(weights_of(out)[name], values, atol=1e-5)
    assert not any((folder / "data" / "cache" / "training" / "bi_encoder").iterdir())


@pytest.mark.parametrize("layers", ["head", 1])
def test_two_processes_end_as_one_does(trainable, layers):
    settings = {"trained": layers, "variant": "search", "kept_share": 1.0}
    one = trained(trainable("one", **settings))
    two = trained(trainable("two", **settings), processes=2)
    if layers == "head":  # layers of the base drop units out, each process its own
        for name, values in weights_of(one).items():
            np.testing.assert_allclose(weights_of(two)[name], values, atol=2e-3)
    reports = [json.loads((out / "report.json").read_text()) for out in (one, two)]
    assert reports[1]["query_recall@10"] == pytest.approx(reports[0]["query_recall@10"], abs=0.05)
    assert reports[1]["query_gain@10"] > 0


def test_two_processes_hold_equal_weights(trainable, tiny):
    folder = trainable()
    params = BiEncoderParams(base=str(tiny))
    (folder / "work" / "base").mkdir(parents=True)
    save_encoder(load_base(params.base, 32, "cpu"), folder / "work" / "base", params, "content")
    script = Path(__file__).parent / "train_and_keep_each_rank.py"
    command = ["torch.distributed.run", "--standalone", "--nproc-per-node=2", str(script)]
    subprocess.run(
        [sys.executable, "-m", *command],
        cwd=folder,
        env=os.environ | {"SIDMILL_PROCESSES": "2", "PYTHONPATH": str(ROOT)},
        capture_output=True,
        check=True,
    )
    first, second = (load_file(folder / f"rank{rank}.safetensors") for rank in (0, 1))
    assert set(first) == set(second) != set()
    for name, values in first.items():
        np.testing.assert_array_equal(values, second[name])
        assert np.abs(values).sum() > 0
