"""Params of the stage ``synthetic_queries``."""

from __future__ import annotations

from typing import Literal

from pydantic import Field, model_validator

from assets.stage import Params


class SyntheticQueriesParams(Params):
    """Who writes the queries, how many, and how badly people type."""

    generator: Literal["attributes"] = Field(
        "attributes", description="`attributes` composes queries from what is known of an item."
    )
    queries_per_item: int = Field(
        4, ge=1, le=100, description="Queries for each item without a real train query."
    )
    navigational: int = Field(2, ge=0, description="Parts of navigational queries: the title's.")
    descriptive: int = Field(2, ge=0, description="Parts of queries by properties and keywords.")
    mixture: int = Field(1, ge=0, description="Parts of queries by both.")
    dropped: float = Field(0.2, ge=0, lt=1, description="Share of title words left out.")
    misspelt: float = Field(0.1, ge=0, le=1, description="Share of words with a typing slip.")
    reordered: float = Field(
        0.5, ge=0, le=1, description="Share of navigational queries whose word order is changed."
    )
    decades: float = Field(0.5, ge=0, le=1, description="Share of years typed as `90s`.")
    most_words: int = Field(5, ge=3, description="Longest query, in words.")
    keyword_pool: int = Field(
        10, ge=1, description="Keywords of a text to choose from: its best by tf-idf."
    )
    keyword_texts: int = Field(
        20, ge=1, description="Texts that a keyword stands in at least, where others allow it."
    )
    measured: int = Field(
        2000,
        ge=1,
        description="Most validation queries that BM25's recall is measured on; chosen by hash.",
    )

    @model_validator(mode="after")
    def _some_kind_is_wanted(self) -> SyntheticQueriesParams:
        if not self.navigational + self.descriptive + self.mixture:
            raise ValueError("navigational, descriptive and mixture are all 0")
        return self
