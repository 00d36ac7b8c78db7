"""What a collision policy works from: items with their nearest codes, and IDs already taken."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Self

import numpy as np
from numpy.typing import NDArray

from assets.codebooks.artifact import Codebooks
from assets.semantic_ids.params import Order
from assets.semantic_ids.path_distances import code_distances
from assets.stage import UserError

Codes = NDArray[np.int32]


@dataclass(frozen=True)
class Prior:
    """IDs already taken: none of them may be given away, moved or changed.

    Attributes:
        codes: (taken, length) int32; a SID stands as often as it has items.
    """

    codes: Codes


@dataclass(frozen=True)
class Problem:
    """Items to place, in ascending order of item_id.

    Attributes:
        item_ids: (items,) text.
        latent: (items, dim) float32, in the space of the codebooks.
        codebooks: One (codes, dim) matrix per level.
        raw_codes: (items, levels) int32, nearest code per level.
        errors: (items,) float32, each item's own squared quantisation error under its raw codes.
        prior: IDs already taken, or None.
    """

    item_ids: NDArray[np.object_]
    latent: NDArray[np.float32]
    codebooks: list[NDArray[np.float32]]
    raw_codes: Codes
    errors: NDArray[np.float32]
    prior: Prior | None = None

    @classmethod
    def of(
        cls,
        item_ids: NDArray[np.object_],
        vectors: NDArray[np.float32],
        codebooks: Codebooks,
        prior: Prior | None = None,
    ) -> Self:
        """Encode (items, dim) vectors that come in any order, and sort them by item_id.

        Raises:
            UserError: A vector is not finite.
        """
        broken = ~np.isfinite(vectors).all(axis=1)
        if broken.any():
            raise UserError(
                f"data/embeddings: the vector of item {item_ids[broken.argmax()]!r} is not finite "
                f"({broken.sum()} such items): mend the encoder, then run `dvc repro embeddings`."
            )
        by_id = np.argsort(item_ids, kind="stable")
        quantizer = codebooks.quantizer
        sorted_vectors = vectors[by_id]
        codes = quantizer.codes_of(item_ids[by_id], sorted_vectors)
        latent = quantizer.latent(sorted_vectors)
        errors = code_distances(quantizer, latent, codes)[:, -1] ** 2
        return cls(item_ids[by_id], latent, quantizer.codebooks, codes, errors, prior)

    @property
    def sizes(self) -> list[int]:
        """Number of codes of each level."""
        return [len(book) for book in self.codebooks]

    @property
    def capacity(self) -> int:
        """Number of different SIDs that the codebooks can write."""
        return math.prod(self.sizes)

    @property
    def taken(self) -> Codes:
        """The (taken, length) SIDs of the prior, none where there is no prior."""
        return self.prior.codes if self.prior else np.empty((0, len(self.sizes)), np.int32)

    def turns(self, order: Order) -> NDArray[np.intp]:
        """Return the rows in the order in which they choose.

        Args:
            order: ``error``: ascending own quantisation error, ties by item_id; ``index``: by
                item_id alone, as the released code of PSI goes by the index.
        """
        if order == "index":
            return np.arange(len(self.item_ids))
        return np.argsort(self.errors, kind="stable")
