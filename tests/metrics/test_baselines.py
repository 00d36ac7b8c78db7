import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from assets.metrics.baselines import bm25, popularity
from assets.metrics.catalogue import Catalogue, best
from assets.metrics.item_knn import ItemKNN
from assets.metrics.params import MetricsParams


@st.composite
def logs(draw):
    """A small log of (user, item), repeats included, and histories to predict from."""
    users, items = draw(st.integers(1, 6)), draw(st.integers(1, 7))
    pair = st.tuples(st.integers(0, users - 1), st.integers(0, items - 1))
    log = draw(st.lists(pair, min_size=1, max_size=30))
    histories = draw(
        st.lists(st.lists(st.integers(0, items - 1), max_size=6), min_size=1, max_size=3)
    )
    return items, log, [np.array(history, dtype=np.int64) for history in histories]


def _cosine(log, one, other):
    fans = {item: {u for u, i in log if i == item} for item in (one, other)}
    if one == other or not fans[one] or not fans[other]:
        return 0.0
    return len(fans[one] & fans[other]) / np.sqrt(len(fans[one]) * len(fans[other]))


@settings(max_examples=80, deadline=None)
@given(
    logs(), st.integers(1, 4), st.sampled_from([0.5, 0.8, 1.0]), st.sampled_from([None, 1, 2, 5])
)
def test_item_knn_equals_a_naive_loop(case, last, decay, neighbours):
    items, log, histories = case
    users, rows = np.array(log).T
    knn = ItemKNN.fit(users, rows, items, history=last, decay=decay, neighbours=neighbours, chunk=3)
    expected = np.zeros((len(histories), items))
    for user, history in enumerate(histories):
        for age, item in enumerate(history[-last:][::-1].tolist()):
            near = [(_cosine(log, item, other), other) for other in range(items)]
            near = sorted(near, key=lambda pair: (-np.float32(pair[0]).round(5), pair[1]))
            for cosine, other in near[:neighbours]:
                expected[user, other] += decay**age * cosine
    assert knn.scores(histories) == pytest.approx(expected, abs=1e-4)


@given(
    st.lists(st.lists(st.integers(-2, 2), min_size=5, max_size=5), min_size=1, max_size=4),
    st.integers(1, 8),
    st.sets(st.integers(0, 4)),
)
def test_the_best_come_in_order_of_score_then_column_without_the_forbidden(rows, k, forbidden):
    scores = np.array(rows, dtype=np.float32)
    scores[:, sorted(forbidden)] = -np.inf
    for found, row in zip(best(scores, k), rows, strict=True):
        allowed = [column for column in range(5) if column not in forbidden]
        expected = sorted(allowed, key=lambda column: (-row[column], column))[:k]
        assert found.tolist() == expected + [-1] * (k - len(expected))


def _catalogue(documents, popularity_):
    ids = np.array([f"i{n}" for n in range(len(documents))], dtype=object)
    return Catalogue(ids, np.array(documents, dtype=object), np.array(popularity_))


@given(st.lists(st.lists(st.integers(0, 9), unique=True), min_size=1, max_size=4))
def test_popularity_recommends_the_most_popular_and_never_the_history(histories):
    catalogue = _catalogue(["x"] * 10, [9, 9, 7, 5, 5, 5, 2, 1, 0, 0])
    seen = [np.array(history, dtype=np.int64) for history in histories]
    for ranked, history in zip(popularity(catalogue, len(seen), 4, seen), histories, strict=True):
        left = [row for row in range(10) if row not in history][:4]
        assert ranked.tolist() == left + [-1] * (4 - len(left))


TITLES = [
    "Blade Runner (1982). Sci-Fi, Thriller",
    "Bambi (1942). Animation, Children",
    "The Running Man (1987). Action, Sci-Fi",
    "Alien (1979). Horror, Sci-Fi",
]


@pytest.mark.parametrize("stopwords", ["none", "english"])
def test_bm25_finds_an_obvious_title(stopwords):
    params = MetricsParams(cut_offs=[10], bm25_stopwords=stopwords)
    catalogue = _catalogue(TITLES, [4, 3, 2, 1])
    ranked = bm25(catalogue, ["alien horror", "bambi", "the running man", "zzz", ""], params)
    assert ranked[:3, 0].tolist() == [3, 1, 2]
    assert ranked[3, :4].tolist() == ranked[4, :4].tolist() == [0, 1, 2, 3]  # ties: by popularity
    assert (ranked[:, 4:] == -1).all()
