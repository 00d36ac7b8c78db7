"""Residual quantisation by k-means: each level clusters what the levels before left over.

The nearest code is taken at every level (beam 1), as the papers on Semantic IDs mean it; faiss's
own ``ResidualQuantizer`` searches with beam 5 by default, which gives other codes.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, ClassVar, Self

import numpy as np
from numpy.typing import NDArray
from pydantic import BaseModel, ConfigDict, Field

from assets.codebooks.kmeans import cluster, sample
from assets.codebooks.nearest import NearestCode
from assets.codebooks.quantizer import Beside, Codes, Vectors
from assets.codebooks.residual import ResidualQuantizer, levels_of
from assets.stage import progress

if TYPE_CHECKING:
    from assets.codebooks.params import CodebooksParams


class RQKMeansParams(BaseModel):
    """Section ``codebooks.rq_kmeans`` of params.yaml."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    normalise_residuals: bool = Field(
        False, description="Residuals are clustered by direction alone, whatever their length."
    )


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

    @classmethod
    def fit(
        cls,
        vectors: Vectors,
        params: CodebooksParams,
        *,
        device: str = "cpu",
        beside: Beside | None = None,
    ) -> Self:
        """Learn one codebook per level from (items, dim) vectors or a sample of them."""
        residuals = sample(vectors, params.most_points, params.seed)
        codebooks: list[Vectors] = []
        directions: list[Vectors] = []
        for level, size in enumerate(progress(params.sizes, "fitting levels")):
            by_direction = params.rq_kmeans.normalise_residuals
            points = _unit(residuals) if by_direction else residuals
            codebook = cluster(
                points,
                size,
                iterations=params.iterations,
                spread=params.start_spread,
                seed=params.seed + level,
                device=device,
            )
            codebooks.append(codebook)
            if not by_direction and level + 1 == params.levels:
                break
            codes = NearestCode(codebook)(points)
            if by_direction:
                directions.append(codebook)
                codebooks[-1] = _means(residuals, codes, size)
            residuals = residuals - codebooks[-1][codes]
        return cls(codebooks, directions)

    def encode(self, vectors: Vectors) -> Codes:
        """Return the (n, levels) codes of (n, dim) vectors: the nearest one at each level."""
        if not self._directions:
            return super().encode(vectors)
        residuals = np.array(vectors, np.float32)
        codes = np.empty((len(vectors), len(self.codebooks)), np.int32)
        for level, (codebook, own) in enumerate(zip(self.codebooks, self._directions, strict=True)):
            codes[:, level] = NearestCode(own)(_unit(residuals))
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


def _unit(rows: Vectors) -> Vectors:
    lengths = np.linalg.norm(rows, axis=1, keepdims=True)
    return np.asarray(rows / np.where(lengths > 0, lengths, 1), np.float32)


def _means(rows: Vectors, codes: NDArray[np.int64], size: int) -> Vectors:
    sums = np.zeros((size, rows.shape[1]))
    np.add.at(sums, codes, rows)
    items = np.bincount(codes, minlength=size)[:, None]
    return (sums / np.maximum(items, 1)).astype(np.float32)
