"""IDs that some other tool made: each item's own codes, found again by its item_id.

The codes come without codebooks; what stands for them is learnt from the items' vectors, so report,
policies, gate and retriever work as on any additive quantizer. An item without given codes, which
can only come later, gets the nearest ones.
"""

from __future__ import annotations

import hashlib
from typing import Any, ClassVar, Self

import numpy as np
from numpy.typing import NDArray

from assets.codebooks.quantizer import Codes, Vectors
from assets.codebooks.residual import ResidualQuantizer, levels_of

KEY_BYTES = 16  # of the hash by which an item is found again: safetensors hold no text


class External(ResidualQuantizer):
    """Given codes, and the mean residuals that stand for them."""

    name: ClassVar[str] = "external"

    def __init__(self, codebooks: list[Vectors], keys: NDArray[np.uint8], given: Codes) -> None:
        """Put it together.

        Args:
            codebooks: (codes of the level, dim) per level.
            keys: (items, KEY_BYTES) hashes of item ids, ascending.
            given: (items, levels) their codes.
        """
        super().__init__(codebooks)
        self._keys = keys
        self._given = given

    def codes_of(self, item_ids: NDArray[np.object_], vectors: Vectors) -> Codes:
        """Return the given (n, levels) codes; items that had none get the nearest."""
        given = {key.tobytes(): codes for key, codes in zip(self._keys, self._given, strict=True)}
        found = [given.get(key.tobytes()) for key in item_keys(item_ids)]
        new = np.array([codes is None for codes in found], bool)
        codes = np.zeros((len(found), len(self.codebooks)), np.int32)
        if not new.all():
            codes[~new] = np.stack([row for row in found if row is not None])
        codes[new] = self.encode(vectors[new])
        return codes

    def tensors(self) -> dict[str, NDArray[Any]]:
        """Return the codebooks, and the given codes by hash of the item_id."""
        return {**super().tensors(), "item_keys": self._keys, "given": self._given}

    @classmethod
    def from_tensors(cls, tensors: dict[str, NDArray[Any]]) -> Self:
        """Rebuild the quantizer from :meth:`tensors`."""
        return cls(levels_of(tensors), tensors["item_keys"], tensors["given"])


def item_keys(item_ids: NDArray[np.object_]) -> NDArray[np.uint8]:
    """Return (items, KEY_BYTES) hashes."""
    hashes = b"".join(hashlib.sha256(str(name).encode()).digest()[:KEY_BYTES] for name in item_ids)
    return np.frombuffer(hashes, np.uint8).reshape(-1, KEY_BYTES)
