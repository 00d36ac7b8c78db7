"""What a batch of beam searches found."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray


@dataclass(frozen=True)
class Beams:
    """What a batch of beam searches found.

    Attributes:
        leaves: (rows, beams) int64 rows of ``Buckets.sids``, best first, -1 where there is none.
        scores: (rows, beams) float32 log probabilities, plus weighted similarities in a search;
            -inf where there is none.
        tokens: (rows, beams, levels) int64 token ids as the model was made to write them, -1 where
            there is none.
        excluded: (exclusions,) int64 ``row * items + item row`` of what may not be shown: the
            history's items, some of whose SIDs other items share.
    """

    leaves: NDArray[np.int64]
    scores: NDArray[np.float32]
    tokens: NDArray[np.int64]
    excluded: NDArray[np.int64]


def gathered(
    found: Sequence[tuple[torch.Tensor, torch.Tensor, torch.Tensor]],
    excluded: NDArray[np.int64],
    beams: int,
    levels: int,
) -> Beams:
    """Join the (leaves, scores, tokens) of batches to one."""
    if not found:
        nothing = np.empty((0, beams), np.int64)
        tokens = np.empty((0, beams, levels), np.int64)
        return Beams(nothing, nothing.astype(np.float32), tokens, excluded)
    leaves, scores, tokens = (torch.cat(part).cpu().numpy() for part in zip(*found, strict=True))
    return Beams(leaves, scores, tokens, excluded)
