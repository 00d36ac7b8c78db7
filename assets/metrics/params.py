"""The knobs of the stage ``metrics``."""

from __future__ import annotations

from pydantic import Field, field_validator

from assets.stage import Params


class MetricsParams(Params):
    """Section ``metrics`` of params.yaml. None of it changes a model, only how it is measured."""

    cut_offs: list[int] = Field(
        [5, 10, 30],
        description="Ranks k of recall@k and NDCG@k, ascending; 10 must be one of them, the "
        "largest is as deep as anything is ranked.",
    )
    max_queries: int | None = Field(
        20_000, ge=1, description="Most test queries measured, chosen by hash; null: all."
    )
    max_users: int | None = Field(
        50_000, ge=1, description="Most test users measured, chosen by hash; null: all."
    )
    named_items: int = Field(
        200,
        ge=1,
        description="Most popular items that are asked for by their own title, to see whether they "
        "are found.",
    )
    bootstrap_samples: int = Field(
        1000, ge=100, description="Resamples of queries or users behind each interval."
    )
    interval_level: float = Field(0.95, gt=0, lt=1, description="Coverage of the intervals.")

    @field_validator("cut_offs")
    @classmethod
    def _ascending_with_ten(cls, cut_offs: list[int]) -> list[int]:
        if sorted(set(cut_offs)) != cut_offs or 10 not in cut_offs or cut_offs[0] < 1:
            raise ValueError("cut_offs must be positive, ascending and hold 10")
        return cut_offs

    @property
    def depth(self) -> int:
        """How many items every method ranks."""
        return self.cut_offs[-1]
