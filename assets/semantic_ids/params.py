"""Params of the stage ``semantic_ids``."""

from __future__ import annotations

from typing import Annotated

from pydantic import Field, field_validator

from assets.semantic_ids.policies import POLICIES
from assets.semantic_ids.policy import Order
from assets.stage import Params

Width = Annotated[int, Field(ge=1)]


class SemanticIdsParams(Params):
    """Section ``semantic_ids`` of params.yaml."""

    policy: str = Field("rrs", description="How items that share all codes are told apart.")
    order: Order = Field(
        "error",
        description="Who chooses first: `error` (ascending own quantisation error, ties by item_id)"
        " or `index` (by item_id, as the released code of PSI goes by the index).",
    )
    index_size: int = Field(
        256, ge=1, description="append_index: most items that may share all codes."
    )
    rrs_widths: tuple[tuple[Width, Width], ...] = Field(
        ((1, 10), (5, 20)),
        min_length=1,
        description="rrs: codes tried at each level but the last, and at the last, step by step.",
    )

    @field_validator("policy")
    @classmethod
    def _known(cls, value: str) -> str:
        if value not in POLICIES:
            raise ValueError(f"unknown policy; known ones are {', '.join(POLICIES)}")
        return value
