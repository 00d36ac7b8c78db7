"""The items as every method here sees them: rows in order of train popularity, then item_id.

That order is the tie rule of the whole stage: whatever a method scores alike stands in row order,
as items under one SID do.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np
import pandas as pd
import torch
from numpy.typing import NDArray

from assets.evaluation import Rows
from assets.interactions.artifact import Interactions

SLICES = ("head", "torso", "cold")


@dataclass(frozen=True)
class Catalogue:
    """All items that can be found.

    Attributes:
        item_ids: (items,) text.
        documents: (items,) text.
        popularity: (items,) number of train interactions, descending.
    """

    item_ids: NDArray[np.object_]
    documents: NDArray[np.object_]
    popularity: NDArray[np.int64]

    @classmethod
    def of(cls, data: Interactions) -> Catalogue:
        """Order the items of a data set."""
        items = data.items[["item_id", "document"]].copy()
        items["popularity"] = data.popularity("train").to_numpy()
        items = items.sort_values(["popularity", "item_id"], ascending=[False, True])
        return cls(
            items["item_id"].to_numpy(dtype=object),
            items["document"].to_numpy(dtype=object),
            items["popularity"].to_numpy(dtype=np.int64),
        )

    def rows(self, item_ids: Sequence[str] | NDArray[np.object_]) -> NDArray[np.int64]:
        """Return the rows of items, -1 for an unknown one."""
        return np.asarray(self._index.get_indexer(pd.Index(item_ids, dtype=object)), np.int64)

    def row_lists(self, item_ids: Sequence[Sequence[str]]) -> list[Rows]:
        """Return the rows of many lists of items."""
        flat = self.rows([item for row in item_ids for item in row])
        return np.split(flat, np.cumsum([len(row) for row in item_ids])[:-1]) if item_ids else []

    @cached_property
    def _index(self) -> pd.Index[Any]:
        return pd.Index(self.item_ids)

    @cached_property
    def slices(self) -> NDArray[np.int64]:
        """(items,) place in SLICES of each item.

        *head* is the smallest set of most popular items that holds at least half of the train
        interactions, *torso* the other items with any, *cold* those with none.
        """
        before = np.cumsum(self.popularity) - self.popularity
        head = 2 * before < self.popularity.sum()
        return np.where(self.popularity == 0, 2, np.where(head, 0, 1))


def best(scores: NDArray[np.floating[Any]], k: int) -> NDArray[np.int64]:
    """Return the k best columns of each row, ties in column order.

    Args:
        scores: (queries, items); -inf where an item may not be ranked.
        k: How many.

    Returns:
        (queries, k) columns, -1 where there is none left.
    """
    found = np.full((len(scores), k), -1, dtype=np.int64)
    width = min(k, scores.shape[1])
    # numpy's partition is quadratic in ties, of which sparse scores are full
    kth = torch.topk(torch.from_numpy(scores), width)[0][:, -1].numpy()
    for row, (values, least) in enumerate(zip(scores, kth, strict=True)):
        above = np.flatnonzero(values > least)
        columns = above[np.argsort(-values[above], kind="stable")]
        if np.isfinite(least):
            level = np.flatnonzero(values == least)[: width - len(above)]
            columns = np.concatenate([columns, level])
        found[row, : len(columns)] = columns
    return found
