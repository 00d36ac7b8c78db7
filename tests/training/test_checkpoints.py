from __future__ import annotations

import math

import numpy as np
import pytest
import torch

from assets.training.best import BestMoment
from assets.training.checkpoints import Checkpoint, training_folder


def learner(seed=0):
    torch.manual_seed(seed)
    model = torch.nn.Linear(3, 2)
    return model, torch.optim.AdamW(model.parameters(), lr=0.1), np.random.default_rng(seed)


def learn(model, optimiser, rng, steps):
    for _ in range(steps):
        x = torch.from_numpy(rng.normal(size=(8, 3)).astype(np.float32))
        loss = model(x).square().mean()
        optimiser.zero_grad()
        loss.backward()
        optimiser.step()


def test_a_training_that_goes_on_from_a_checkpoint_ends_with_the_same_bytes(tmp_path):
    whole = learner()
    learn(*whole, 20)
    model, optimiser, rng = learner()
    learn(model, optimiser, rng, 8)
    Checkpoint(tmp_path).save(
        {
            "model": model.state_dict(),
            "optimiser": optimiser.state_dict(),
            "rng": rng.bit_generator.state,
        }
    )
    model, optimiser, rng = learner(seed=5)
    state = Checkpoint(tmp_path).load()
    model.load_state_dict(state["model"])
    optimiser.load_state_dict(state["optimiser"])
    rng.bit_generator.state = state["rng"]
    learn(model, optimiser, rng, 12)
    assert torch.equal(model.weight, whole[0].weight)


def test_no_checkpoint_and_a_torn_one_are_none(tmp_path):
    checkpoint = Checkpoint(tmp_path)
    assert checkpoint.load() is None
    checkpoint.save({"step": 3, "rows": [{"loss": 0.5}]})
    assert checkpoint.load() == {"step": 3, "rows": [{"loss": 0.5}]}
    file = next(tmp_path.iterdir())
    content = file.read_bytes()
    for size in (0, 10, len(content) // 2):
        file.write_bytes(content[:size])
        assert checkpoint.load() is None


def test_a_checkpoint_runs_no_code_when_it_is_read(tmp_path):
    class Harmful:
        def __reduce__(self):
            return (open, (str(tmp_path / "harm"), "w"))

    torch.save({"step": Harmful()}, tmp_path / "state.pt")
    assert Checkpoint(tmp_path).load() is None
    assert not (tmp_path / "harm").exists()


def test_the_folder_is_the_same_after_a_kill_and_another_for_all_that_changes_the_end(
    tmp_path, monkeypatch
):
    monkeypatch.chdir(tmp_path)
    data = tmp_path / "input"
    data.mkdir()
    (data / "rows").write_text("1")
    first = training_folder("retriever", [data], {"steps": 8})
    (first / "state.pt").write_text("kept")
    assert training_folder("retriever", [data], {"steps": 8}) == first
    assert (first / "state.pt").exists()
    other = training_folder("bi_encoder", [data], {"steps": 8})
    assert first.is_dir()  # another stage's
    assert other != first
    assert training_folder("retriever", [data], {"steps": 9}) != first
    assert not first.exists()  # nobody will go on there
    again = training_folder("retriever", [data], {"steps": 8})
    (data / "rows").write_text("2")
    assert training_folder("retriever", [data], {"steps": 8}) != again


def test_the_best_moment_is_put_back_the_later_of_two_equal_ones():
    model, _, _ = learner()
    best = BestMoment(model)
    weights = {}
    for step, score in [(1, 0.2), (2, 0.6), (3, 0.6), (4, math.nan), (5, 0.1)]:
        torch.nn.init.constant_(model.weight, step)
        weights[step] = model.weight.detach().clone()
        best.look(step, score)
    taken_up = BestMoment(model)
    taken_up.restore(best.state())
    taken_up.put_back()
    assert (taken_up.step, taken_up.score) == (3, pytest.approx(0.6))
    assert torch.equal(model.weight, weights[3])
