"""Dense retrieval: the items whose vectors are nearest to the query's, exactly."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from assets.ranking import Queries, Ranked, Rows, rank_in_chunks


@dataclass(frozen=True)
class Dense:
    """Exact search over item vectors.

    Attributes:
        vectors: (items, dim) float32, rows of length 1.
        ties: (items,) rows in the order in which equals are shown.
    """

    vectors: NDArray[np.float32]
    ties: Rows

    def rank(self, asked: Queries, depth: int) -> Ranked:
        """Rank by cosine similarity."""
        return rank_in_chunks(
            lambda chunk: asked.vectors[chunk] @ self.vectors.T, len(asked), depth, self.ties
        )
