"""Which items stand under each Semantic ID, and in which order they are shown."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np
from numpy.typing import NDArray


@dataclass(frozen=True)
class Buckets:
    """The distinct SIDs, which are the leaves of the trie, and the items under each.

    Attributes:
        sids: (leaves, levels) int32, in ascending order.
        starts: (leaves + 1,) int64; leaf i holds ``items[starts[i]:starts[i + 1]]``.
        items: (items,) int64 rows of the item table: by train popularity, then by row, which is
            the order of item_id.
    """

    sids: NDArray[np.int32]
    starts: NDArray[np.int64]
    items: NDArray[np.int64]

    @classmethod
    def of(cls, codes: NDArray[np.integer[Any]], popularity: NDArray[np.integer[Any]]) -> Buckets:
        """Group items by SID.

        Args:
            codes: (items, levels), in order of item_id.
            popularity: (items,) train interactions.
        """
        sids, leaf_of = np.unique(codes, axis=0, return_inverse=True)
        leaf_of = leaf_of.reshape(-1)
        items = np.lexsort((np.arange(len(codes)), -popularity, leaf_of))
        starts = np.searchsorted(leaf_of[items], np.arange(len(sids) + 1))
        return cls(sids.astype(np.int32), starts.astype(np.int64), items.astype(np.int64))

    @property
    def sizes(self) -> NDArray[np.int64]:
        """(leaves,) number of items of each leaf."""
        return np.diff(self.starts)

    @cached_property
    def leaf_of(self) -> NDArray[np.int64]:
        """(items,) the leaf of each item."""
        leaf_of = np.empty(len(self.items), dtype=np.int64)
        leaf_of[self.items] = np.repeat(np.arange(len(self.sids)), self.sizes)
        return leaf_of

    def expand(
        self, leaves: NDArray[np.integer[Any]]
    ) -> tuple[NDArray[np.int64], NDArray[np.int64], NDArray[np.int64]]:
        """List the items of leaves in order, row after row.

        Args:
            leaves: (rows, beams), -1 where there is none.

        Returns:
            The row and the beam of each item, and the item, all (items found,).
        """
        row, beam = np.nonzero(leaves >= 0)
        leaf = leaves[row, beam]
        counts = self.sizes[leaf]
        before = np.cumsum(counts) - counts
        place = np.arange(counts.sum()) + np.repeat(self.starts[leaf] - before, counts)
        return np.repeat(row, counts), np.repeat(beam, counts), self.items[place]
