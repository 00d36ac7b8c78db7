"""What a set of vectors is like: direction in common, copies, lengths."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray


def mean_cosine(vectors: NDArray[np.float32]) -> float:
    """Return the mean cosine over all pairs of two different rows (anisotropy; 0 is ideal).

    Uses |sum of rows|² = rows + sum over ordered pairs, so it costs one pass.

    Args:
        vectors: (items, dim), rows of length 1.
    """
    items = len(vectors)
    if items < 2:
        return 0.0
    rows = vectors.astype(np.float64)
    total = rows.sum(axis=0)
    return float((total @ total - (rows * rows).sum()) / (items * (items - 1)))


def copies(vectors: NDArray[np.float32]) -> int:
    """Return how many rows equal some other row bit for bit.

    Args:
        vectors: (items, dim).
    """
    if not len(vectors):
        return 0
    rows = np.ascontiguousarray(vectors).view(np.dtype((np.void, vectors[0].nbytes))).ravel()
    _, counts = np.unique(rows, return_counts=True)
    return int(counts[counts > 1].sum())
