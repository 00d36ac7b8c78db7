"""The items as all who rank see them: rows in order of item_id, ties by train popularity."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from assets.interactions.artifact import Interactions
from assets.stage import UserError

SLICES = ("head", "torso", "cold")


@dataclass(frozen=True)
class Catalogue:
    """All items that can be found. Row numbers speak of this order and leave no process.

    Attributes:
        item_ids: (items,) text, ascending.
        titles: (items,) what each item is called: its title, or its text where it has none.
        documents: (items,) the text that stands for each.
        popularity: (items,) int64, number of train interactions.
    """

    item_ids: NDArray[np.object_]
    titles: NDArray[np.object_]
    documents: NDArray[np.object_]
    popularity: NDArray[np.int64]

    @classmethod
    def of(cls, data: Interactions) -> Catalogue:
        """Take the items of a data set."""
        items = data.items
        return cls(
            items["item_id"].to_numpy(dtype=object),
            items["title"].fillna(items["text"]).to_numpy(dtype=object),
            items["document"].to_numpy(dtype=object),
            items["train_interactions"].to_numpy(dtype=np.int64),
        )

    def rows(self, item_ids: Sequence[str] | NDArray[np.object_]) -> NDArray[np.int64]:
        """Return the rows of items.

        Raises:
            UserError: An unknown item.
        """
        rows = self._index.get_indexer(pd.Index(item_ids, dtype=object)).astype(np.int64)
        if (rows < 0).any():
            unknown = item_ids[int(np.argmin(rows))]
            raise UserError(f"unknown item `{unknown}`: no such item_id in the catalogue.")
        return rows

    def row_lists(self, item_ids: Sequence[Sequence[str]]) -> list[NDArray[np.int64]]:
        """Return the rows of many lists of items.

        Raises:
            UserError: An unknown item.
        """
        flat = self.rows([item for row in item_ids for item in row])
        return np.split(flat, np.cumsum([len(row) for row in item_ids])[:-1]) if item_ids else []

    @cached_property
    def by_popularity(self) -> NDArray[np.int64]:
        """(items,) rows, the most popular first, equals in order of item_id: how ties are shown."""
        return np.argsort(-self.popularity, kind="stable")

    @cached_property
    def slices(self) -> NDArray[np.int64]:
        """(items,) place in SLICES of each item.

        *head* is the smallest set of most popular items that holds at least half of the train
        interactions, *torso* the other items with any, *cold* those with none.
        """
        ordered = self.popularity[self.by_popularity]
        before = np.empty_like(ordered)
        before[self.by_popularity] = np.cumsum(ordered) - ordered
        head = 2 * before < self.popularity.sum()
        return np.where(self.popularity == 0, 2, np.where(head, 0, 1))

    @cached_property
    def _index(self) -> pd.Index[Any]:
        return pd.Index(self.item_ids, dtype=object)
