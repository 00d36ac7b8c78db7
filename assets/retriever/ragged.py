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


def place_in_row(row: NDArray[np.int64]) -> NDArray[np.int64]:
    """Return the place of each entry within its row, from 0; (entries,) rows ascend."""
    return np.arange(len(row)) - np.searchsorted(row, row)
