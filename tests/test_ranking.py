"""Rankings come chunk by chunk, and are those of all questions at once."""

from __future__ import annotations

import numpy as np
from hypothesis import example, given, settings
from hypothesis import strategies as st

from assets.ranking import best, questions_at_once, rank_in_chunks

MEBIBYTE = 1 << 20


@given(st.integers(0, 10**9))
@example(100_000)
@example(1_000_000)
def test_a_chunk_takes_so_much_memory_and_no_more_however_many_the_items(items):
    at_once = questions_at_once(items)
    assert 1 <= at_once <= 256
    assert at_once == 1 or at_once * items * 4 <= 128 * MEBIBYTE
    if items <= 100_000:  # as many as ever, so that no product is rounded otherwise
        assert at_once == 256
    assert at_once == 256 or (at_once + 1) * items * 4 > 128 * MEBIBYTE


@settings(deadline=None, max_examples=20)
@given(st.integers(0, 600), st.integers(1, 9), st.integers(0, 1000))
def test_chunks_make_up_the_ranking_of_all_questions(questions, depth, seed):
    draw = np.random.default_rng(seed)
    scores = draw.integers(4, size=(questions, 7)).astype(np.float32)
    ties = draw.permutation(7)
    excluded = [draw.integers(7, size=draw.integers(4)) for _ in range(questions)]
    asked: list[slice] = []

    def chunk_of(chunk):
        asked.append(chunk)
        return scores[chunk].copy()

    found = rank_in_chunks(chunk_of, questions, depth, ties, excluded)
    assert [row for chunk in asked for row in range(chunk.start, chunk.stop)] == [*range(questions)]
    whole = scores.copy()
    for row, gone in zip(whole, excluded, strict=True):
        row[gone] = -np.inf
    truth = best(whole, depth, ties)
    assert (found.rows == truth.rows).all()
    assert (found.scores == truth.scores).all()


def test_items_beyond_what_a_chunk_holds_are_ranked_a_few_questions_at_a_time():
    items, sizes = 1 << 22, []

    def few(chunk):
        sizes.append(chunk.stop - chunk.start)
        values = np.zeros((sizes[-1], items), np.float32)
        values[np.arange(sizes[-1]), np.arange(chunk.start, chunk.stop)] = 1
        return values

    found = rank_in_chunks(few, 9, 2, np.arange(items)[::-1])
    assert sizes == [8, 1]
    assert found.rows.tolist() == [[question, items - 1] for question in range(9)]
