"""What training draws."""

from __future__ import annotations

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from assets.retriever.examples import SearchExamples
from assets.sequential.sequences import Sequences

LENGTHS = st.lists(st.integers(1, 30), min_size=1, max_size=6).filter(lambda found: max(found) > 1)


@given(LENGTHS, st.integers(2, 8), st.integers(1, 40), st.integers(0, 99))
def test_an_epoch_asks_for_every_item_but_the_first_of_a_history_once(
    lengths, width, positions, seed
):
    users = np.repeat(np.array(["u", "a", "z", "b", "c", "d"])[: len(lengths)], lengths)
    items = np.arange(len(users))
    batches = Sequences.of(users, items).batches(np.random.default_rng(seed), width, positions)
    asked = []
    for batch in batches:
        assert batch.shape[1] <= width
        assert len(batch) == 1 or len(batch) * (batch.shape[1] - 1) <= positions
        for row in batch:
            window = row[row >= 0]
            assert (row[len(window) :] == -1).all()
            assert (np.diff(window) == 1).all()  # a piece of one history
            assert len(set(users[window])) == 1
            asked += window[1:].tolist()
    first = [int(np.argmax(users == user)) for user in set(users)]
    assert sorted(asked) == sorted(set(items.tolist()) - set(first))


def test_a_long_history_is_cut_at_other_places_in_each_epoch():
    sequences, rng = Sequences.of(np.array(["a"] * 30), np.arange(30)), np.random.default_rng(0)
    starts = {
        tuple(sorted(row[0] for batch in sequences.batches(rng, 5, 100) for row in batch))
        for _ in range(20)
    }
    assert len(starts) == 4  # the last window holds 2, 3, 4 or 5 items


def test_queries_and_documents_are_drawn_in_their_shares_with_their_own_answers():
    unit = np.eye(8, dtype=np.float32)
    examples = SearchExamples(unit[:4], unit[4:], np.array([0, 1, 2, 3]), np.arange(4, 8))
    assert len(examples) == 8
    vectors, items = examples.draw(np.random.default_rng(0), 100, 0.4, 0.0)
    is_document = vectors[:, 4:].any(axis=1)
    assert is_document.sum() == 40
    assert (vectors[is_document] == unit[4 + items[is_document]]).all()
    assert (vectors[~is_document] == unit[items[~is_document] - 4]).all()
    noisy, items = examples.draw(np.random.default_rng(0), 100, 0.4, 0.5)
    np.testing.assert_allclose(np.linalg.norm(noisy, axis=1), 1, rtol=1e-5)
    similarity = (noisy * vectors).sum(axis=1)
    assert 0.8 < similarity.mean() < 0.95  # about 1 / sqrt(1 + noise squared)
