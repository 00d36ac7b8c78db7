"""How wide the parts are asked, as the stage was told and as its manifest says."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class Settings:
    """How wide the parts are asked.

    Attributes:
        beams: Beams of the generator.
        similarity_weight: Of the rebuilt item's similarity in a search's beam.
        depth: Ranks of each list that are joined.
    """

    beams: int
    similarity_weight: float
    depth: int
