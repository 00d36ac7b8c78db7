"""Where item vectors start: items that follow one another start out near each other.

Vectors drawn at random have to be pulled together pair by pair, and most items of a catalogue are
met a handful of times. The leading eigenvectors of the normalised graph of transitions hold what
those pairs say at once (Laplacian eigenmaps: Belkin and Niyogi, Neural Computation 2003), at the
price of a few sparse products.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy import sparse
from sklearn.utils.extmath import randomized_svd

from assets.ranking import Rows
from assets.sequential.sequences import Sequences

REACH = 3  # places between two items that still count as following
LENGTH = 0.5  # of a vector of an item with many transitions
ITERATIONS = 8  # of the power method
SHRINKAGE = 0.1  # of the median length: vectors of next to no transitions stay short


def transitions(users: NDArray[np.int64], items: Rows, n_items: int, reach: int) -> Any:
    """Count what came after what.

    Args:
        users: (interactions,) number of the user; a user's interactions stand together.
        items: (interactions,) row of the item, each user's oldest first.
        n_items: Size of the catalogue.
        reach: Most places between the two; at a distance of n a transition counts 1/n.

    Returns:
        (items, items) sparse float32, from row to column, none from an item to itself.
    """
    shape = (n_items, n_items)
    total = sparse.csr_array(shape, dtype=np.float32)
    for distance in range(1, reach + 1):
        one, other = items[:-distance], items[distance:]
        counted = (users[distance:] == users[:-distance]) & (one != other)
        ends = one[counted], other[counted]
        counts = sparse.csr_array((np.ones(len(ends[0]), np.float32), ends), shape=shape)
        # whole numbers until here: the order of users cannot show in the last digit
        total = total + counts / np.float32(distance)
    return total


def spectral_vectors(
    sequences: Sequences, n_items: int, width: int, rng: np.random.Generator
) -> NDArray[np.float32]:
    """Embed items by what they follow and are followed by.

    Args:
        sequences: Train histories.
        n_items: Size of the catalogue.
        width: Length of a vector; what a small catalogue has no eigenvectors for is drawn.
        rng: Source of randomness.

    Returns:
        (items, width) float32 of length about 0.5; a vector near 0 where nothing is known.
    """
    drawn = 0.02 * rng.standard_normal((n_items, width), dtype=np.float32)
    after = transitions(sequences.users, sequences.items, n_items, REACH)
    near = after + after.T
    if not near.nnz:
        return drawn
    degrees = near.sum(axis=0)
    weight = sparse.diags_array(1 / np.sqrt(degrees + 1))
    # A loop at every item makes all eigenvalues positive, so that the largest are the leading ones.
    # Not ARPACK, which draws from a state of its own where a graph falls apart into alike pieces.
    left, sizes, _ = randomized_svd(
        sparse.csr_matrix(weight @ near @ weight + sparse.eye_array(n_items)),
        min(width, n_items),
        n_iter=ITERATIONS,
        random_state=int(rng.integers(2**31)),
    )
    vectors = left * np.sqrt(np.maximum(sizes - 1, 0))
    lengths = np.linalg.norm(vectors, axis=1, keepdims=True)
    shrunk = LENGTH * vectors / (lengths + SHRINKAGE * np.median(lengths[degrees > 0]))
    drawn[:, : len(sizes)] += shrunk.astype(np.float32)
    return drawn
