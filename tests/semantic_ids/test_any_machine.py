"""IDs follow from the vectors: not from the order of rows, threads or the processor."""

import hashlib

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from other_processor import run_elsewhere
from semantic_ids.test_every_policy import VARIANTS, place
from threadpoolctl import threadpool_limits

from assets.codebooks.artifact import Codebooks
from assets.codebooks.rq_kmeans import RQKMeans
from assets.semantic_ids.problem import Problem
from assets.semantic_ids.solver.costs import greedy_distances, path_scores

DIM = 21


def level_books(seed: int) -> Codebooks:
    """Codebooks in which codes repeat, oppose and mirror each other: ties everywhere."""
    rng = np.random.default_rng(seed)
    books = []
    for size in (6, 5, 8):
        half = rng.normal(size=(size // 2, DIM)) / 3
        books.append(np.concatenate([half, -half, half[: size % 2]]).astype(np.float32))
    return Codebooks(RQKMeans(books), "text", {})


def repeated(rows: list[int], seed: int) -> tuple[np.ndarray, np.ndarray]:
    """Item ids and vectors: a few distinct ones, each as often as rows say."""
    distinct = np.random.default_rng(seed).normal(size=(5, DIM)).astype(np.float32)
    distinct[0] = 0
    distinct[1] = level_books(seed).quantizer.codebooks[0][:2].sum(axis=0) / 2
    return np.array([f"i{row:05}" for row in range(len(rows))], object), distinct[rows]


some_rows = st.lists(st.integers(0, 4), min_size=2, max_size=90)


@pytest.mark.parametrize("variant", VARIANTS, ids=str)
@settings(max_examples=25, deadline=None)
@given(rows=some_rows, seed=st.integers(0, 9), random=st.randoms(use_true_random=False))
def test_repeated_vectors_get_the_same_ids_in_any_order_of_rows(variant, rows, seed, random):
    ids, vectors = repeated(rows, seed)
    books = level_books(seed)
    order = list(range(len(ids)))
    random.shuffle(order)
    straight = Problem.of(ids, vectors, books)
    shuffled = Problem.of(ids[order], vectors[order], books)
    # equal vectors are equal to every policy
    for row in set(rows):
        own = [place for place, other in enumerate(rows) if other == row]
        for told in (straight.raw_codes, straight.errors, straight.latent):
            assert len(np.unique(told[own], axis=0)) == 1
    np.testing.assert_array_equal(place(straight, *variant).codes, place(shuffled, *variant).codes)


@settings(max_examples=40, deadline=None)
@given(rows=some_rows, seed=st.integers(0, 9))
def test_what_codes_cost_an_item_does_not_depend_on_who_stands_beside_it(rows, seed):
    problem = Problem.of(*repeated(rows, seed), level_books(seed))
    every = np.arange(len(rows))
    for cost in (greedy_distances, path_scores):
        together = cost(problem, every)
        for row in every:
            np.testing.assert_array_equal(cost(problem, every[row : row + 1])[0], together[row])


@pytest.mark.parametrize("variant", VARIANTS, ids=str)
def test_two_threads_give_the_ids_that_one_gives(variant):
    ids, vectors = repeated(np.random.default_rng(0).integers(5, size=200).tolist(), 3)
    vectors[::3] += np.random.default_rng(1).normal(size=(67, DIM)).astype(np.float32)
    found = []
    for threads in (1, 2):
        with threadpool_limits(threads):
            found.append(place(Problem.of(ids, vectors, level_books(3)), *variant).codes)
    np.testing.assert_array_equal(*found)


PLACE = """
import hashlib, sys
import numpy as np
from pathlib import Path
from assets.codebooks.artifact import Codebooks
from assets.semantic_ids.problem import Problem
from semantic_ids.test_every_policy import VARIANTS, place

folder = Path(sys.argv[1])
vectors = np.load(folder / "vectors.npy")
ids = np.array([f"i{row:05}" for row in range(len(vectors))], object)
problem = Problem.of(ids, vectors, Codebooks.load(folder))
for variant in VARIANTS:
    print(hashlib.sha256(place(problem, *variant).codes.tobytes()).hexdigest())
"""


def test_another_processor_gives_the_same_ids(tmp_path):
    ids, vectors = repeated(np.random.default_rng(0).integers(5, size=200).tolist(), 3)
    vectors[::3] += np.random.default_rng(1).normal(size=(67, DIM)).astype(np.float32)
    level_books(3).save(tmp_path)
    np.save(tmp_path / "vectors.npy", vectors)
    problem = Problem.of(ids, vectors, level_books(3))
    expected = [
        hashlib.sha256(place(problem, *variant).codes.tobytes()).hexdigest() for variant in VARIANTS
    ]
    for threads in (1, 2):
        assert run_elsewhere(PLACE, tmp_path, threads=threads).split() == expected
