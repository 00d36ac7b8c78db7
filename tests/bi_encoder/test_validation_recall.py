from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from assets.bi_encoder.validation import (
    CUTS,
    ValidationQuestions,
    pair_recall,
    query_recall,
    summary,
)


def unit(rows, dim, seed):
    vectors = np.random.default_rng(seed).normal(size=(rows, dim)).astype(np.float32)
    return vectors / np.linalg.norm(vectors, axis=1, keepdims=True)


@given(st.integers(0, 1000))
@settings(max_examples=15)
def test_recall_of_queries_is_what_a_full_sort_finds(seed):
    documents, queries = unit(40, 6, seed), unit(5, 6, seed + 1)
    draw = np.random.default_rng(seed)
    targets = [draw.choice(40, 3, replace=False) for _ in queries]
    found = query_recall(queries, targets, documents)
    order = np.argsort(-(queries @ documents.T), axis=1)
    for place, k in enumerate(CUTS):
        expected = [
            len(set(ranked[:k]) & set(right)) / 3
            for ranked, right in zip(order, targets, strict=True)
        ]
        assert found[:, place] == pytest.approx(expected, abs=1e-6)


@given(st.integers(0, 1000))
@settings(max_examples=15)
def test_recall_of_pairs_leaves_the_item_itself_out(seed):
    documents = unit(40, 6, seed)
    documents[1] = documents[0]  # a copy, which may come before the item itself
    draw = np.random.default_rng(seed)
    pairs = np.stack([np.r_[np.arange(4), 2, 3], draw.choice(np.arange(4, 40), 6)], axis=1)
    found = pair_recall(pairs, documents)
    for place, k in enumerate(CUTS):
        hits = []
        for own, other in pairs:
            scores = documents @ documents[own]
            scores[own] = -np.inf
            hits.append(other in np.argsort(-scores, kind="stable")[:k])
        assert found[:, place].tolist() == hits


def questions(queries, pairs):
    ids = [f"i{row}" for row in range(20)]
    return ValidationQuestions(
        ids,
        [f"about {item}" for item in ids],
        [f"q{place}" for place in range(queries)],
        [np.array([place % 20]) for place in range(queries)],
        np.array([[place % 20, (place * 7 + 1) % 20] for place in range(pairs)]).reshape(-1, 2),
    )


@given(st.integers(0, 40), st.integers(0, 20), st.integers(1, 30), st.integers(0, 5))
def test_no_question_that_is_reported_chose_the_moment(queries, pairs, most, seed):
    asked = questions(queries, pairs)
    measured, checks = asked.halves(most, seed)
    for half in (measured, checks):
        for query, right in zip(half.queries, half.targets, strict=True):
            assert right == asked.targets[asked.queries.index(query)]
    for count, one, other in (
        (queries, measured.queries, checks.queries),
        (pairs, measured.pairs.tolist(), checks.pairs.tolist()),
    ):
        assert len(one) == min(most, (count + 1) // 2)
        assert len(other) == min(most, count // 2) or count == 1
        assert count == 1 or not {str(key) for key in one} & {str(key) for key in other}


def test_the_gain_is_paired_by_question():
    draw = np.random.default_rng(0)
    content = draw.integers(0, 2, (400, len(CUTS))).astype(float)
    better = np.maximum(content, (draw.random((400, len(CUTS))) < 0.1).astype(float))
    numbers = summary(asked_about(range(400)), {"query": better}, {"query": content}, seed=0)
    gain = numbers["query_recall@10"] - numbers["content_query_recall@10"]
    assert numbers["query_gain@10"] == pytest.approx(gain)
    width = numbers["query_gain@10_high"] - numbers["query_gain@10_low"]
    assert width < 0.8 * (numbers["query_recall@10_high"] - numbers["query_recall@10_low"])
    assert numbers["query_gain@10_low"] > 0
    assert "pair_gain@10" not in numbers


def test_questions_about_one_item_are_drawn_together():
    found = {"query": np.repeat([[1.0] * len(CUTS), [0.0] * len(CUTS)], 200, axis=0)}
    widths = []
    for asked in (range(400), [row // 4 for row in range(400)]):
        numbers = summary(asked_about(asked), found, {}, seed=0)
        assert numbers["query_recall@10"] == 0.5
        widths.append(numbers["query_recall@10_high"] - numbers["query_recall@10_low"])
    assert widths[1] == pytest.approx(2 * widths[0], rel=0.2)


def asked_about(items) -> ValidationQuestions:
    targets = [np.array([item]) for item in items]
    names = [f"query {number}" for number in range(len(targets))]
    return ValidationQuestions([], [], names, targets, np.empty((0, 2), np.int64))
