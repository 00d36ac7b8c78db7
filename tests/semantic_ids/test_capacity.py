"""KNN-N and Random-N against FORGE's rule, read literally, with our fallback."""

from itertools import product

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from semantic_ids.made_up import books_of, catalogue, problem_of

from assets.semantic_ids.knn_n import place_by_knn_n
from assets.semantic_ids.params import SemanticIdsParams
from assets.semantic_ids.problem import Problem
from assets.semantic_ids.random_n import place_by_random_n


def literal_knn(problem: Problem, params: SemanticIdsParams) -> list[tuple[int, ...]]:  # noqa: C901, PLR0912  the rule in one place
    """Rounds over the nearest last codes; then one level up after the other, in turn."""
    books = [book.astype(np.float64) for book in problem.codebooks]
    last = len(books) - 1
    held: dict[tuple[int, ...], int] = {}
    for taken in map(tuple, problem.taken.tolist()):
        held[taken] = held.get(taken, 0) + 1

    def room(sid):
        return held.get(sid, 0) < params.capacity

    def distance(row, path):
        rest = problem.latent[row].astype(np.float64)
        for book, code in zip(books, path, strict=False):
            rest = rest - book[code]
        return np.linalg.norm(rest)

    raw = [tuple(codes) for codes in problem.raw_codes.tolist()]
    placed: dict[int, tuple[int, ...]] = {}

    def seat(row, sid):
        placed[row] = sid
        held[sid] = held.get(sid, 0) + 1

    turns = problem.turns(params.order).tolist()
    for row in turns:
        if room(raw[row]):
            seat(row, raw[row])
    choices = {}
    for row in turns:
        others = [code for code in range(problem.sizes[last]) if code != raw[row][last]]
        others.sort(key=lambda code, row=row: distance(row, (*raw[row][:last], code)))
        choices[row] = [(*raw[row][:last], code) for code in others[: params.candidates]]
    while True:
        asked = {}
        for row in turns:
            if row not in placed:
                asked[row] = next((sid for sid in choices[row] if room(sid)), None)
        if not any(asked.values()):
            break
        for row, sid in asked.items():
            if sid and room(sid):
                seat(row, sid)
    for kept in range(last, -1, -1):
        for row in turns:
            if row in placed:
                continue
            below = [
                (*raw[row][:kept], *path) for path in product(*map(range, problem.sizes[kept:]))
            ]
            below.sort(
                key=lambda sid, row=row: [
                    distance(row, sid[: level + 1]) for level in range(kept, last + 1)
                ]
            )
            sid = next(filter(room, below), None)
            if sid:
                seat(row, sid)
    return [placed[row] for row in range(len(raw))]


@pytest.mark.parametrize("order", ["error", "index"])
@pytest.mark.parametrize(
    ("items", "sizes", "capacity", "candidates"),
    [
        (200, [4, 4, 8], 2, 200),
        (120, [4, 3, 5], 2, 200),  # no seat to spare
        (60, [3, 4, 5], 1, 2),
        (90, [6, 9], 5, 3),
        (40, [8], 5, 7),
    ],
)
def test_knn_n_equals_the_rule_read_literally(items, sizes, capacity, candidates, order):
    params = SemanticIdsParams(capacity=capacity, candidates=candidates, order=order)
    problem = problem_of(items, sizes, seed=items)
    placed = place_by_knn_n(problem, params)
    assert [tuple(row) for row in placed.codes.tolist()] == literal_knn(problem, params)


@settings(max_examples=40, deadline=None)
@given(st.integers(1, 30), st.integers(0, 20), st.integers(0, 20), st.integers(1, 3))
def test_knn_n_equals_the_rule_beside_ids_already_taken(items, old, seed, capacity):
    params = SemanticIdsParams(capacity=max(capacity, 2 if items + old > 24 else 1))
    if items + old > 24 * params.capacity:
        items = 24 * params.capacity - old
    problem = problem_of(items, [2, 3, 4], seed, old)
    placed = place_by_knn_n(problem, params)
    assert [tuple(row) for row in placed.codes.tolist()] == literal_knn(problem, params)


def test_random_n_stays_in_the_prefix_and_spreads_over_it():
    ids, vectors = catalogue(1)
    ids = np.array([f"i{row:04}" for row in range(2000)], object)
    problem = Problem.of(ids, np.repeat(vectors, 2000, axis=0), books_of([4, 200]))
    codes = place_by_random_n(problem, SemanticIdsParams(capacity=40)).codes
    assert (codes[:, 0] == problem.raw_codes[:, 0]).all()
    moved = codes[codes[:, 1] != problem.raw_codes[:, 1], 1]
    assert len(moved) == 1960
    counts = np.bincount(moved, minlength=200)
    assert counts.max() < 30  # 10 on average: Poisson's tail beyond 30 is 1e-7
    assert (counts > 0).sum() >= 195


def test_random_n_draws_anew_with_another_seed_and_the_same_with_the_same():
    problem = problem_of(200, [4, 4, 8])
    one, again, other = (
        place_by_random_n(problem, SemanticIdsParams(seed=seed, capacity=2)).codes
        for seed in (0, 0, 1)
    )
    np.testing.assert_array_equal(one, again)
    assert (one != other).any()


def test_what_an_item_draws_does_not_depend_on_the_others():
    problem = problem_of(200, [4, 4, 64])
    params = SemanticIdsParams(capacity=1)
    alone = place_by_random_n(problem, params).codes
    ids = problem.item_ids
    few = np.r_[0:120]
    part = Problem(
        ids[few],
        problem.latent[few],
        problem.codebooks,
        problem.raw_codes[few],
        problem.errors[few],
    )
    same = (place_by_random_n(part, params).codes == alone[few]).all(axis=1)
    assert same.mean() > 0.6  # all but who met another's seat
