"""Residual quantisation by k-means: each level clusters what the levels before left over.

The nearest code is taken at every level (beam 1), as the papers on Semantic IDs mean it; faiss's
own ``ResidualQuantizer`` searches with beam 5 by default, which gives other codes.
"""

from __future__ import annotations

from typing import Any, ClassVar, Self

import numpy as np
from numpy.typing import NDArray

from assets.codebooks.nearest import NearestCode
from assets.codebooks.quantizer import Codes, Vectors
from assets.codebooks.residual import ResidualQuantizer, levels_of, unit_rows


class RQKMeans(ResidualQuantizer):
    """A residual quantizer whose levels are k-means codebooks.

    With normalised residuals a code is the direction nearest to that of the residual, and its row
    of the codebook the mean of the residuals that chose it.
    """

    name: ClassVar[str] = "rq_kmeans"

    def __init__(self, codebooks: list[Vectors], directions: list[Vectors] | None = None) -> None:
        """Put it together.

        Args:
            codebooks: (codes, dim) per level: what a code adds to the reconstruction.
            directions: (codes, dim) per level: what normalised residuals are compared with.
        """
        super().__init__(codebooks)
        self._directions = directions or []

    def encode(self, vectors: Vectors) -> Codes:
        """Return the (n, levels) codes of (n, dim) vectors: the nearest one at each level."""
        if not self._directions:
            return super().encode(vectors)
        residuals = np.array(vectors, np.float32)
        codes = np.empty((len(vectors), len(self.codebooks)), np.int32)
        for level, (codebook, own) in enumerate(zip(self.codebooks, self._directions, strict=True)):
            codes[:, level] = NearestCode(own)(unit_rows(residuals))
            residuals -= codebook[codes[:, level]]
        return codes

    def tensors(self) -> dict[str, NDArray[Any]]:
        """Return one tensor per level: ``level_0``, ``level_1`` and so on."""
        directions = {f"direction_{level}": book for level, book in enumerate(self._directions)}
        return super().tensors() | directions

    @classmethod
    def from_tensors(cls, tensors: dict[str, NDArray[Any]]) -> Self:
        """Rebuild the quantizer from :meth:`tensors`."""
        return cls(levels_of(tensors), levels_of(tensors, "direction_"))
