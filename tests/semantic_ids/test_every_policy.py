"""What must hold of all policies, whatever comes in."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from semantic_ids.made_up import books_of, catalogue, problem_of

from assets.semantic_ids.params import SemanticIdsParams
from assets.semantic_ids.placement import Placement
from assets.semantic_ids.policies import POLICIES, place_items
from assets.semantic_ids.problem import Prior, Problem
from assets.semantic_ids.sid_keys import sid_keys
from assets.stage import UserError

WITHIN = sorted(set(POLICIES) - {"none", "append_index"})  # those that stay within the codebooks
VARIANTS = [
    *((policy, {}) for policy in sorted(POLICIES)),
    ("knn_n", {"capacity": 1}),
    ("random_n", {"capacity": 1}),
    ("ecm", {"cost": "true_residual"}),
    ("optimal", {"cost": "true_residual"}),
    ("optimal_prefix", {"cost": "true_residual"}),
    ("ecm", {"order": "index"}),
    ("rrs", {"order": "index"}),
]
variants = st.sampled_from(VARIANTS)


def place(problem: Problem, policy: str, params: dict | None = None) -> Placement:
    before = problem.raw_codes.copy()
    placement = place_items(problem, SemanticIdsParams(policy=policy, **(params or {})))
    np.testing.assert_array_equal(problem.raw_codes, before)
    assert len(placement.codes) == len(problem.item_ids)
    return placement


@settings(max_examples=150, deadline=None)
@given(
    variants,
    st.integers(1, 60),
    st.integers(0, 40),
    st.sampled_from([[4, 4, 4], [7, 9], [64], [2] * 6]),
)
def test_no_item_is_lost_and_no_bucket_holds_more_than_promised(variant, items, seed, sizes):
    problem = problem_of(items, sizes, seed)
    placement = place(problem, *variant)
    policy, params = variant
    limit = {"none": items, "knn_n": 5, "random_n": 5}.get(policy, 1)
    keys = sid_keys(placement.codes, placement.sizes)
    assert np.unique(keys, return_counts=True)[1].max() <= params.get("capacity", limit)
    assert ((placement.codes >= 0) & (placement.codes < placement.sizes)).all()


@settings(max_examples=100, deadline=None)
@given(variants, st.integers(2, 60), st.integers(0, 40), st.randoms(use_true_random=False))
def test_the_order_of_rows_changes_nothing_and_two_runs_agree(variant, items, seed, random):
    ids, vectors = catalogue(items, seed)
    books = books_of([4, 4, 4], seed)
    rows = list(range(items))
    random.shuffle(rows)
    straight = place(Problem.of(ids, vectors, books), *variant)
    shuffled = place(Problem.of(ids[rows], vectors[rows], books), *variant)
    np.testing.assert_array_equal(straight.codes, shuffled.codes)


@settings(max_examples=100, deadline=None)
@given(st.sampled_from(WITHIN), st.integers(1, 30), st.integers(1, 30), st.integers(0, 40))
def test_ids_already_taken_are_left_alone(policy, items, old, seed):
    problem = problem_of(items, [4, 4, 4], seed, old)
    taken = problem.taken.copy()
    placement = place(problem, policy, {"capacity": 1})
    np.testing.assert_array_equal(problem.taken, taken)
    both = np.concatenate([taken, placement.codes])
    assert len(np.unique(both, axis=0)) == old + items


@pytest.mark.parametrize("policy", sorted(POLICIES))
def test_an_item_without_a_conflict_never_moves(policy):
    problem = problem_of(60, [6, 6, 6])
    keys = sid_keys(problem.raw_codes, problem.sizes)
    _, bucket, counts = np.unique(keys, return_inverse=True, return_counts=True)
    alone = counts[bucket] == 1
    assert 0 < alone.sum() < 60
    codes = place(problem, policy, {"capacity": 1}).codes[:, :3]
    np.testing.assert_array_equal(codes[alone], problem.raw_codes[alone])


@pytest.mark.parametrize("policy", WITHIN)
def test_equal_vectors_fill_the_code_space_to_the_last_sid(policy):
    ids = np.array([f"i{row:03}" for row in range(60)], object)
    vectors = np.repeat(catalogue(1)[1], 60, axis=0)
    problem = Problem.of(ids, vectors, books_of([3, 4, 5]))
    codes = place(problem, policy, {"capacity": 1}).codes
    assert len(np.unique(codes, axis=0)) == 60


@pytest.mark.parametrize("policy", WITHIN)
def test_more_items_than_sids_are_refused_with_advice(policy):
    with pytest.raises(UserError, match=r"17 items.*4 x 4.*only 16.*enlarge `codebooks"):
        place(problem_of(17, [4, 4]), policy, {"capacity": 1})
    with pytest.raises(UserError, match=r"2 items .* beside 15 .*enlarge"):
        place(problem_of(2, [4, 4], old=15), policy, {"capacity": 1})


@pytest.mark.parametrize("policy", ["knn_n", "random_n"])
def test_seats_are_counted_by_capacity(policy):
    codes = place(problem_of(48, [4, 4]), policy, {"capacity": 3}).codes
    assert (np.unique(codes, axis=0, return_counts=True)[1] == 3).all()
    with pytest.raises(UserError, match="49 items"):
        place(problem_of(49, [4, 4]), policy, {"capacity": 3})


@pytest.mark.parametrize("policy", sorted(POLICIES))
def test_one_item_keeps_its_codes_though_there_are_more_codes_than_items(policy):
    problem = problem_of(1, [4, 300])
    placement = place(problem, policy)
    np.testing.assert_array_equal(placement.codes[:, :2], problem.raw_codes)


@pytest.mark.parametrize("broken", [np.nan, np.inf])
def test_a_vector_that_is_not_finite_is_refused_by_its_item(broken):
    ids, vectors = catalogue(9)
    vectors[4, 2] = broken
    with pytest.raises(UserError, match="'i00004' is not finite"):
        Problem.of(ids, vectors, books_of([4, 4]))


def test_whoever_can_stay_in_the_prefix_does():
    problem = problem_of(60, [4, 3, 8])
    codes = place(problem, "optimal_prefix").codes
    prefixes, counts = np.unique(problem.raw_codes[:, :2], axis=0, return_counts=True)
    for prefix, count in zip(prefixes, counts, strict=True):
        own = (problem.raw_codes[:, :2] == prefix).all(axis=1)
        stayed = (codes[own, :2] == prefix).all(axis=1).sum()
        assert stayed == min(count, 8)
    assert (counts > 8).any()


def test_beside_ids_taken_of_another_capacity_no_bucket_grows_beyond_its_own():
    problem = problem_of(40, [4, 4])
    crowded = np.repeat(problem.raw_codes[:1], 9, axis=0)
    crowded_problem = Problem(
        problem.item_ids,
        problem.latent,
        problem.codebooks,
        problem.raw_codes,
        problem.errors,
        Prior(crowded),
    )
    codes = POLICIES["knn_n"].place(crowded_problem, SemanticIdsParams(capacity=3)).codes
    assert not (codes == crowded[0]).all(axis=1).any()
    assert np.unique(codes, axis=0, return_counts=True)[1].max() <= 3


@pytest.mark.parametrize("policy", WITHIN)
def test_a_first_code_whose_ids_are_all_taken_is_left(policy):
    ids, vectors = catalogue(1)
    first = Problem.of(ids, vectors, books_of([4, 4, 4]))
    rest = np.stack(np.unravel_index(np.arange(16), (4, 4)), axis=1)
    code = np.full(16, first.raw_codes[0, 0])
    taken = np.column_stack([code, rest]).astype(np.int32)
    problem = Problem.of(ids, vectors, books_of([4, 4, 4]), Prior(taken))
    codes = place(problem, policy, {"capacity": 1}).codes
    assert codes[0, 0] != first.raw_codes[0, 0]
