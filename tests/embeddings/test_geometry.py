from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from assets.embeddings.geometry import copies, mean_cosine


@given(st.integers(2, 30), st.integers(0, 1000))
def test_mean_cosine_is_the_mean_over_all_pairs(items, seed):
    vectors = np.random.default_rng(seed).normal(size=(items, 5)).astype(np.float32)
    vectors /= np.linalg.norm(vectors, axis=1, keepdims=True)
    cosines = vectors @ vectors.T
    oracle = cosines[~np.eye(items, dtype=bool)].mean()
    assert mean_cosine(vectors) == pytest.approx(oracle, abs=1e-5)


@given(st.lists(st.integers(0, 5), max_size=20))
def test_copies_are_rows_that_another_row_equals(kinds):
    vectors = np.array(kinds, np.float32)[:, None] * np.ones((1, 3), np.float32)
    assert copies(vectors) == sum(kinds.count(kind) > 1 for kind in kinds)


def test_fewer_than_two_items_have_no_cosine():
    assert mean_cosine(np.ones((1, 3), np.float32)) == 0
    assert mean_cosine(np.ones((0, 3), np.float32)) == 0
