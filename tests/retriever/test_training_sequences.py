"""What training draws."""

from __future__ import annotations

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from assets.retriever.sequences import Histories, SearchExamples, recommend_prompts


@given(st.lists(st.integers(1, 9), min_size=1, max_size=6), st.integers(1, 5), st.integers(0, 99))
def test_a_window_is_a_piece_of_one_history_as_long_as_can_be(lengths, width, seed):
    users = np.repeat(np.array(["u", "a", "z", "b", "c", "d"])[: len(lengths)], lengths)
    leaves = np.arange(len(users))
    windows = Histories.of(users, leaves).windows(np.random.default_rng(seed), 20, width)
    for window in windows:
        found = window[window >= 0]
        own = leaves[users == users[found[0]]]
        assert len(found) == min(width, len(own))
        assert (np.diff(found) == 1).all()
        assert set(found) <= set(own)
        assert (window[len(found) :] == -1).all()


def test_every_place_of_a_history_is_drawn():
    histories = Histories.of(np.array(["a"] * 30 + ["b"] * 3), np.arange(33))
    windows = histories.windows(np.random.default_rng(0), 2000, 5)
    assert set(windows[windows >= 0]) == set(range(33))


def test_queries_and_documents_are_drawn_in_their_shares_with_their_own_answers():
    queries = np.eye(8, dtype=np.float32)[:4]
    documents = np.eye(8, dtype=np.float32)[4:]
    examples = SearchExamples(
        queries, documents, np.array([0, 1, 2, 3]), np.arange(4), np.arange(4, 8)
    )
    vectors, leaves = examples.draw(np.random.default_rng(0), 100, 0.4, 0.0)
    assert (leaves >= 4).sum() == 40
    assert (vectors == np.eye(8, dtype=np.float32)[leaves]).all()
    noisy, leaves = examples.draw(np.random.default_rng(0), 100, 0.4, 0.5)
    np.testing.assert_allclose(np.linalg.norm(noisy, axis=1), 1, rtol=1e-5)
    similarity = noisy[np.arange(100), leaves]
    assert 0.8 < similarity.mean() < 0.95  # about 1 / sqrt(1 + noise squared)


def test_a_prompt_holds_the_last_items_oldest_first():
    tokens = np.array([[3, 7], [4, 8], [5, 9]])
    prompts, mask = recommend_prompts([np.array([0, 1, 2]), np.array([], int)], tokens, 2)
    assert prompts.tolist() == [[2, 4, 8, 5, 9], [0, 0, 0, 0, 2]]
    assert mask.tolist() == [[True] * 5, [False] * 4 + [True]]
