"""How far an item is from what its codes rebuild, level by level."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from assets.codebooks.artifact import Quantizer

BLOCK = 65_536  # rows at a time: residuals of a million items would not fit into memory twice


def path_distances(
    latent: NDArray[np.float32], codebooks: list[NDArray[np.float32]], codes: NDArray[np.int32]
) -> NDArray[np.float32]:
    """Return how far each chosen code is from the residual that enters its level.

    Args:
        latent: (items, dim).
        codebooks: One (codes, dim) matrix per level.
        codes: (items, levels) or longer; columns past the levels are left out.

    Returns:
        (items, levels) float32 L2 distances along each item's own path.
    """
    distances = np.empty((len(latent), len(codebooks)), np.float32)
    for start in range(0, len(latent), BLOCK):
        rows = slice(start, start + BLOCK)
        residuals = latent[rows].copy()
        for level, codebook in enumerate(codebooks):
            residuals -= codebook[codes[rows, level]]
            distances[rows, level] = np.linalg.norm(residuals, axis=1)
    return distances


def code_distances(
    quantizer: Quantizer, latent: NDArray[np.float32], codes: NDArray[np.int32]
) -> NDArray[np.float32]:
    """Return (items, levels) distances from items to what their codes up to a level rebuild.

    Where levels add up that is :func:`path_distances`; where a code means something only under its
    prefix, as in a tree, the codebooks do not tell, and the quantizer rebuilds each prefix.
    """
    if quantizer.additive:
        return path_distances(latent, quantizer.codebooks, codes)
    levels = range(1, len(quantizer.codebooks) + 1)
    return np.column_stack(
        [np.linalg.norm(latent - quantizer.decode(codes[:, :level]), axis=1) for level in levels]
    )
