"""SIDs as numbers, and back."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray


def sid_keys(codes: NDArray[np.int32], sizes: Sequence[int]) -> NDArray[Any]:
    """Return one number per row, equal where the rows are (mixed radix, first level highest).

    Args:
        codes: (items, length).
        sizes: Number of possible codes at each position.

    Returns:
        (items,) int64, or Python integers where 64 bits do not suffice.
    """
    kind = np.int64 if math.prod(sizes) < 2**63 else object
    keys: NDArray[Any] = np.zeros(len(codes), kind)
    for size, column in zip(sizes, codes.T, strict=True):
        keys = keys * size + column.astype(kind)
    return keys


def codes_of_keys(keys: NDArray[np.int64], sizes: Sequence[int]) -> NDArray[np.int32]:
    """Return the (items, levels) codes of the numbers that :func:`sid_keys` gives."""
    return np.stack(np.unravel_index(keys, sizes), axis=1).astype(np.int32)
