"""All numbers and tables of the report."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from assets.codebooks.artifact import Codebooks
from assets.collision_report.measures import (
    bucket_counts,
    bucket_histogram,
    collisions,
    gini,
    level_use,
    space_use,
    worst_levels,
)
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
    final = np.ascontiguousarray(ids.codes[:, :levels])
    quantizer = codebooks.quantizer
    rebuilt = quantizer.decode(final)
    mse_raw = ((vectors - quantizer.decode(ids.raw_codes)) ** 2).sum(axis=1).mean()
    mse = ((vectors - rebuilt) ** 2).sum(axis=1).mean()
    variance = vectors.var(axis=0).sum()
    lengths = np.linalg.norm(vectors, axis=1)
    use = level_use(final, codebooks.sizes, np.column_stack([lengths, ids.distances[:, :-1]]))
    moved = np.bincount(ids.moved_level[ids.moved_level >= 0], minlength=levels)
    before, after = collisions(ids.raw_codes), collisions(ids.codes)
    numbers: dict[str, Any] = {
        "sid_version": ids.version,
        "policy": ids.policy,
        "bucket_limit": ids.bucket_limit,
        "items": len(ids.item_ids),
        **{f"{name}_raw": value for name, value in before.items()},
        **after,
        "moved_items": int(moved.sum()),
        "moved_share": moved.sum() / len(ids.item_ids),
        "mse_raw": mse_raw,
        "mse": mse,
        "variance_explained": 1 - mse / variance if variance > 0 else None,
        # against the variance, not mse_raw: that is 0 where each item has a code of its own
        "mse_added_by_moves": (mse - mse_raw) / variance if variance > 0 else 0.0,
        "gini_raw": gini(bucket_counts(ids.raw_codes)),
        "gini": gini(bucket_counts(ids.codes)),
        **space_use(ids.codes, ids.sizes),
        **worst_levels(use),
        "levels": use,
        "moved_by_level": [
            {"level": level + 1, "moved_items": int(count)} for level, count in enumerate(moved)
        ],
        "bucket_sizes": bucket_histogram(ids.raw_codes, ids.codes),
    }
    return numbers, rebuilt
