"""The assignment against scipy's over all SIDs, and against every sequential policy."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.optimize import linear_sum_assignment
from semantic_ids.made_up import problem_of

from assets.semantic_ids.params import SemanticIdsParams
from assets.semantic_ids.policies import POLICIES
from assets.semantic_ids.problem import Problem
from assets.semantic_ids.sid_keys import sid_keys
from assets.semantic_ids.solver.costs import greedy_distances, offsets_of

COSTS = ["released", "true_residual"]


def all_costs(problem: Problem, cost: str) -> np.ndarray:
    """What every SID costs every item, (items, all SIDs)."""
    every = np.stack(np.unravel_index(np.arange(problem.capacity), problem.sizes), axis=1)
    if cost == "released":
        distances = greedy_distances(problem, np.arange(len(problem.item_ids)))
        return sum(
            distances[:, offset + every[:, level]]
            for level, offset in enumerate(offsets_of(problem.sizes)[:-1])
        )
    rebuilt = sum(
        book.astype(np.float64)[every[:, level]] for level, book in enumerate(problem.codebooks)
    )
    return ((problem.latent[:, None].astype(np.float64) - rebuilt) ** 2).sum(axis=2)


def conflicted(problem: Problem) -> np.ndarray:
    keys = sid_keys(problem.raw_codes, problem.sizes)
    taken = sid_keys(problem.taken, problem.sizes)
    counts = dict(zip(*np.unique(keys, return_counts=True), strict=True))
    return np.array([counts[key] > 1 or key in taken for key in keys])


def total(problem: Problem, codes: np.ndarray, cost: str) -> float:
    keys = sid_keys(codes, problem.sizes)
    return float(all_costs(problem, cost)[np.arange(len(keys)), keys].sum())


def place(problem: Problem, policy: str, cost: str) -> np.ndarray:
    params = SemanticIdsParams(policy=policy, cost=cost, capacity=1)
    return POLICIES[policy].place(problem, params).codes


def least(problem: Problem, cost: str) -> float:
    """Sum of costs of scipy's assignment; who has no conflict stays."""
    costs, moves = all_costs(problem, cost), conflicted(problem)
    keys = sid_keys(problem.raw_codes, problem.sizes)
    free = np.setdiff1d(
        np.arange(problem.capacity),
        np.concatenate([keys[~moves], sid_keys(problem.taken, problem.sizes)]),
    )
    rows, columns = linear_sum_assignment(costs[moves][:, free])
    stay = costs[~moves, keys[~moves]].sum()
    return float(stay + costs[moves][:, free][rows, columns].sum())


@pytest.mark.parametrize("cost", COSTS)
@pytest.mark.parametrize(
    ("items", "sizes", "old"),
    [(200, [4, 4, 16], 0), (60, [3, 4, 5], 0), (40, [6, 9], 10), (20, [20], 0), (150, [13, 12], 4)],
)
def test_its_cost_is_that_of_scipys_assignment_over_all_sids(items, sizes, old, cost):
    problem = problem_of(items, sizes, seed=items, old=old)
    codes = place(problem, "optimal", cost)
    moves = conflicted(problem)
    assert moves.sum() > items / 4
    np.testing.assert_array_equal(codes[~moves], problem.raw_codes[~moves])
    assert total(problem, codes, cost) == pytest.approx(least(problem, cost), rel=1e-9)


@settings(max_examples=40, deadline=None)
@given(st.integers(1, 16), st.integers(0, 8), st.integers(0, 30), st.sampled_from(COSTS))
def test_it_is_least_beside_ids_already_taken_and_up_to_the_last_sid(items, old, seed, cost):
    problem = problem_of(items, [2, 3, 4], seed, old)
    codes = place(problem, "optimal", cost)
    assert total(problem, codes, cost) == pytest.approx(least(problem, cost), rel=1e-9)


@pytest.mark.parametrize("cost", COSTS)
@pytest.mark.parametrize(("items", "sizes"), [(300, [8, 8, 8]), (120, [8, 16])])
def test_no_sequential_policy_is_cheaper(items, sizes, cost):
    problem = problem_of(items, sizes)
    best = total(problem, place(problem, "optimal", cost), cost)
    for policy in ("ecm", "rrs", "knn_n", "random_n"):
        assert best <= total(problem, place(problem, policy, cost), cost)
