"""What is left of the vectors after they went through the codes."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from assets.codebooks.artifact import Codebooks

BLOCK = 8192  # rows at a time: what is computed on the way stays in the processor's cache
Vectors = NDArray[np.float32]
Codes = NDArray[np.int32]


def rebuild(
    codebooks: Codebooks, vectors: Vectors, raw: Codes, final: Codes
) -> tuple[dict[str, Any], Vectors]:
    """Rebuild the vectors from their codes and measure how far off they are.

    Args:
        codebooks: The quantizer that decodes.
        vectors: (items, dim).
        raw: (items, levels) codes before any item was moved.
        final: (items, levels) codes after.

    Returns:
        ``mse_raw`` and ``mse`` (mean squared distance), ``variance_explained``, and
        ``mse_added_by_moves`` as a share of the variance; and the (items, dim) vectors rebuilt
        from the final codes.
    """
    decode = codebooks.quantizer.decode
    rebuilt = np.empty(vectors.shape, np.float32)
    errors = np.empty(len(vectors))
    total, squares = np.zeros(vectors.shape[1]), 0.0
    for start in range(0, len(vectors), BLOCK):
        rows = slice(start, start + BLOCK)
        rebuilt[rows] = decode(np.ascontiguousarray(final[rows]))
        errors[rows] = _squared_lengths(vectors[rows] - rebuilt[rows])
        shifted = vectors[rows] - vectors[0]  # so that equal vectors have no variance at all
        total += shifted.sum(axis=0)
        squares += float(_squared_lengths(shifted).sum())
    before = errors.copy()
    moved = np.flatnonzero((raw != final).any(axis=1))
    for start in range(0, len(moved), BLOCK):
        some = moved[start : start + BLOCK]
        before[some] = _squared_lengths(vectors[some] - decode(raw[some]))

    mse_raw, mse = before.mean(), errors.mean()
    variance = squares / len(vectors) - ((total / len(vectors)) ** 2).sum()
    numbers = {
        "mse_raw": mse_raw,
        "mse": mse,
        "variance_explained": 1 - mse / variance if variance > 0 else None,
        # against the variance, not mse_raw: that is 0 where each item has a code of its own
        "mse_added_by_moves": (mse - mse_raw) / variance if variance > 0 else 0.0,
    }
    return numbers, rebuilt


def _squared_lengths(vectors: Vectors) -> NDArray[np.float32]:
    return np.asarray(np.einsum("ij,ij->i", vectors, vectors))
