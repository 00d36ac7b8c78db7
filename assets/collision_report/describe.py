"""All numbers and tables of the report that need nothing but the IDs and their vectors."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from assets.codebooks.artifact import Codebooks
from assets.collision_report.measures import (
    bucket_counts,
    bucket_histogram,
    collisions,
    different,
    gini,
    index_share,
    level_use,
    space_use,
    worst_levels,
)
from assets.collision_report.reconstruction import rebuild
from assets.semantic_ids.artifact import SemanticIds


def describe_ids(
    ids: SemanticIds, codebooks: Codebooks, vectors: NDArray[np.float32]
) -> tuple[dict[str, Any], NDArray[np.float32]]:
    """Measure the IDs against the vectors that they stand for.

    Args:
        ids: The IDs, before and after the policy.
        codebooks: The quantizer that rebuilds vectors from codes.
        vectors: (items, dim), in the order of the IDs.

    Returns:
        The numbers, and the (items, dim) vectors rebuilt from the final codes.
    """
    levels = ids.raw_codes.shape[1]
    final = ids.codes[:, :levels]
    errors, rebuilt = rebuild(codebooks, vectors, ids.raw_codes, final)
    lengths = np.sqrt(np.einsum("ij,ij->i", vectors, vectors))
    use = level_use(
        final, codebooks.sizes, np.column_stack([lengths, ids.distances[:, :-1]]), vectors
    )
    moved = np.bincount(ids.moved_level[ids.moved_level >= 0], minlength=levels)
    apart = different(vectors)
    before, after = bucket_counts(ids.raw_codes), bucket_counts(ids.codes)
    numbers: dict[str, Any] = {
        "sid_version": ids.version,
        "policy": ids.policy,
        "quantizer": codebooks.quantizer.name,
        "bucket_limit": ids.bucket_limit,
        "items": len(ids.item_ids),
        **{f"{name}_raw": value for name, value in collisions(before).items()},
        **collisions(after),
        "index_share": index_share(before) if ids.codes.shape[1] > levels else None,
        "moved_items": int(moved.sum()),
        "moved_share": moved.sum() / len(ids.item_ids),
        **errors,
        "different_vectors": len(apart),
        "gini_raw": gini(before),
        "gini_of_different": gini(bucket_counts(ids.raw_codes[apart])),
        "gini": gini(after),
        **space_use(after, ids.sizes, len(ids.reserved.item_ids) if ids.reserved else 0),
        **worst_levels(use),
        "levels": use,
        "moved_by_level": [
            {"level": level + 1, "moved_items": int(count)} for level, count in enumerate(moved)
        ],
        "bucket_sizes": bucket_histogram(before, after),
    }
    return numbers, rebuilt
