"""Who stands beside whom in a table of Semantic IDs, and what moved from one table to another."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from assets.semantic_ids.artifact import SemanticIds


def rows_under_prefixes(codes: NDArray[np.int32], row: int) -> list[NDArray[np.int64]]:
    """Return for each prefix of an item's SID, the shortest first, the rows of all items under it.

    Args:
        codes: (items, length).
        row: The item.
    """
    same = np.logical_and.accumulate(codes == codes[row], axis=1)
    return [np.flatnonzero(column) for column in same.T]


@dataclass(frozen=True)
class Churn:
    """What moved from one table of Semantic IDs to another.

    Attributes:
        came: Items that only the later one has.
        went: Items that only the earlier one has.
        both: Items of both.
        kept: Of those, how many kept their ID; None where IDs of the two cannot be compared,
            because their lengths or their codebooks differ.
        kept_first: How many of them kept their first code; None likewise.
    """

    came: int
    went: int
    both: int
    kept: int | None
    kept_first: int | None


def churn(before: SemanticIds, after: SemanticIds) -> Churn:
    """Compare two tables of Semantic IDs, item by item."""
    places = pd.Index(before.item_ids).get_indexer(pd.Index(after.item_ids))
    common = places >= 0
    came, both = int((~common).sum()), int(common.sum())
    went = len(before.item_ids) - both
    old, new = before.codes[places[common]], after.codes[common]
    if old.shape[1] != new.shape[1] or before.codebook_version != after.codebook_version:
        return Churn(came, went, both, None, None)
    kept = int((old == new).all(axis=1).sum())
    return Churn(came, went, both, kept, int((old[:, 0] == new[:, 0]).sum()))
