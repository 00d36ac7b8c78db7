"""The auction against scipy's assignment, and its proof."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.optimize import linear_sum_assignment
from semantic_ids.made_up import problem_of

from assets.semantic_ids.params import SemanticIdsParams
from assets.semantic_ids.policies import POLICIES
from assets.semantic_ids.sid_keys import sid_keys
from assets.semantic_ids.solver.auction import sell
from assets.semantic_ids.solver.costs import greedy_distances, offsets_of


@settings(max_examples=60, deadline=None)
@given(st.integers(1, 30), st.integers(0, 6), st.integers(0, 50), st.booleans())
def test_it_is_within_the_gap_of_scipys_assignment_and_proves_it(rows, taken, seed, charged):
    draw = np.random.default_rng(seed)
    costs = draw.random((rows, 9)) * draw.choice([0.01, 1, 100])
    prefixes = np.array([[first, 2 + second] for first in range(2) for second in range(3)])
    fixed = draw.normal(size=(6, 4)) if charged else np.zeros((6, 4))
    taken = min(taken, 24 - min(rows, 24))
    costs = costs[:24]
    fixed.ravel()[draw.permutation(24)[:taken]] = np.inf
    every = costs[:, prefixes].sum(axis=2)[:, :, None] + costs[:, None, 5:] + fixed
    every = every.reshape(len(costs), -1)
    raw = np.where(np.isfinite(every), every, np.inf).argmin(axis=1)
    sids, total, bound = sell(costs, prefixes, fixed, raw, gap=1e-4)

    assert len(np.unique(sids)) == len(costs)
    assert total == pytest.approx(every[np.arange(len(costs)), sids].sum())
    columns = np.flatnonzero(np.isfinite(every[0]))
    best = linear_sum_assignment(every[:, columns])
    least = every[:, columns][best].sum()
    added = total - every[np.arange(len(costs)), raw].sum()
    assert bound <= least + 1e-9 * abs(least) <= total + 2e-9 * abs(least)
    assert total - least <= 1e-4 * abs(added) + 1e-7 * len(costs)


@pytest.mark.parametrize("cost", ["released", "true_residual"])
def test_a_large_crowded_code_space_is_filled_within_the_gap_and_cheaper_than_in_turn(cost):
    problem = problem_of(6100, [80, 80])
    params = SemanticIdsParams(cost=cost, gap=0.002)
    placed = POLICIES["optimal"].place(problem, params)
    assert len(np.unique(placed.codes, axis=0)) == 6100

    def total(codes):
        offsets = offsets_of(problem.sizes)
        if cost == "released":
            own = greedy_distances(problem, np.arange(6100))
            return np.take_along_axis(own, offsets[:-1] + codes, axis=1).sum()
        rebuilt = sum(book[column] for book, column in zip(problem.codebooks, codes.T, strict=True))
        return ((problem.latent.astype(np.float64) - rebuilt) ** 2).sum()

    added = total(placed.codes) - total(problem.raw_codes)
    assert 0 < placed.told["assignment_gap"] <= 0.002 * added
    in_turn = POLICIES["ecm"].place(problem, params).codes
    assert total(in_turn) - total(problem.raw_codes) > 1.05 * added
    assert (sid_keys(in_turn, problem.sizes) != sid_keys(placed.codes, problem.sizes)).any()
