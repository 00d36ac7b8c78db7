"""What a batch of beam searches found."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray

from assets.ranking import Rows
from assets.semantic_ids.artifact import sid_text


@dataclass(frozen=True)
class Beams:
    """What a batch of beam searches found.

    Attributes:
        leaves: (rows, beams) int64 rows of ``Buckets.sids``, best first, -1 where there is none.
        scores: (rows, beams) float32 log probabilities plus guide; -inf where there is none.
        codes: (rows, beams, levels) int64 as the model wrote them, -1 where there is none.
        excluded: (exclusions,) int64 ``row * items + item row`` of what may not be shown: the
            history's items, some of whose SIDs other items share.
    """

    leaves: Rows
    scores: NDArray[np.float32]
    codes: Rows
    excluded: Rows

    def texts(self) -> list[list[str]]:
        """Spell out each question's SIDs from the very codes that the model wrote, best first.

        Nothing of the trie or of the table of Semantic IDs goes into it, so it can be held against
        them.
        """
        return [
            [sid_text(codes) for codes in question[question[:, 0] >= 0].tolist()]
            for question in self.codes
        ]


def gathered(
    found: Sequence[tuple[torch.Tensor, torch.Tensor, torch.Tensor]],
    excluded: Rows,
    beams: int,
    levels: int,
) -> Beams:
    """Join the (leaves, scores, codes) of batches to one."""
    if not found:
        nothing = np.empty((0, beams), np.int64)
        return Beams(
            nothing, nothing.astype(np.float32), np.empty((0, beams, levels), np.int64), excluded
        )
    leaves, scores, codes = (torch.cat(part).cpu().numpy() for part in zip(*found, strict=True))
    return Beams(leaves, scores, codes, excluded)
