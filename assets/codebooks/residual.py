"""What quantizers share whose reconstruction is a sum of one code per level.

r_1 = x,   c_l = argmin_c ‖r_l − e_{l,c}‖²,   r_{l+1} = r_l − e_{l,c_l},   x ≈ Σ_l e_{l,c_l}
"""

from __future__ import annotations

from typing import Any, ClassVar, Self

import numpy as np
from numpy.typing import NDArray

from assets.codebooks.nearest import BLOCK, NearestCode
from assets.codebooks.quantizer import Codes, Quantizer, Vectors


class ResidualQuantizer(Quantizer):
    """Additive, and by default the nearest code at every level (beam 1).

    A subclass whose codebooks live in another space than the vectors says how to get there and
    back.
    """

    additive: ClassVar[bool] = True

    def __init__(self, codebooks: list[Vectors]) -> None:
        self._codebooks = codebooks

    @property
    def codebooks(self) -> list[Vectors]:
        """One (codes of the level, latent dim) matrix per level."""
        return self._codebooks

    def latent(self, vectors: Vectors) -> Vectors:
        """Return the vectors: codebooks live in their space."""
        return vectors

    def encode(self, vectors: Vectors) -> Codes:
        """Return the (n, levels) codes of (n, dim) vectors: the nearest one at each level."""
        return nearest_path(self.latent(vectors), self._codebooks)

    def decode(self, codes: Codes) -> Vectors:
        """Return the (n, dim) vectors of the sums of the codes' rows."""
        return code_sums(codes, self._codebooks)

    def tensors(self) -> dict[str, NDArray[Any]]:
        """Return one tensor per level: ``level_0``, ``level_1`` and so on."""
        return {f"level_{level}": book for level, book in enumerate(self._codebooks)}

    @classmethod
    def from_tensors(cls, tensors: dict[str, NDArray[Any]]) -> Self:
        """Rebuild the quantizer from :meth:`tensors`."""
        return cls(levels_of(tensors))


def levels_of(tensors: dict[str, NDArray[Any]], prefix: str = "level_") -> list[NDArray[Any]]:
    """Return the tensors ``<prefix>0``, ``<prefix>1`` and so on, in order."""
    count = sum(name.startswith(prefix) for name in tensors)
    return [tensors[f"{prefix}{level}"] for level in range(count)]


def nearest_path(latent: Vectors, codebooks: list[Vectors]) -> Codes:
    """Return the (n, levels) codes of (n, latent dim) points, the nearest one at each level."""
    codes = np.empty((len(latent), len(codebooks)), np.int32)
    nearest = [NearestCode(book) for book in codebooks]
    for start in range(0, len(latent), BLOCK):
        rows = slice(start, start + BLOCK)
        residuals = np.array(latent[rows], np.float32, order="C")
        for level, codebook in enumerate(codebooks):
            codes[rows, level] = nearest[level](residuals)
            if level + 1 < len(codebooks):
                residuals -= codebook[codes[rows, level]]
    return codes


def unit_rows(rows: NDArray[Any]) -> Vectors:
    """Return (n, dim) rows at length 1; rows of length 0 stay as they are."""
    lengths = np.linalg.norm(rows, axis=1, keepdims=True)
    return np.asarray(rows / np.where(lengths > 0, lengths, 1), np.float32)


def code_sums(codes: Codes, codebooks: list[Vectors]) -> Vectors:
    """Return the (n, latent dim) sums of the codes' rows; fewer columns are fewer levels."""
    sums = np.zeros((len(codes), codebooks[0].shape[1]), np.float32)
    for codebook, column in zip(codebooks, codes.T, strict=False):
        sums += codebook[column]
    return sums
