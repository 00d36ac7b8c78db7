"""Residual lookup-free quantisation: a code is the signs of a few numbers.

A vector is projected to log2(K) numbers; their signs are its code, ±1 is subtracted, the signs of
what is left are the next code, at half the scale, and so on; a linear map leads back. There is no
codebook to learn, only the two maps, which start from the whitened principal components and are
trained by the squared error and an entropy term that makes each choice sure and all codes used
(Yu et al., "Language Model Beats Diffusion"). The modules are those of vector-quantize-pytorch, as
in "Semantic IDs for Joint Generative Search and Recommendation"; what they do once trained is a few
lines, so that IDs can be made without torch.
"""

from __future__ import annotations

from typing import Any, ClassVar, Self

import numpy as np
from numpy.typing import NDArray

from assets.codebooks.linear import linear
from assets.codebooks.quantizer import Codes, Vectors
from assets.codebooks.residual import ResidualQuantizer, levels_of


class ResidualLFQ(ResidualQuantizer):
    """Two linear maps and signs."""

    name: ClassVar[str] = "residual_lfq"

    def __init__(
        self,
        codebooks: list[Vectors],
        inward: tuple[Vectors, Vectors],
        outward: tuple[Vectors, Vectors],
    ) -> None:
        """Put it together.

        Args:
            codebooks: (codes, bits) corners of a cube per level.
            inward: Weight (bits, dim) and bias (bits,) from vectors to latent.
            outward: Weight (dim, bits) and bias (dim,) from latent to vectors.
        """
        super().__init__(codebooks)
        self._inward = inward
        self._outward = outward

    def latent(self, vectors: Vectors) -> Vectors:
        """Project (n, dim) vectors to (n, bits)."""
        return linear(vectors, *self._inward)

    def encode(self, vectors: Vectors) -> Codes:
        """Return the (n, levels) codes: the signs of what the levels before left over."""
        residuals = self.latent(vectors)
        codes = np.empty((len(vectors), len(self.codebooks)), np.int32)
        places = 2 ** np.arange(residuals.shape[1] - 1, -1, -1)
        for level, codebook in enumerate(self.codebooks):
            codes[:, level] = (residuals > 0) @ places
            residuals = residuals - codebook[codes[:, level]]
        return codes

    def decode(self, codes: Codes) -> Vectors:
        """Return the (n, dim) vectors of the sums of the codes' corners."""
        return linear(super().decode(codes), *self._outward)

    def tensors(self) -> dict[str, NDArray[Any]]:
        """Return the corners and both maps."""
        maps = {"in_": self._inward, "out_": self._outward}
        return {
            **super().tensors(),
            **{f"{way}weight": weight for way, (weight, _) in maps.items()},
            **{f"{way}bias": bias for way, (_, bias) in maps.items()},
        }

    @classmethod
    def from_tensors(cls, tensors: dict[str, NDArray[Any]]) -> Self:
        """Rebuild the quantizer from :meth:`tensors`."""
        inward, outward = ((tensors[f"{w}weight"], tensors[f"{w}bias"]) for w in ("in_", "out_"))
        return cls(levels_of(tensors), inward, outward)
