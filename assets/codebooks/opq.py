"""Optimised product quantisation: each code stands for its own part of a rotated vector.

A rotation R is learnt together with a product quantizer (faiss's ``OPQMatrix``; Ge et al.,
"Optimized Product Quantization"), the rotated dimensions are cut into as many equal parts as there
are levels, and each part has its k-means codebook. Codebooks are padded with zeros to full length:
a vector's latent is R x, the sum of one row per level rebuilds it, and the nearest row of a padded
codebook to a residual is the nearest to its part. Levels are ordered by how much of the vectors'
variance their parts hold, the greatest first.
"""

from __future__ import annotations

from typing import Any, ClassVar, Self

from numpy.typing import NDArray

from assets.codebooks.linear import linear
from assets.codebooks.quantizer import Codes, Vectors
from assets.codebooks.residual import ResidualQuantizer, levels_of


class OPQ(ResidualQuantizer):
    """A rotation, and one codebook for each part of the rotated vector."""

    name: ClassVar[str] = "opq"

    def __init__(self, codebooks: list[Vectors], rotation: Vectors) -> None:
        super().__init__(codebooks)
        self._rotation = rotation  # (latent dim, dim), orthonormal columns

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
