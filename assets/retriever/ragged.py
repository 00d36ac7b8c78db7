"""Rows of unequal length as two flat arrays: the row of each entry, and the entry."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray


def row_by_row(
    rows: Sequence[NDArray[np.int64]],
) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """Flatten rows into the row of each entry and the entry, both (entries,)."""
    row = np.repeat(np.arange(len(rows)), [len(entries) for entries in rows])
    return row, np.concatenate([*rows, np.empty(0, np.int64)])


def first_of_each_row(
    row: NDArray[np.int64], entry: NDArray[np.int64], rows: int, k: int
) -> NDArray[np.int64]:
    """Stack the first k entries of each row.

    Args:
        row: (entries,) ascending.
        entry: (entries,), in order within a row.
        rows: Number of rows; some may have no entry.
        k: Entries kept of each.

    Returns:
        (rows, k), -1 where there are fewer.
    """
    place = np.arange(len(row)) - np.searchsorted(row, row)
    keep = place < k
    out = np.full((rows, k), -1, dtype=np.int64)
    out[row[keep], place[keep]] = entry[keep]
    return out
