"""Re-purchase: what a history holds, the most and latest first; the personal top of a shop.

An item's score is the sum of ``decay ** age`` over its places among the last items of the history,
age 0 for the latest. Where an item of the history is no answer, nothing is ranked.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from assets.rankers.item_to_item import recency_weights
from assets.ranking import Histories, Ranked, Rows, rank_in_chunks


@dataclass(frozen=True)
class Repurchase:
    """Ranks the items of a history by how often and how lately they are in it.

    Attributes:
        history: How many of a user's last interactions count.
        decay: Weight of an interaction per step into the past.
        ties: (items,) rows in the order in which equals are shown.
    """

    history: int
    decay: float
    ties: Rows

    def rank(self, asked: Histories, depth: int) -> Ranked:
        """Rank the items of each history, and no others; none where repeats are excluded."""

        def scores(chunk: slice) -> NDArray[np.float32]:
            histories = asked.items[chunk]
            found = recency_weights(histories, self.history, self.decay, len(self.ties)).toarray()
            found[found <= 0] = -np.inf
            return found

        return rank_in_chunks(scores, len(asked), depth, self.ties, asked.excluded)
