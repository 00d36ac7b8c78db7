"""Append a running index to every item: the usual way to make Semantic IDs unique.

Items that share all codes are numbered 0, 1, 2 … in the last position. It keeps the codes as they
are, and pays with one more token that means nothing (the baseline of PSI, "Purely Semantic
Indexing").
"""

from __future__ import annotations

import numpy as np

from assets.semantic_ids.params import SemanticIdsParams
from assets.semantic_ids.placement import Placement
from assets.semantic_ids.problem import Problem
from assets.semantic_ids.sid_keys import sid_keys
from assets.stage import UserError


def append_index(problem: Problem, params: SemanticIdsParams) -> Placement:
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

    turns = problem.turns(params.order)
    grouped = turns[np.argsort(bucket[turns], kind="stable")]  # by bucket, in turns within
    items_in = np.bincount(bucket, minlength=len(distinct))
    starts = np.cumsum(items_in) - items_in
    index = np.empty(len(bucket), np.int64)
    index[grouped] = np.arange(len(bucket)) - starts[bucket[grouped]]
    index += next_free[bucket]

    needed = int(index.max(initial=-1)) + 1
    if needed > params.index_size:
        item = problem.item_ids[index.argmax()]
        raise UserError(
            f"{needed} items share the codes of item {item!r}, but the index has "
            f"{params.index_size} numbers: enlarge `semantic_ids.index_size` to {needed} or more, "
            "or `codebooks.codebook_size`."
        )
    codes = np.column_stack([problem.raw_codes, index]).astype(np.int32)
    return Placement(codes, [*problem.sizes, params.index_size])
