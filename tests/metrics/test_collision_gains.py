import itertools

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from assets.evaluation import ndcg, recall, reciprocal_rank
from assets.metrics.collisions import expected_gains
from assets.semantic_ids.buckets import Buckets


def _buckets(starts, items):
    sids = np.arange(len(starts) - 1, dtype=np.int32)[:, None]
    return Buckets(sids, np.array(starts, dtype=np.int64), np.array(items, dtype=np.int64))


@st.composite
def beams(draw):
    """Ranked SIDs over a few small buckets, right answers and an excluded history."""
    sizes = draw(st.lists(st.integers(1, 4), min_size=1, max_size=5))
    n_items = sum(sizes)
    items = np.array(draw(st.permutations(range(n_items))))
    buckets = _buckets([0, *np.cumsum(sizes)], items)
    order = draw(st.permutations(range(len(sizes))))[: draw(st.integers(0, 4))]
    sids = np.array([order + [-1] * (5 - len(order))])
    relevant = draw(st.lists(st.integers(0, n_items - 1), min_size=1, max_size=4, unique=True))
    others = sorted(set(range(n_items)) - set(relevant))
    history = draw(st.lists(st.sampled_from(others), unique=True)) if others else []
    return sids, buckets, [np.array(relevant)], [np.array(history, dtype=int)]


def _all_orders(sids, buckets, excluded):
    """Every ranking of items that listing the buckets in any inner order could give."""
    members = [
        [
            i
            for i in buckets.items[buckets.starts[sid] : buckets.starts[sid + 1]]
            if i not in excluded
        ]
        for sid in sids
        if sid >= 0
    ]
    for inner in itertools.product(*(itertools.permutations(group) for group in members)):
        yield [item for group in inner for item in group]


@settings(max_examples=150, deadline=None)
@given(beams(), st.integers(1, 12))
def test_corrected_measures_are_means_over_all_orders_inside_buckets(case, depth):
    sids, buckets, relevant, history = case
    expected = expected_gains(sids, buckets, relevant, history, depth)
    answers = np.array([len(relevant[0])])
    worlds = list(_all_orders(sids[0], buckets, set(history[0].tolist())))
    gains = np.zeros((len(worlds), depth))
    for world, ranking in enumerate(worlds):
        for place, item in enumerate(ranking[:depth]):
            gains[world, place] = item in set(relevant[0].tolist())
    assert expected.gains[0] == pytest.approx(gains.mean(axis=0), abs=1e-5)
    for k in {1, depth}:
        assert recall(expected.gains, answers, k)[0] == pytest.approx(
            recall(gains, answers, k).mean(), abs=1e-5
        )
        assert ndcg(expected.gains, answers, k)[0] == pytest.approx(
            ndcg(gains, answers, k).mean(), abs=1e-5
        )
    assert reciprocal_rank(expected.first)[0] == pytest.approx(
        reciprocal_rank(gains).mean(), abs=1e-5
    )


@given(st.integers(1, 6), st.integers(0, 5), st.integers(1, 10))
def test_a_bucket_from_rank_p_on_is_worth_m_of_g(g, before, k):
    buckets = _buckets([*range(before + 1), before + g], np.arange(before + g))
    sids = np.arange(before + 1)[None]
    gains = expected_gains(sids, buckets, [np.array([before + g - 1])], None, 10).gains
    p = before + 1
    m = min(g, max(0, k - p + 1))
    assert recall(gains, np.array([1]), k)[0] == pytest.approx(m / g)


def test_queries_in_one_batch_do_not_touch_each_other():
    buckets = _buckets([0, 2, 3], [2, 0, 1])
    sids = np.array([[1, 0], [0, -1], [-1, -1]])
    relevant = [np.array([0]), np.array([2]), np.array([1])]
    together = expected_gains(sids, buckets, relevant, [np.array([1])] + [np.array([], int)] * 2, 3)
    assert together.items.tolist() == [[2, 0, -1], [2, 0, -1], [-1, -1, -1]]
    assert together.gains.tolist() == [[0.5, 0.5, 0], [0.5, 0.5, 0], [0, 0, 0]]
    assert together.first.tolist() == together.gains.tolist()
