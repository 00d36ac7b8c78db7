"""What a search or a recommendation found: beams, and the items they come to."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field

import numpy as np
import torch
from numpy.typing import NDArray


@dataclass(frozen=True)
class Result:
    """One answer.

    Attributes:
        item_id: The item.
        title: Its title, or its text where it has none.
        sid: Its Semantic ID, such as ``<a_12><b_200><c_7>``.
        score: Cosine similarity of query and item where the beam was re-ranked, otherwise the
            beam's score of the SID. The higher the better.
    """

    item_id: str
    title: str
    sid: str
    score: float


@dataclass(frozen=True)
class Beams:
    """What a batch of beam searches found.

    Attributes:
        leaves: (rows, beams) int32 rows of ``Retriever.sids``, best first, -1 where there is none.
        scores: (rows, beams) float32 log probabilities, plus weighted similarities in a search;
            -inf where there is none.
        excluded: (exclusions,) int64 ``row * items + item row`` of what may not be shown: the
            history's items, some of whose SIDs other items share.
    """

    leaves: NDArray[np.int32]
    scores: NDArray[np.float32]
    excluded: NDArray[np.int64] = field(default_factory=lambda: np.empty(0, np.int64))


def gathered(
    found: Sequence[tuple[torch.Tensor, torch.Tensor]], excluded: NDArray[np.int64]
) -> Beams:
    """Join the (leaves, scores) of batches to one."""
    leaves, scores = (torch.cat(parts).cpu().numpy() for parts in zip(*found, strict=True))
    return Beams(leaves.astype(np.int32), scores, excluded)
