"""Popularity: the items with the most train interactions, the same for everybody."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from assets.ranking import Histories, Queries, Ranked, Rows, rank_in_chunks


@dataclass(frozen=True)
class Popularity:
    """Ranks by counts.

    Attributes:
        counts: (items,) train interactions.
        ties: (items,) rows in the order in which equals are shown.
    """

    counts: NDArray[np.int64]
    ties: Rows

    def rank(self, asked: Queries | Histories, depth: int) -> Ranked:
        """Rank the most popular items."""
        counts = self.counts.astype(np.float32)
        return rank_in_chunks(
            lambda chunk: np.repeat(counts[None], chunk.stop - chunk.start, axis=0),
            len(asked),
            depth,
            self.ties,
            asked.excluded if isinstance(asked, Histories) else None,
        )
