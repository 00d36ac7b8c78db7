from collections import defaultdict

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from assets.semantic_ids.append_index import append_index
from assets.semantic_ids.params import SemanticIdsParams
from assets.semantic_ids.problem import Prior, Problem
from assets.stage import UserError

BOOKS = [np.zeros((4, 2), np.float32), np.zeros((3, 2), np.float32)]
rows = st.lists(
    st.tuples(st.integers(0, 3), st.integers(0, 2), st.integers(0, 4)), min_size=1, max_size=60
)


def problem_of(table, prior=None) -> Problem:
    """A problem from rows of (first code, second code, error)."""
    codes = np.array([row[:2] for row in table], np.int32)
    errors = np.array([row[2] for row in table], np.float32)
    ids = np.array([f"i{row:03}" for row in range(len(table))], object)
    return Problem(ids, np.zeros((len(table), 2), np.float32), BOOKS, codes, errors, prior)


@settings(max_examples=100, deadline=None)
@given(rows, rows, st.sampled_from(["error", "index"]))
def test_items_of_a_bucket_are_numbered_in_their_turns_after_those_taken(old, new, order):
    params = SemanticIdsParams(order=order)
    prior = append_index(problem_of(old), params).codes
    problem = problem_of(new, Prior(prior))
    placed = append_index(problem, params)

    free: dict[tuple[int, int], int] = defaultdict(int)
    for first, second, index in prior.tolist():
        free[first, second] = max(free[first, second], index + 1)
    expected = {}
    keys = [(row[2] if order == "error" else 0, place) for place, row in enumerate(new)]
    for _, place in sorted(keys):
        bucket = new[place][:2]
        expected[place] = [*bucket, free[bucket]]
        free[bucket] += 1
    assert placed.codes.tolist() == [expected[place] for place in range(len(new))]
    assert placed.sizes == [4, 3, 256]
    assert len(np.unique(np.concatenate([prior, placed.codes]), axis=0)) == len(old) + len(new)


def test_the_item_nearest_to_its_codes_gets_index_0():
    placed = append_index(problem_of([(1, 1, 3), (1, 1, 1), (1, 1, 1)]), SemanticIdsParams())
    assert placed.codes[:, 2].tolist() == [2, 0, 1]


def test_a_bucket_larger_than_the_index_is_refused_with_the_size_it_needs():
    with pytest.raises(UserError, match=r"3 items.*'i002'.*index_size` to 3"):
        append_index(problem_of([(1, 1, 0)] * 3), SemanticIdsParams(index_size=2))
    placed = append_index(problem_of([(1, 1, 0)] * 3), SemanticIdsParams(index_size=3))
    assert placed.codes[:, 2].tolist() == [0, 1, 2]
