"""Heads of attention: params name only those that a block can have."""

from __future__ import annotations

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from pydantic import ValidationError

from assets.rankers.params import RankersParams, SASRecParams
from assets.retriever.params import RetrieverParams
from assets.sequential.blocks import Block


@settings(deadline=None, max_examples=40)
@given(st.integers(8, 40), st.integers(1, 48))
@pytest.mark.parametrize("params", [SASRecParams, RetrieverParams])
def test_params_take_the_heads_with_which_a_block_can_read_and_no_others(params, hidden, heads):
    with torch.inference_mode():
        try:
            read, _ = Block(hidden, heads, 8, 0.0)(torch.zeros(1, 2, hidden))
        except RuntimeError:
            with pytest.raises(ValidationError, match="must divide"):
                params(hidden=hidden, heads=heads)
            return
    assert read.shape == (1, 2, hidden)
    assert params(hidden=hidden, heads=heads).heads == heads


def test_whoever_wrote_heads_that_do_not_divide_reads_which():
    with pytest.raises(ValidationError, match=r"`heads` \(3\) must divide `hidden` \(64\)"):
        RankersParams.model_validate({"sasrec": {"heads": 3}})
