"""Made-up catalogues for the tests of the policies."""

import numpy as np

from assets.codebooks.artifact import Codebooks
from assets.codebooks.rq_kmeans import RQKMeans
from assets.semantic_ids.problem import Prior, Problem


def books_of(sizes: list[int], seed: int = 0, dim: int = 5) -> Codebooks:
    """Random codebooks, finer level by level."""
    rng = np.random.default_rng(seed)
    books = [
        (rng.normal(size=(size, dim)) / (1 + level)).astype(np.float32)
        for level, size in enumerate(sizes)
    ]
    return Codebooks(RQKMeans(books), "text", {})


def catalogue(items: int, seed: int = 0, dim: int = 5) -> tuple[np.ndarray, np.ndarray]:
    """Item ids and vectors in a few clusters, some of them equal."""
    rng = np.random.default_rng(seed)
    vectors = rng.normal(size=(4, dim))[rng.integers(4, size=items)]
    vectors = vectors + 0.4 * rng.normal(size=(items, dim))
    vectors[rng.random(items) < 0.1] = vectors[0]
    return np.array([f"i{row:05}" for row in range(items)], object), vectors.astype(np.float32)


def problem_of(items: int, sizes: list[int], seed: int = 0, old: int = 0) -> Problem:
    """A problem of new items beside `old` ones, whose SIDs were drawn at random."""
    ids, vectors = catalogue(items, seed)
    codes = np.random.default_rng(seed).permutation(int(np.prod(sizes)))[:old]
    taken = np.stack(np.unravel_index(codes, sizes), axis=1).astype(np.int32)
    return Problem.of(ids, vectors, books_of(sizes, seed), Prior(taken) if old else None)
