"""The code nearest to a point, the same for equal points wherever they stand."""

from __future__ import annotations

import math
from functools import cached_property

import numpy as np
from numpy.typing import NDArray

from assets.codebooks.quantizer import Vectors
from assets.exact import Floats, rounded

BLOCK = 2048  # points whose scores stay in the processor's cache


class NearestCode:
    """Finds the row of a codebook that is nearest to a point, the first of equally near ones.

    With ‖r − e‖² = ‖r‖² + s and s = ‖e‖² − 2 r·e the least score s wins. Scores in float32 are
    quick, but where a point stands changes their last bits. They decide where the best is ahead of
    the next by more than all rounding together can make; elsewhere exact products decide.
    """

    def __init__(self, codebook: Vectors) -> None:
        """Prepare the search.

        Args:
            codebook: (codes, dim).
        """
        self._codebook = codebook
        self._factors = np.ascontiguousarray(-2 * codebook.T, np.float32)
        squares = (codebook.astype(np.float64) ** 2).sum(axis=1)
        self._squares = squares.astype(np.float32)
        self._longest = math.sqrt(squares.max())

    def __call__(self, points: Vectors) -> NDArray[np.int64]:
        """Return the (n,) rows nearest to (n, dim) points."""
        codes = np.empty(len(points), np.int64)
        for start in range(0, len(points), BLOCK):
            block = np.ascontiguousarray(points[start : start + BLOCK], np.float32)
            codes[start : start + BLOCK] = self._nearest(block)
        return codes

    def _nearest(self, points: Vectors) -> NDArray[np.int64]:
        every = np.arange(len(points))
        scores = points @ self._factors
        scores += self._squares
        codes = scores.argmin(axis=1)
        best = scores[every, codes]
        scores[every, codes] = np.inf
        ahead = scores[every, scores.argmin(axis=1)] - best
        # Two scores in float32, summed in any order, and the same two of rounded points and codes,
        # are together off by less than this. The last term: numbers too small to be normal.
        lengths = np.sqrt(np.einsum("ij,ij->i", points, points))
        noise = 4 * (points.shape[1] + 8) * 2.0**-24
        limit = noise * self._longest * (2 * lengths + self._longest) + 1e-36
        unsure = np.flatnonzero(~(ahead > limit))
        if len(unsure):
            codes[unsure] = self._exactly(points[unsure])
        return codes

    def _exactly(self, points: Vectors) -> NDArray[np.int64]:
        codebook, squares = self._exact
        return (squares - 2 * (rounded(points) @ codebook.T)).argmin(axis=1)

    @cached_property
    def _exact(self) -> tuple[Floats, Floats]:
        """The (codes, dim) rounded codebook, and (codes,) squared lengths of its rows."""
        codebook = rounded(self._codebook)
        return codebook, (codebook**2).sum(axis=1)
