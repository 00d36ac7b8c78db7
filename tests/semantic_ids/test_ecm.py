"""ECM against the enumeration that PSI writes down."""

from itertools import product

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from semantic_ids.made_up import problem_of

from assets.semantic_ids.ecm import place_by_ecm
from assets.semantic_ids.params import SemanticIdsParams
from assets.semantic_ids.problem import Problem
from assets.semantic_ids.solver.costs import greedy_distances, offsets_of


def enumerated(problem: Problem, params: SemanticIdsParams) -> list[tuple[int, ...]]:
    """PSI word by word: the product of the nearest codes, sorted by cost, the first unused one."""
    books = [book.astype(np.float64) for book in problem.codebooks]
    offsets = offsets_of(problem.sizes)
    used = {tuple(row) for row in problem.taken.tolist()}
    turns = problem.turns(params.order).tolist()
    codes: dict[int, tuple[int, ...]] = {}
    for row in turns:
        raw = tuple(problem.raw_codes[row].tolist())
        if raw not in used:
            used.add(raw)
            codes[row] = raw
    last = len(books) - 1
    for widths in [*([early] * last + [late] for early, late in params.widths), problem.sizes]:
        for row in turns:
            if row in codes:
                continue
            all_codes = greedy_distances(problem, np.array([row]))[0]
            distances = np.split(all_codes, offsets[1:-1])
            lists = [
                np.argsort(own, kind="stable")[:width].tolist()
                for own, width in zip(distances, widths, strict=True)
            ]
            costs = {}
            for path in product(*lists):
                if params.cost == "released":
                    costs[path] = sum(own[c] for own, c in zip(distances, path, strict=True))
                else:
                    rebuilt = sum(book[c] for book, c in zip(books, path, strict=True))
                    costs[path] = ((problem.latent[row].astype(np.float64) - rebuilt) ** 2).sum()
            for path in sorted(costs, key=costs.__getitem__):
                if path not in used:
                    used.add(path)
                    codes[row] = path
                    break
    return [codes[row] for row in range(len(problem.item_ids))]


@pytest.mark.parametrize("cost", ["released", "true_residual"])
@pytest.mark.parametrize("order", ["error", "index"])
@pytest.mark.parametrize(
    ("items", "sizes", "widths"),
    [
        (120, [8, 6, 20], ((1, 10), (5, 20))),
        (60, [4, 3, 5], ((1, 2), (2, 3), (3, 4))),  # no room to spare
        (40, [6, 9], ((2, 2),)),
        (20, [20], ((1, 3),)),
        (50, [2, 3, 3, 4], ((1, 2), (2, 3))),
        (40, [40, 36], ((1, 1), (36, 36))),  # lists long enough to be sorted as a whole
    ],
)
def test_it_equals_enumeration_at_each_k(items, sizes, widths, order, cost):
    params = SemanticIdsParams(order=order, widths=widths, cost=cost)
    problem = problem_of(items, sizes, seed=items)
    placed = place_by_ecm(problem, params)
    assert [tuple(row) for row in placed.codes.tolist()] == enumerated(problem, params)


@settings(max_examples=40, deadline=None)
@given(
    st.integers(1, 16),
    st.integers(0, 8),
    st.integers(0, 20),
    st.sampled_from(["released", "true_residual"]),
)
def test_it_equals_enumeration_beside_ids_already_taken(items, old, seed, cost):
    params = SemanticIdsParams(cost=cost, widths=((1, 2), (2, 3)))
    problem = problem_of(items, [2, 3, 4], seed, old)
    placed = place_by_ecm(problem, params)
    assert [tuple(row) for row in placed.codes.tolist()] == enumerated(problem, params)
