"""What every fitted quantizer can do: the whole interface.

A new quantizer is a file beside this and a line in ``quantizers.py``, and how it is learnt a file
of the same name and a line in ``fitting/``. Knobs of its own stand in ``params.py``, in a frozen
model, and in params.yaml, in a section of its name.
"""

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
            codebook. Policies that walk residuals (ecm, rrs, knn_n, optimal) need it.
    """

    name: ClassVar[str]
    additive: ClassVar[bool]

    @property
    def codebooks(self) -> list[Vectors]:
        """One (codes of the level, latent dim) matrix per level.

        Of a quantizer that is not additive they are the mean of what a code adds.
        """
        ...

    def latent(self, vectors: Vectors) -> Vectors:
        """Map (n, dim) vectors to the (n, latent dim) space in which codebooks live."""
        ...

    def encode(self, vectors: Vectors) -> Codes:
        """Return the (n, levels) codes of (n, dim) vectors, by the quantizer's own rule."""
        ...

    def codes_of(
        self,
        item_ids: NDArray[np.object_],  # noqa: ARG002  for who knows items by name
        vectors: Vectors,
    ) -> Codes:
        """Return the (n, levels) codes of items: ``encode``, unless codes were given by name."""
        return self.encode(vectors)

    def decode(self, codes: Codes) -> Vectors:
        """Rebuild (n, dim) vectors from (n, levels) codes, or from fewer levels."""
        ...

    def tensors(self) -> dict[str, NDArray[Any]]:
        """Return what has to be saved: one array per name."""
        ...

    @classmethod
    def from_tensors(cls, tensors: dict[str, NDArray[Any]]) -> Self:
        """Rebuild the quantizer from :meth:`tensors`."""
        ...
