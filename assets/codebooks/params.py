"""Params of the stage ``codebooks``."""

from __future__ import annotations

from pydantic import Field, field_validator

from assets.codebooks.artifact import QUANTIZERS
from assets.stage import Params


class CodebooksParams(Params):
    """Section ``codebooks`` of params.yaml."""

    quantizer: str = Field("rq_kmeans", description="How vectors become codes.")
    view: str = Field("text", description="Which view of the embeddings is quantised.")
    levels: int = Field(3, ge=1, le=26, description="Codes per item.")
    codebook_size: int = Field(256, ge=1, description="Codes per level.")
    iterations: int = Field(25, ge=1, description="K-means iterations per level.")
    start_spread: float = Field(
        0.25,
        gt=0,
        le=1,
        description="K-means starts from random vectors, drawn in towards the mean to this share of"
        " their distance from it; 1 leaves them where they are.",
    )
    max_points_per_code: int = Field(
        256, ge=1, description="Vectors per code to learn from; of more, a seeded sample is taken."
    )

    @field_validator("quantizer")
    @classmethod
    def _known(cls, value: str) -> str:
        if value not in QUANTIZERS:
            raise ValueError(f"unknown quantizer; known ones are {', '.join(QUANTIZERS)}")
        return value
