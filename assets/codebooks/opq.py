"""Optimised product quantisation: each code stands for its own part of a rotated vector.

A rotation R is learnt together with a product quantizer (faiss's ``OPQMatrix``; Ge et al.,
"Optimized Product Quantization"), the rotated dimensions are cut into as many equal parts as there
are levels, and each part has its k-means codebook. Codebooks are padded with zeros to full length:
a vector's latent is R x, the sum of one row per level rebuilds it, and the nearest row of a padded
codebook to a residual is the nearest to its part. Levels are ordered by how much of the vectors'
variance their parts hold, the greatest first.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, ClassVar, Self

import numpy as np
from numpy.typing import NDArray

from assets.codebooks.kmeans import cluster, sample
from assets.codebooks.linear import linear
from assets.codebooks.quantizer import Beside, Codes, Vectors
from assets.codebooks.residual import ResidualQuantizer, levels_of

if TYPE_CHECKING:
    from assets.codebooks.params import CodebooksParams


class OPQ(ResidualQuantizer):
    """A rotation, and one codebook for each part of the rotated vector."""

    name: ClassVar[str] = "opq"

    def __init__(self, codebooks: list[Vectors], rotation: Vectors) -> None:
        super().__init__(codebooks)
        self._rotation = rotation  # (latent dim, dim), orthonormal columns

    @classmethod
    def fit(
        cls,
        vectors: Vectors,
        params: CodebooksParams,
        *,
        device: str = "cpu",
        beside: Beside | None = None,
    ) -> Self:
        """Learn the rotation, then each part's codebook by k-means."""
        levels, dim = params.levels, vectors.shape[1]
        part = -(-dim // levels)
        padded = np.pad(
            sample(vectors, params.most_points, params.seed), ((0, 0), (0, part * levels - dim))
        )
        rotation = _rotation(padded, levels, max(params.sizes))
        latent = linear(padded, rotation)
        variance = latent.var(axis=0).reshape(levels, part).sum(axis=1)
        order = np.argsort(-variance, kind="stable")
        rotation = rotation.reshape(levels, part, -1)[order].reshape(levels * part, -1)
        latent = linear(padded, rotation)
        codebooks = []
        for level, size in enumerate(params.sizes):
            own = slice(level * part, (level + 1) * part)
            codebook = np.zeros((size, levels * part), np.float32)
            codebook[:, own] = cluster(
                np.ascontiguousarray(latent[:, own]),
                size,
                iterations=params.iterations,
                spread=params.start_spread,
                seed=params.seed + level,
                device=device,
            )
            codebooks.append(codebook)
        return cls(codebooks, np.ascontiguousarray(rotation[:, :dim]))

    def latent(self, vectors: Vectors) -> Vectors:
        """Rotate (n, dim) vectors."""
        return linear(vectors, self._rotation)

    def decode(self, codes: Codes) -> Vectors:
        """Return the (n, dim) vectors of the sums of the codes' rows, rotated back."""
        return linear(super().decode(codes), self._rotation.T)

    def tensors(self) -> dict[str, NDArray[Any]]:
        """Return the codebooks and the rotation."""
        return {**super().tensors(), "rotation": self._rotation}

    @classmethod
    def from_tensors(cls, tensors: dict[str, NDArray[Any]]) -> Self:
        """Rebuild the quantizer from :meth:`tensors`."""
        return cls(levels_of(tensors), tensors["rotation"])


def _rotation(vectors: Vectors, parts: int, size: int) -> Vectors:
    """Return the (dim, dim) rotation; with no more vectors than codes there is none to learn.

    Nor with fewer vectors than dimensions: faiss would write past the end of its memory.
    """
    import faiss

    dim = vectors.shape[1]
    bits = int(np.log2(max(2, size)))
    if len(vectors) <= 2**bits or len(vectors) < dim:
        return np.eye(dim, dtype=np.float32)
    matrix = faiss.OPQMatrix(dim, parts)
    quantizer = faiss.ProductQuantizer(dim, parts, bits)
    quantizer.cp.min_points_per_centroid = 1
    matrix.pq = quantizer
    matrix.train(vectors)
    return np.asarray(faiss.vector_to_array(matrix.A).reshape(dim, dim))
