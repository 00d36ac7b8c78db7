"""Epochs of windows, beside the passes they are made of."""

from __future__ import annotations

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st

from assets.sequential.sequences import Sequences


@settings(deadline=None, max_examples=40)
@given(st.lists(st.integers(2, 40), min_size=1, max_size=12), st.integers(1, 30))
def test_an_epoch_has_its_steps_and_what_follows_does_not_hang_on_the_one_before(lengths, steps):
    users = np.repeat(np.arange(len(lengths)), lengths)
    sequences = Sequences.of(users, np.arange(len(users)))
    rng = np.random.default_rng(0)
    first = sequences.epoch(rng, 6, 20, steps)
    state = rng.bit_generator.state
    second = sequences.epoch(rng, 6, 20, steps)
    again = np.random.default_rng(1)
    again.bit_generator.state = state
    taken_up = sequences.epoch(again, 6, 20, steps)
    assert len(first) == len(second) == steps
    assert [batch.tolist() for batch in taken_up] == [batch.tolist() for batch in second]
