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
    max_pair_items: int = Field(
        10_000, ge=1, description="Items whose validation pairs are looked at; else a sample."
    )
    example_prefixes: int = Field(
        12, ge=0, description="First-level codes whose items the page shows."
    )
    example_items: int = Field(6, ge=1, description="Items shown under each of them.")
