"""Params of the stage ``collision_report``."""

from __future__ import annotations

from pydantic import Field

from assets.stage import Params


class CollisionReportParams(Params):
    """Section ``collision_report`` of params.yaml."""

    neighbours: int = Field(30, ge=1, description="K of the three embedding hit rates, in items.")
    max_sessions: int = Field(
        2000, ge=1, description="Validation sessions to look at; of more, a seeded sample is taken."
    )
    max_history_items: int = Field(
        20_000,
        ge=1,
        description="Different items in their histories; with more, fewer sessions are looked at.",
    )
    max_pair_items: int = Field(
        10_000, ge=1, description="Items whose validation pairs are looked at; else a sample."
    )
    overlap_neighbours: int = Field(10, ge=1, description="K of the neighbour overlap, in items.")
    max_overlap_items: int = Field(
        10_000, ge=1, description="Items whose neighbours are compared; of more, a seeded sample."
    )
    high_load: float = Field(
        0.8,
        gt=0,
        description="Load of the code space (items per possible ID) above which is warned.",
    )
    example_prefixes: int = Field(
        12, ge=0, description="First-level codes whose items the page shows."
    )
    example_items: int = Field(6, ge=1, description="Items shown under each of them.")
