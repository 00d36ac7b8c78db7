"""Categories as words, and how pure the prefixes of the IDs are in them.

A category may name several words (``Comedy|Drama``); an item counts for each of them.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray
from scipy.sparse import csr_matrix, vstack

from assets.collision_report.measures import Codes, prefix_keys

SEPARATORS = re.compile(r"\s*[|>;,/]\s*")


@dataclass(frozen=True)
class Categories:
    """Which words the categories of which items hold.

    Attributes:
        words: All words, in order of the alphabet.
        holds: (items, words) 1 where the item has the word.
    """

    words: list[str]
    holds: csr_matrix

    @classmethod
    def of(cls, texts: pd.Series[Any]) -> Categories:
        """Split the categories of items, in the order of the items; empty ones have no word."""
        kinds, distinct = pd.factorize(texts)
        parts = [sorted({word for word in SEPARATORS.split(text) if word}) for text in distinct]
        words = sorted({word for part in parts for word in part})
        place = {word: column for column, word in enumerate(words)}
        columns = [place[word] for part in parts for word in part]
        starts = np.cumsum([0, *map(len, parts)])
        by_kind = csr_matrix((np.ones(len(columns)), columns, starts), (len(parts), len(words)))
        # factorize writes −1 for an empty category, which is the last row here
        return cls(words, vstack([by_kind, csr_matrix((1, len(words)))], format="csr")[kinds])

    def commonest(self, items: NDArray[np.intp]) -> tuple[str | None, float]:
        """Return the commonest word of some items, and the share of them that have it."""
        counts = np.asarray(self.holds[items].sum(axis=0)).ravel()
        if not counts.any():
            return None, 0.0
        word = int(counts.argmax())  # of equal ones the first in the alphabet
        return self.words[word], counts[word] / len(items)


def prefix_purity(codes: Codes, categories: Categories, seed: int) -> dict[str, Any]:
    """Return how much the items under one prefix agree in their category.

    The purity at a prefix length is the share of the items with a category that have their prefix's
    commonest word. Small buckets are pure by chance, so the table shows beside it what the same
    buckets have when the categories are dealt out at random.

    Args:
        codes: (items, levels).
        categories: Of the same items.
        seed: Seed of the dealing.

    Returns:
        ``prefix_purity`` for each length from 1, the number of items with a category, and the table
        ``purity``. Without categories nothing is known of any length and the table is empty.
    """
    known = np.flatnonzero(np.diff(categories.holds.indptr))
    if not len(known):
        return {
            "prefix_purity": [None] * codes.shape[1],
            "items_with_category": 0,
            "purity": [],
        }
    holds = categories.holds[known]
    dealt = holds[np.random.default_rng(seed).permutation(len(known))]
    rows = []
    for length, keys in enumerate(prefix_keys(codes[known]), start=1):
        distinct, prefix = np.unique(keys, return_inverse=True)
        buckets = csr_matrix(
            (np.ones(len(known)), (prefix, np.arange(len(known)))), (len(distinct), len(known))
        )
        rows.append(
            {
                "codes": length,
                "prefixes": len(distinct),
                "purity": _purity(buckets, holds),
                "purity_by_chance": _purity(buckets, dealt),
            }
        )
    return {
        "prefix_purity": [row["purity"] for row in rows],
        "items_with_category": len(known),
        "purity": rows,
    }


def _purity(buckets: csr_matrix, holds: csr_matrix) -> float:
    return float((buckets @ holds).max(axis=1).sum() / holds.shape[0])
