"""Knobs of the stage ``interactions``."""

from __future__ import annotations

import math
from typing import Literal, get_args

from pydantic import Field, field_validator, model_validator

from assets.interactions.contract import ColumnName
from assets.interactions.documents import Template
from assets.stage import Params

DataSet = Literal["movielens-small", "complete-journey"]
DATASETS: tuple[DataSet, ...] = get_args(DataSet)


class InteractionsParams(Params):
    """What is read, what counts as positive, and how it is split."""

    dataset: DataSet = Field(
        "movielens-small",
        description="Packaged data set, used while data/incoming/items holds no file. "
        "complete-journey: baskets of a supermarket, for `split: basket`; an extra to install.",
    )
    columns: dict[str, ColumnName] = Field(
        {},
        description="A column name in your files -> the name of the contract it stands for.",
    )
    min_weight: float | None = Field(
        None,
        allow_inf_nan=False,
        description="Interactions of a smaller weight are no positives and stay out; one without "
        "a weight weighs 1. Null: all are positives.",
    )
    document_template: str = Field(
        "{title}. {year}. {category}. {brand}. {text}",
        description="How an item's `document` is composed of its title, text, category, brand and "
        "attributes. An empty field takes the punctuation before it and its brackets along.",
    )
    split: Literal["leave_last_out", "global_time", "basket"] = Field(
        "leave_last_out",
        description="How interactions are split. leave_last_out: each user's last is test, the one "
        "before validation. global_time: the whole log is cut at two instants; a user's last "
        "interaction of a period is what is predicted there, from all before it. basket: a user's "
        "last basket (column basket) is test, the one before validation; all items of a basket are "
        "what is predicted, from the baskets before it.",
    )
    cut_shares: tuple[float, float] = Field(
        (0.1, 0.1),
        description="global_time: shares of all interactions in validation and test, the latest.",
    )
    cut_times: tuple[float, float] | None = Field(
        None,
        description="global_time: first instant of validation and of test, as in the column "
        "timestamp (epoch seconds). Null: chosen by cut_shares.",
    )
    cold_share: float = Field(
        0.0,
        ge=0,
        lt=1,
        description="global_time: share of items, chosen by hash, whose interactions before the "
        "first cut are withheld everywhere, as if the items were new: cold start.",
    )
    pair_window: int = Field(
        5,
        ge=1,
        le=100,
        description="Two items of a user co-occur if they stand at most so many positions apart.",
    )
    max_pairs_per_user: int = Field(
        500,
        ge=1,
        description="Most train pairs one user gives, the latest first.",
    )
    max_pairs_per_item: int = Field(
        100,
        ge=1,
        lt=1_000_000,
        description="Most train partners one item keeps, those of the highest cosine first.",
    )
    validation_share: float = Field(
        0.1, ge=0, lt=1, description="Share of query texts in validation, where none is given."
    )
    test_share: float = Field(
        0.1, ge=0, lt=1, description="Share of query texts in test, where none is given."
    )

    @field_validator("document_template")
    @classmethod
    def _template_can_be_read(cls, template: str) -> str:
        Template.parse(template)
        return template

    @field_validator("cut_shares")
    @classmethod
    def _shares_leave_something(cls, shares: tuple[float, float]) -> tuple[float, float]:
        if not (all(share > 0 for share in shares) and sum(shares) < 1):
            raise ValueError("both shares must be above 0 and leave something for train")
        return shares

    @field_validator("cut_times")
    @classmethod
    def _times_ascend(cls, times: tuple[float, float] | None) -> tuple[float, float] | None:
        if times is not None and not (math.isfinite(sum(times)) and times[0] < times[1]):
            raise ValueError("validation must begin before test, at two finite instants")
        return times

    @model_validator(mode="after")
    def _cold_start_needs_a_cut(self) -> InteractionsParams:
        if self.cold_share and self.split != "global_time":
            raise ValueError("cold_share needs `split: global_time`: there is no cut otherwise")
        return self

    @model_validator(mode="after")
    def _some_queries_are_left_for_train(self) -> InteractionsParams:
        if self.validation_share + self.test_share >= 1:
            raise ValueError("validation_share and test_share leave nothing for train")
        return self

    @property
    def query_shares(self) -> dict[str, float]:
        """Shares of query texts in validation and test."""
        return {"validation": self.validation_share, "test": self.test_share}
