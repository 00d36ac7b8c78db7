import itertools
import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from assets import evaluation


@st.composite
def rankings(draw):
    """A few rankings over a few items with their right answers, some shorter than others."""
    items = draw(st.integers(1, 12))
    width = draw(st.integers(1, 12))
    ranked, relevant = [], []
    for _ in range(draw(st.integers(1, 5))):
        order = draw(st.permutations(range(items)))[: draw(st.integers(0, min(width, items)))]
        ranked.append(order + [-1] * (width - len(order)))
        relevant.append(
            np.array(draw(st.lists(st.integers(0, items - 1), min_size=1, unique=True)))
        )
    return np.array(ranked), relevant


@given(rankings())
def test_gains_are_one_exactly_where_a_right_answer_stands(case):
    ranked, relevant = case
    expected = [
        [float(i in set(r)) for i in row] for row, r in zip(ranked.tolist(), relevant, strict=True)
    ]
    assert evaluation.gains_of(ranked, relevant).tolist() == expected


@given(rankings(), st.integers(1, 15))
def test_measures_equal_a_slow_count(case, k):
    ranked, relevant = case
    gains = evaluation.gains_of(ranked, relevant)
    answers = np.array([len(r) for r in relevant])
    found = (
        evaluation.recall(gains, answers, k),
        evaluation.ndcg(gains, answers, k),
        evaluation.reciprocal_rank(gains),
    )
    for query, (row, right) in enumerate(zip(ranked.tolist(), relevant, strict=True)):
        hits = [place for place, item in enumerate(row, start=1) if item in set(right.tolist())]
        within = [place for place in hits if place <= k]
        dcg = sum(1 / math.log2(place + 1) for place in within)
        ideal = sum(1 / math.log2(place + 1) for place in range(1, min(k, len(right)) + 1))
        assert found[0][query] == pytest.approx(len(within) / len(right))
        assert found[1][query] == pytest.approx(dcg / ideal)
        assert found[2][query] == pytest.approx(1 / hits[0] if hits else 0)


def test_a_ranking_of_nothing_is_worth_nothing():
    gains = evaluation.gains_of(np.empty((2, 0), dtype=int), [np.array([0]), np.array([1])])
    one = np.array([1, 1])
    assert evaluation.recall(gains, one, 10).tolist() == [0, 0]
    assert evaluation.ndcg(gains, one, 10).tolist() == [0, 0]
    assert evaluation.reciprocal_rank(gains).tolist() == [0, 0]


@given(st.integers(0, 4), st.integers(1, 5), st.integers(1, 10))
def test_a_tied_group_counts_as_the_mean_over_its_orders(before, group, k):
    gains = np.zeros((1, before + group + 2))
    gains[0, before : before + group] = 1 / group
    orders = list(itertools.permutations([1.0] + [0.0] * (group - 1)))
    each = np.zeros((len(orders), gains.shape[1]))
    each[:, before : before + group] = orders
    one = np.array([1])
    for measure in (evaluation.recall, evaluation.ndcg):
        assert measure(gains, one, k)[0] == pytest.approx(measure(each, one, k).mean())
    assert evaluation.reciprocal_rank(gains)[0] == pytest.approx(
        evaluation.reciprocal_rank(each).mean()
    )


def test_the_bootstrap_interval_covers_the_true_mean_about_as_often_as_it_says():
    draw = np.random.default_rng(1)
    covered = 0
    for trial in range(200):
        values = (draw.random(150) < 0.3).astype(float)
        interval = evaluation.bootstrap(values, seed=trial, samples=200, level=0.9)
        assert interval.low <= interval.mean <= interval.high
        covered += interval.low <= 0.3 <= interval.high
    assert 0.83 <= covered / 200 <= 0.96


def test_a_paired_interval_is_narrower_than_the_parts_where_methods_agree():
    draw = np.random.default_rng(2)
    one = (draw.random(500) < 0.4).astype(float)
    other = np.where(draw.random(500) < 0.05, 1 - one, one)
    paired = evaluation.bootstrap(one - other, seed=0)
    alone = evaluation.bootstrap(one, seed=0)
    assert paired.high - paired.low < alone.high - alone.low
    assert paired.mean == pytest.approx(one.mean() - other.mean())


def test_the_bootstrap_repeats_itself_and_knows_no_interval_of_nothing():
    values = np.random.default_rng(3).random(40)
    assert evaluation.bootstrap(values, seed=5) == evaluation.bootstrap(values, seed=5)
    assert evaluation.bootstrap(values, seed=5) != evaluation.bootstrap(values, seed=6)
    assert math.isnan(evaluation.bootstrap(values[:0], seed=5).mean)


@settings(max_examples=25)
@given(st.integers(1, 30), st.integers(1, 40), st.integers(0, 1000))
def test_nearest_finds_the_largest_inner_products(items, k, seed):
    draw = np.random.default_rng(seed)
    vectors = draw.normal(size=(items, 8)).astype(np.float32)
    queries = draw.normal(size=(4, 8)).astype(np.float32)
    scores = queries @ vectors.T
    expected = np.argsort(-scores, axis=1)[:, :k]
    assert np.array_equal(evaluation.nearest(queries, vectors, k), expected)
