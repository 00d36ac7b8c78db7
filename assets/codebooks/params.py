"""Params of the stage ``codebooks``."""

from __future__ import annotations

from typing import Annotated, Any, Self

from pydantic import Field, field_validator, model_validator

from assets.codebooks.dictionary import DictionaryParams
from assets.codebooks.external import ExternalParams
from assets.codebooks.quantizers import QUANTIZERS
from assets.codebooks.residual_lfq import ResidualLFQParams
from assets.codebooks.rq_kmeans import RQKMeansParams
from assets.codebooks.rq_vae import RQVAEParams
from assets.stage import Params

Size = Annotated[int, Field(ge=1)]


class CodebooksParams(Params):
    """Section ``codebooks`` of params.yaml.

    A section of a quantizer's name holds the knobs that it alone has.
    """

    quantizer: str = Field("rq_kmeans", description="How vectors become codes.")
    view: str = Field("text", description="Which view of the embeddings is quantised.")
    levels: int = Field(3, ge=1, le=26, description="Codes per item.")
    codebook_size: Size | tuple[Size, ...] = Field(
        256, description="Codes per level: one number, or a list of one per level."
    )
    iterations: int = Field(25, ge=1, description="K-means iterations, wherever k-means is run.")
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
    rq_kmeans: RQKMeansParams = Field(RQKMeansParams(), description="Knobs of rq_kmeans.")
    rq_vae: RQVAEParams = Field(RQVAEParams(), description="Knobs of rq_vae.")
    residual_lfq: ResidualLFQParams = Field(
        ResidualLFQParams(), description="Knobs of residual_lfq."
    )
    dictionary: DictionaryParams = Field(DictionaryParams(), description="Knobs of dictionary.")
    external: ExternalParams = Field(ExternalParams(), description="Knobs of external.")

    @property
    def sizes(self) -> list[int]:
        """Number of codes of each level."""
        if isinstance(self.codebook_size, int):
            return [self.codebook_size] * self.levels
        return list(self.codebook_size)

    @property
    def most_points(self) -> int:
        """Most vectors to learn from."""
        return max(self.sizes) * self.max_points_per_code

    @property
    def settings(self) -> dict[str, Any]:
        """What the chosen quantizer was fitted with, for the manifest."""
        other = set(QUANTIZERS) - {self.quantizer}
        return self.model_dump(mode="json", exclude={"quantizer", "view"} | other)

    @field_validator("quantizer")
    @classmethod
    def _known(cls, value: str) -> str:
        if value not in QUANTIZERS:
            raise ValueError(f"unknown quantizer; known ones are {', '.join(QUANTIZERS)}")
        return value

    @model_validator(mode="after")
    def _one_size_per_level(self) -> Self:
        if len(self.sizes) != self.levels:
            raise ValueError(
                f"`codebook_size` lists {len(self.sizes)} sizes for {self.levels} `levels`"
            )
        return self
