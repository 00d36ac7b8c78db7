from __future__ import annotations

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from assets.training.schedules import set_learning_rate, warmup_cosine


@given(st.integers(1, 300), st.integers(0, 100))
def test_it_rises_in_equal_steps_to_the_peak_then_only_falls(steps, warmup):
    shares = [warmup_cosine(step, warmup, steps) for step in range(steps)]
    assert all(0 <= share <= 1 for share in shares)
    up, down = shares[:warmup], shares[warmup:]
    assert up == pytest.approx([(step + 1) / warmup for step in range(len(up))])
    assert down == sorted(down, reverse=True)
    if down:
        assert down[0] == 1
        assert shares[0] > 0


def test_half_way_down_it_is_half_and_after_the_last_step_nothing():
    assert warmup_cosine(60, 20, 100) == pytest.approx(0.5)
    assert warmup_cosine(100, 20, 100) == pytest.approx(0)
    assert warmup_cosine(150, 20, 100) == pytest.approx(0)


def test_all_groups_of_weights_get_the_rate():
    weights = [torch.nn.Parameter(torch.ones(1)) for _ in range(2)]
    optimiser = torch.optim.AdamW([{"params": [weight]} for weight in weights], lr=1.0)
    set_learning_rate(optimiser, 0.25)
    assert [group["lr"] for group in optimiser.param_groups] == [0.25, 0.25]
