"""What every quantizer can do."""

from __future__ import annotations

from typing import Any, ClassVar, Protocol, Self

import numpy as np
from numpy.typing import NDArray

Vectors = NDArray[np.float32]
Codes = NDArray[np.int32]


class Quantizer(Protocol):
    """A fitted quantizer of L levels.

    Attributes:
        name: What params call it.
        additive: Whether a vector's reconstruction in latent space is the sum of one row per level
            codebook. Policies that walk residuals (rrs) need it.
    """

    name: ClassVar[str]
    additive: ClassVar[bool]

    @property
    def codebooks(self) -> list[Vectors]:
        """One (codes of the level, latent dim) matrix per level."""
        ...

    @classmethod
    def fit(cls, vectors: Vectors, params: Any, *, device: str = "cpu") -> Self:
        """Learn from (items, dim) float32 vectors; `params` are those of the stage.

        ``device`` is where to compute: ``cpu``, ``cuda`` or ``auto``.
        """
        ...

    def latent(self, vectors: Vectors) -> Vectors:
        """Map (n, dim) vectors to the (n, latent dim) space in which codebooks live."""
        ...

    def encode(self, vectors: Vectors) -> Codes:
        """Return the (n, levels) codes of (n, dim) vectors, by the quantizer's own rule."""
        ...

    def decode(self, codes: Codes) -> Vectors:
        """Rebuild (n, dim) vectors from (n, levels) codes."""
        ...

    def tensors(self) -> dict[str, NDArray[Any]]:
        """Return what has to be saved: one array per name."""
        ...

    @classmethod
    def from_tensors(cls, tensors: dict[str, NDArray[Any]]) -> Self:
        """Rebuild the quantizer from :meth:`tensors`."""
        ...
