"""Params of the stage ``codebooks``."""

from __future__ import annotations

from typing import Literal

from pydantic import Field

from assets.stage import Params


class CodebooksParams(Params):
    """Section ``codebooks`` of params.yaml."""

    quantizer: Literal["rq_kmeans"] = Field("rq_kmeans", description="How vectors become codes.")
    view: str = Field("text", description="Which view of the embeddings is quantised.")
    levels: int = Field(3, ge=1, le=26, description="Codes per item.")
    codebook_size: int = Field(256, ge=1, description="Codes per level.")
    iterations: int = Field(25, ge=1, description="K-means iterations per level.")
    max_points_per_code: int = Field(
        256, ge=1, description="Vectors per code to learn from; of more, a seeded sample is taken."
    )
