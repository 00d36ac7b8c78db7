"""Every way of fitting item-to-item weights beside a slow, obvious one."""

from __future__ import annotations

import tracemalloc

import numpy as np
import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st

from assets.rankers.ease import ridge_weights
from assets.rankers.item_knn import cosine_similarities
from assets.rankers.item_to_item import ItemToItem
from assets.rankers.log import SPARSE, Budget, Log, TooLargeError
from assets.rankers.slit import next_item_weights
from assets.rankers.transitions import walks
from assets.ranking import Histories

ROUNDING = 2e-3  # float16
FITS = {
    "item_knn": lambda log, **more: cosine_similarities(log, neighbours=None, **more),
    "graph": lambda log, **more: walks(
        log, reach=2, backward=0.5, two_hop=0.3, neighbours=None, **more
    ),
    "ease": lambda log, **more: ridge_weights(log, l2=2.0, neighbours=99, most_items=99, **more),
    "slit": lambda log, **more: next_item_weights(
        log, l2=2.0, fit_history=3, fit_decay=0.8, neighbours=99, most_items=99, **more
    ),
}


@st.composite
def sequences(draw):
    """What each of some users had, the oldest first, repeats included."""
    items = draw(st.integers(2, 8))
    one = st.lists(st.integers(0, items - 1), min_size=1, max_size=7)
    return items, draw(st.lists(one, min_size=1, max_size=9))


def log_of(items, users):
    numbers = np.repeat(np.arange(len(users)), [len(had) for had in users])
    return Log(numbers, np.concatenate([np.array(had, np.int64) for had in users]), items)


def strongest(dense, neighbours):
    """Keep the largest of each row by absolute value, as float16 sees them, and never its own."""
    dense = np.float16(np.float32(dense)).astype(np.float64)
    np.fill_diagonal(dense, 0)
    kept = np.zeros_like(dense)
    for row, values in enumerate(dense):
        order = sorted(range(len(values)), key=lambda column: (-abs(values[column]), column))
        kept[row, order[:neighbours]] = values[order[:neighbours]]
    return kept


def same_up_to_equals(fitted, truth, neighbours):
    """Assert equality where rounding cannot have changed which entries were kept."""
    found = fitted.toarray()
    assert (np.count_nonzero(found, axis=1) <= (neighbours or len(truth))).all()
    kept = strongest(truth, neighbours)
    sizes = np.sort(np.abs(found), axis=1), np.sort(np.abs(kept), axis=1)
    assert sizes[0] == pytest.approx(sizes[1], abs=ROUNDING)
    there = found != 0
    assert found[there] == pytest.approx(truth[there], abs=ROUNDING)


@settings(max_examples=60, deadline=None)
@given(sequences(), st.sampled_from([None, 1, 3]))
def test_item_knn_is_the_cosine_of_who_had_what(case, neighbours):
    items, users = case
    fans = [{user for user, had in enumerate(users) if item in had} for item in range(items)]
    truth = np.zeros((items, items))
    for one in range(items):
        for other in set(range(items)) - {one}:
            size = np.sqrt(len(fans[one]) * len(fans[other]))
            truth[one, other] = len(fans[one] & fans[other]) / size if size else 0
    found = cosine_similarities(log_of(items, users), neighbours=neighbours, budget=Budget(1e9))
    same_up_to_equals(found, truth, neighbours)


@settings(max_examples=60, deadline=None)
@given(
    sequences(),
    st.integers(1, 4),
    st.sampled_from([0.0, 0.5]),
    st.sampled_from([0.0, 0.3]),
    st.sampled_from([None, 2]),
)
def test_walks_are_transitions_in_one_and_two_hops(case, reach, backward, two_hop, neighbours):
    items, users = case
    hop = np.zeros((items, items))
    for had in users:
        for start, one in enumerate(had):
            for step, other in enumerate(had[start + 1 : start + 1 + reach], 1):
                if one != other:
                    hop[one, other] += 1 / step
                    hop[other, one] += backward / step
    hop /= np.maximum(hop.sum(axis=1, keepdims=True), 1e-9)
    truth = hop + two_hop * hop @ hop
    np.fill_diagonal(truth, 0)
    found = walks(
        log_of(items, users),
        reach=reach,
        backward=backward,
        two_hop=two_hop,
        neighbours=neighbours,
        budget=Budget(1e9),
    )
    same_up_to_equals(found, truth, neighbours)


def ease(items, users, l2):
    """EASE as the paper writes it, in float64, without the items that nobody had."""
    seen = np.zeros((len(users), items))
    for user, had in enumerate(users):
        seen[user, had] = 1
    known = np.flatnonzero(seen.any(axis=0))
    inverse = np.linalg.inv(seen[:, known].T @ seen[:, known] + l2 * np.eye(len(known)))
    small = -inverse / np.diag(inverse)
    np.fill_diagonal(small, 0)
    weights = np.zeros((items, items))
    weights[np.ix_(known, known)] = small
    return weights


@settings(max_examples=80, deadline=None)
@given(sequences(), st.sampled_from([0.5, 3.0, 100.0]), st.sampled_from([1, 3, 99]))
def test_ease_is_the_closed_form_whichever_side_is_smaller(case, l2, neighbours):
    items, users = case
    log = log_of(items, users)
    found = ridge_weights(log, l2=l2, neighbours=neighbours, most_items=99, budget=Budget(1e9))
    same_up_to_equals(found, ease(items, users, l2), neighbours)


@settings(max_examples=60, deadline=None)
@given(sequences(), st.integers(1, 4), st.sampled_from([0.5, 1.0]), st.sampled_from([1, 99]))
def test_slit_is_the_regression_of_the_next_item_on_those_before_it(case, last, decay, neighbours):
    items, users = case
    before, after = [], []
    for had in users:
        for time, item in enumerate(had):
            before.append(np.zeros(items))
            for age, old in enumerate(had[:time][::-1][:last]):
                before[-1][old] += decay**age
            after.append(np.eye(items)[item])
    read, next_one = np.array(before), np.array(after)
    truth = np.linalg.solve(read.T @ read + 2.0 * np.eye(items), read.T @ next_one)
    np.fill_diagonal(truth, 0)
    found = next_item_weights(
        log_of(items, users),
        l2=2.0,
        fit_history=last,
        fit_decay=decay,
        neighbours=neighbours,
        most_items=99,
        budget=Budget(1e9),
    )
    same_up_to_equals(found, truth, neighbours)


@pytest.mark.parametrize(("items", "users"), [(90, 60), (60, 90)])
def test_ease_keeps_its_precision_on_more_items(items, users):
    draw = np.random.default_rng(0)
    had = [draw.choice(items, size=draw.integers(1, 30), replace=False) for _ in range(users)]
    found = ridge_weights(
        log_of(items, had), l2=5.0, neighbours=items, most_items=99, budget=Budget(1e9)
    )
    truth = ease(items, had, 5.0)
    assert (truth < 0).any()
    assert found.toarray() == pytest.approx(truth, abs=ROUNDING * abs(truth).max())


@settings(max_examples=40, deadline=None)
@given(sequences(), st.randoms())
@pytest.mark.parametrize("name", FITS)
def test_the_order_of_users_is_irrelevant(name, case, random):
    items, users = case
    others = users[:]
    random.shuffle(others)
    one, other = (
        FITS[name](log_of(items, had), budget=Budget(1e9)).toarray() for had in (users, others)
    )
    if name in {"ease", "slit"}:  # an inverse is rounded as its rows come
        assert one == pytest.approx(other, abs=ROUNDING)
    else:
        assert (one == other).all()


@pytest.mark.parametrize("name", FITS)
def test_what_takes_too_long_is_refused_in_a_sentence(name):
    users = [list(range(20))] * 3
    with pytest.raises(TooLargeError, match="most_products"):
        FITS[name](log_of(20, users), budget=Budget(100))


@pytest.mark.parametrize("name", FITS)
def test_all_fits_of_a_ranker_share_what_may_be_taken(name):
    log, budget = log_of(20, [list(range(20))] * 3), Budget(1e9)
    FITS[name](log, budget=budget)
    once = budget.taken
    assert once > 0
    both = Budget(2 * once)
    for _ in range(2):
        FITS[name](log, budget=both)
    with pytest.raises(TooLargeError, match="for other settings, more than"):
        FITS[name](log, budget=both)
    assert both.taken == 2 * once  # what is refused takes nothing


def test_ease_refuses_a_matrix_beyond_its_size_but_few_users_make_a_small_one():
    def fit(users):
        log = log_of(20, [[*range(20)]] * users)
        return ridge_weights(log, l2=1.0, neighbours=5, most_items=10, budget=Budget(1e9))

    assert fit(10).nnz == 20 * 5
    with pytest.raises(TooLargeError, match=r"20 items and 11 users.*most_items"):
        fit(11)


@settings(max_examples=60, deadline=None)
@given(sequences())
def test_slit_counts_the_products_of_both_its_matrices(case):
    items, users = case
    last = 3  # as in FITS
    known = {item for had in users for item in had}
    pairs = {
        (old, item)
        for had in users
        for time, item in enumerate(had)
        for old in had[max(0, time - last) : time]
    }
    read = [min(time, last) for had in users for time in range(len(had))]
    products = len(known) * len(pairs) + SPARSE * sum(count**2 for count in read)
    assume(products)
    log = log_of(items, users)
    assert FITS["slit"](log, budget=Budget(products)).shape == (items, items)
    with pytest.raises(TooLargeError, match="most_products"):
        FITS["slit"](log, budget=Budget(products - 1))


@pytest.mark.parametrize(
    ("interactions", "last", "refused"),
    [
        (20_000, 200, "most_products"),  # of the matrix that is inverted
        (20_000, 10, "most_products"),  # of the one it is multiplied with
        (20_000, 20_000, "fit_history"),
    ],
)
def test_slit_refuses_before_it_takes_memory(interactions, last, refused):
    log = log_of(400, [np.random.default_rng(0).integers(400, size=interactions)])
    tracemalloc.start()
    with pytest.raises(TooLargeError, match=refused):
        next_item_weights(
            log,
            l2=1.0,
            fit_history=last,
            fit_decay=0.8,
            neighbours=5,
            most_items=400,
            budget=Budget(1e7),
        )
    _, most = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert most < 8 * 10 * interactions  # less than one number for each item before one


@settings(max_examples=60, deadline=None)
@given(
    sequences(),
    st.lists(st.lists(st.integers(0, 1), max_size=6), min_size=1, max_size=3),
    st.integers(1, 4),
    st.sampled_from([0.5, 1.0]),
    st.sampled_from([0.5, 1.0]),
)
def test_a_history_is_asked_from_its_end_and_a_loaded_ranker_ranks_alike(
    tmp_path_factory, case, asked, last, decay, power
):
    items, users = case
    ties = np.arange(items)[::-1]
    matrix = FITS["graph"](log_of(items, users), budget=Budget(1e9))
    ranker = ItemToItem(matrix, last, decay, power, ties)
    histories = [np.array(history, dtype=np.int64) for history in asked]
    truth = np.zeros((len(asked), items))
    for user, history in enumerate(asked):
        for age, item in enumerate(history[-last:][::-1]):
            truth[user] += decay**age * matrix.toarray()[item]
    assert ranker.scores(histories) == pytest.approx(truth, abs=1e-6)
    found = ranker.rank(Histories(histories), 4)
    for rows, scores, history, true in zip(found.rows, found.scores, asked, truth, strict=True):
        assert not set(rows.tolist()) & set(history)
        held = rows[rows >= 0]
        assert len(held) == min(4, items - len(set(history)))
        assert scores[rows >= 0] == pytest.approx(true[held] ** power, abs=1e-3)
        assert (np.diff(scores[rows >= 0]) <= 0).all()
    folder = tmp_path_factory.mktemp("graph")
    ranker.save(folder, "graph")
    again = ItemToItem.load(folder, "graph", ties).rank(Histories(histories), 4)
    assert (again.rows == found.rows).all()
    assert (again.scores == found.scores).all()


@settings(max_examples=40, deadline=None)
@given(
    sequences(),
    st.lists(st.integers(0, 1), max_size=6),
    st.integers(1, 4),
    st.sampled_from([0.5, 1.0]),
)
def test_what_each_item_says_for_another_adds_up_to_its_score(case, history, last, decay):
    items, users = case
    matrix = FITS["graph"](log_of(items, users), budget=Budget(1e9))
    ranker = ItemToItem(matrix, last, decay, 1.0, np.arange(items))
    asked = np.array(history, dtype=np.int64)
    scores = ranker.scores([asked])[0]
    for row in range(items):
        spoke, said = ranker.spoken(asked, row)
        assert spoke.tolist() == history[-last:]
        truth = [
            matrix.toarray()[item, row] * decay**age
            for age, item in enumerate(history[-last:][::-1])
        ]
        assert said.tolist() == pytest.approx(truth[::-1])
        assert said.sum() == pytest.approx(scores[row], abs=1e-6)
