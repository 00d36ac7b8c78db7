"""Where item vectors start, beside the matrix written out."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from assets.sequential.sequences import Sequences
from assets.sequential.spectral import LENGTH, REACH, spectral_vectors, transitions


def sequences_of(users):
    numbers = np.repeat(np.arange(len(users)), [len(had) for had in users])
    return Sequences.of(numbers, np.concatenate([np.array(had, np.int64) for had in users]))


USERS = st.lists(st.lists(st.integers(0, 7), min_size=1, max_size=8), min_size=1, max_size=9)


@settings(deadline=None)
@given(USERS, st.integers(1, 4))
def test_a_transition_counts_by_how_near_it_is(users, reach):
    expected = np.zeros((8, 8))
    for had in users:
        for place, one in enumerate(had):
            for distance, other in enumerate(had[place + 1 : place + 1 + reach], start=1):
                expected[one, other] += (one != other) / distance
    sequences = sequences_of(users)
    found = transitions(sequences.users, sequences.items, 8, reach).toarray()
    np.testing.assert_allclose(found, expected, rtol=1e-6)


@settings(deadline=None, max_examples=50)
@given(USERS, st.integers(1, 12), st.randoms(use_true_random=False))
def test_every_catalogue_has_finite_vectors_whatever_the_order_of_users(users, width, random):
    found = spectral_vectors(sequences_of(users), 8, width, np.random.default_rng(0))
    assert found.shape == (8, width)
    assert np.isfinite(found).all()
    assert np.linalg.norm(found, axis=1).max() < 2 * LENGTH
    random.shuffle(users)
    again = spectral_vectors(sequences_of(users), 8, width, np.random.default_rng(0))
    assert again.tobytes() == found.tobytes()


def test_the_vectors_give_the_leading_part_of_the_normalised_graph_back():
    rng = np.random.default_rng(3)
    users = [(start + np.arange(9)) % 30 for start in rng.integers(30, size=200)]
    sequences, width = sequences_of(users), 12
    found = spectral_vectors(sequences, 30, width, np.random.default_rng(0)).astype(np.float64)
    after = transitions(sequences.users, sequences.items, 30, REACH).toarray()
    degrees = (after + after.T).sum(0) + 1
    normalised = (after + after.T) / np.sqrt(np.outer(degrees, degrees))
    values, left = np.linalg.eigh(normalised)
    exact = (left * np.sqrt(np.maximum(values, 0)))[:, ::-1][:, :width]

    def cosines(vectors):
        unit = vectors / np.linalg.norm(vectors, axis=1, keepdims=True)
        return unit @ unit.T

    # up to the little that is drawn, which makes no two vectors equal
    assert np.abs(cosines(found) - cosines(exact)).max() < 0.35
    assert np.corrcoef(cosines(found).ravel(), cosines(exact).ravel())[0, 1] > 0.97
    near = np.argsort(-cosines(found), axis=1)[:, 1:3]
    beside = [{(item - 1) % 30, (item + 1) % 30} for item in range(30)]
    assert (
        np.mean([set(rows) == neighbours for rows, neighbours in zip(near, beside, strict=True)])
        > 0.7
    )


def test_items_that_nobody_had_in_a_row_keep_what_was_drawn():
    found = spectral_vectors(sequences_of([[0], [1], [2]]), 4, 5, np.random.default_rng(0))
    drawn = 0.02 * np.random.default_rng(0).standard_normal((4, 5), dtype=np.float32)
    assert found == pytest.approx(drawn)
