"""Which SIDs are taken, and which whole branches of the code space are full."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from assets.semantic_ids.path import sid_keys


class Occupancy:
    """Counts of the distinct SIDs taken below every prefix.

    A branch holds ``room`` SIDs; when as many are taken a search need not enter it::

        sizes [2, 3], taken 00 01 02 11     prefix 0: 3 of 3, full     prefix 1: 1 of 3

    Args:
        codes: (taken, levels) SIDs taken at the start, repeats allowed.
        sizes: Number of codes of each level.
    """

    def __init__(self, codes: NDArray[np.int32], sizes: Sequence[int]) -> None:
        self._sizes = sizes
        self._room = [math.prod(sizes[level + 1 :]) for level in range(len(sizes))]
        distinct = np.unique(sid_keys(codes, sizes))
        self._taken: list[dict[int, int]] = []
        for room in self._room:
            prefixes, counts = np.unique(distinct // room, return_counts=True)
            self._taken.append(dict(zip(prefixes.tolist(), counts.tolist(), strict=True)))

    def child(self, level: int, prefix: int, code: int) -> int | None:
        """Return the prefix that ``code`` at ``level`` makes of one, or None if nothing is free.

        Args:
            level: From 0.
            prefix: Number of the prefix above, 0 at the first level.
            code: Code at this level.
        """
        below = prefix * self._sizes[level] + code
        return below if self._taken[level].get(below, 0) < self._room[level] else None

    def take(self, codes: Sequence[int]) -> None:
        """Mark one free SID as taken."""
        prefix: Any = 0
        for size, code, taken in zip(self._sizes, codes, self._taken, strict=True):
            prefix = prefix * size + code
            taken[prefix] = taken.get(prefix, 0) + 1
