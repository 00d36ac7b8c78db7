"""Ridge regression of items on items: a symmetric inverse, and what is kept of dense weights."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy import sparse
from scipy.linalg import lapack

from assets.rankers.log import TooLargeError, blocks, strongest
from assets.ranking import Rows


def inverted(gram: NDArray[np.float32], l2: np.float32) -> NDArray[np.float32]:
    """Invert ``gram + l2 I`` in its own memory.

    Args:
        gram: (n, n) float32, symmetric; gone afterwards.
        l2: Regularisation.

    Raises:
        TooLargeError: It is too close to singular for float32.
    """
    gram[np.diag_indices_from(gram)] += l2
    # A symmetric matrix is its own transpose, and LAPACK works in place on columns.
    factor, failed = lapack.spotrf(gram.T, lower=1, overwrite_a=1, clean=0)
    inverse, failed_too = lapack.spotri(factor, lower=1, overwrite_c=1)
    if failed or failed_too:
        raise TooLargeError(
            "its matrix cannot be inverted in float32: a larger `l2` makes it possible."
        )
    inverse = inverse.T  # of which the upper triangle is filled
    for rows in blocks(*inverse.shape):
        inverse[rows.stop :, rows] = inverse[rows, rows.stop :].T
        square = inverse[rows, rows]
        square[:] = np.triu(square) + np.triu(square, 1).T
    return np.asarray(inverse)


def strongest_of_dense(weights: NDArray[np.float32], start: int, neighbours: int) -> Any:
    """Keep the strongest entries of each row but its own; see :func:`assets.rankers.log.strongest`.

    Args:
        weights: (rows, items) float32, changed in place.
        start: Which row of items × items is its first.
        neighbours: How many.

    Returns:
        (rows, items) sparse float32.
    """
    weights[np.arange(len(weights)), np.arange(start, start + len(weights))] = 0
    size = np.abs(weights)
    kept = size > 0
    if neighbours < weights.shape[1]:
        least = np.partition(size, -neighbours, axis=1)[:, -neighbours, None]
        kept &= size >= least * np.float32(1 - 2**-9)  # equals in float16 may differ here
    rows, columns = np.nonzero(kept)
    block = sparse.csr_array((weights[rows, columns], (rows, columns)), shape=weights.shape)
    return strongest(block, start, neighbours)


def among(weights: Any, known: Rows, n_items: int) -> Any:
    """Return (items, items) sparse weights of a whole catalogue, given those among some items."""
    small = weights.tocoo()
    places = known[small.row], known[small.col]
    return sparse.csr_array((small.data, places), shape=(n_items, n_items))
