"""Products of matrices that are the same on every processor, with any threads, and for any row.

How a sum of floating-point products is rounded depends on the order in which it is summed, which a
BLAS chooses by processor, number of threads and where a row stands in its block: the same vector
twice in one matrix may have two results. Here nothing is left to round: both factors are cut to so
few bits that float64 holds every sum exactly, whatever the order.

    dimensions     5    64   384   4096
    bits          25    23    22     20      of the largest number of a row; float32 itself has 24
"""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float64]

_MANTISSA = 53  # bits of a float64


def rounded(rows: NDArray[np.floating[Any]]) -> Floats:
    """Round (n, dim) rows, each by itself, so that sums of products of two of them are exact.

    With b bits a number is a whole multiple of 2^(e − b), where 2^e is just above the row's largest
    one, so a product is at most 2^2b of its least unit, and a sum of dim products at most
    dim · 2^2b ≤ 2^53.
    """
    sum_bits = (max(2, rows.shape[1]) - 1).bit_length()
    bits = (_MANTISSA - sum_bits) // 2
    largest = np.abs(rows).max(axis=1, keepdims=True, initial=0)
    _, exponents = np.frexp(largest.astype(np.float64))
    # what is added has its last bit where the rounded number shall have it
    shift = np.ldexp(1.5, exponents + (_MANTISSA - 1 - bits))
    numbers: Floats = rows + shift
    numbers -= shift
    return numbers


def products(rows: NDArray[np.floating[Any]], others: NDArray[np.floating[Any]]) -> Floats:
    """Return the (n, m) inner products of (n, dim) rows with (m, dim) others, both rounded."""
    return rounded(rows) @ rounded(others).T
