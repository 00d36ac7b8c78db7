"""Append a running index to every item: the usual way to make Semantic IDs unique.

Items that share all codes are numbered 0, 1, 2 … in the last position. It keeps the codes as they
are, and pays with one more token that means nothing (the baseline of PSI, "Purely Semantic
Indexing").
"""

from __future__ import annotations

from typing import TYPE_CHECKING, ClassVar

import numpy as np

from assets.semantic_ids.path import sid_keys
from assets.semantic_ids.policy import Placement, Problem
from assets.stage import UserError

if TYPE_CHECKING:
    from assets.semantic_ids.params import SemanticIdsParams


class AppendIndex:
    """Every item gets the index, the first of a bucket 0; numbers already taken stay taken."""

    name: ClassVar[str] = "append_index"
    additive_only: ClassVar[bool] = False

    def __init__(self, params: SemanticIdsParams) -> None:
        self.bucket_limit: int | None = 1
        self._size = params.index_size
        self._order = params.order

    def place(self, problem: Problem) -> Placement:
        """Number the items of each bucket in their turns, after those of the prior.

        Raises:
            UserError: A bucket has more items than the index has numbers.
        """
        prior = np.empty((0, len(problem.sizes) + 1), np.int32)
        if problem.prior is not None:
            prior = problem.prior.codes
        keys = sid_keys(np.concatenate([prior[:, :-1], problem.raw_codes]), problem.sizes)
        distinct, bucket = np.unique(keys, return_inverse=True)
        taken, bucket = bucket[: len(prior)], bucket[len(prior) :]
        next_free = np.zeros(len(distinct), np.int64)
        np.maximum.at(next_free, taken, prior[:, -1] + 1)

        turns = problem.turns(self._order)
        grouped = turns[np.argsort(bucket[turns], kind="stable")]  # by bucket, in turns within
        items_in = np.bincount(bucket, minlength=len(distinct))
        starts = np.cumsum(items_in) - items_in
        index = np.empty(len(bucket), np.int64)
        index[grouped] = np.arange(len(bucket)) - starts[bucket[grouped]]
        index += next_free[bucket]

        needed = int(index.max(initial=-1)) + 1
        if needed > self._size:
            item = problem.item_ids[index.argmax()]
            raise UserError(
                f"{needed} items share the codes of item {item!r}, but the index has "
                f"{self._size} numbers: enlarge `semantic_ids.index_size` to {needed} or more, or "
                "`codebooks.codebook_size`."
            )
        codes = np.column_stack([problem.raw_codes, index]).astype(np.int32)
        return Placement(codes, [*problem.sizes, self._size])
