"""Params of the stage ``retriever``."""

from __future__ import annotations

from pydantic import Field

from assets.machine import Precision
from assets.stage import Params


class RetrieverParams(Params):
    """What the language model is like and how it is trained. How it answers: see ``answers``."""

    search_prompt: str = Field("search:", min_length=1, description="Token that opens a search.")
    recommend_prompt: str = Field(
        "recommend:", min_length=1, description="Token that opens a recommendation."
    )
    hidden: int = Field(128, ge=8, description="Width of the model.")
    layers: int = Field(4, ge=1, description="Number of layers.")
    heads: int = Field(4, ge=1, description="Attention heads per layer; divides `hidden`.")
    feed_forward: int = Field(384, ge=8, description="Width of the feed-forward layers.")
    query_tokens: int = Field(
        2, ge=1, description="Soft tokens made of the bi-encoder's query vector."
    )
    guide: float = Field(
        10.0, ge=0, description="Weight of the guide at the start; learnt per level from there."
    )
    history: int = Field(20, ge=1, description="Items of a history that are read, the last ones.")
    steps: int = Field(800, ge=1, description="Optimiser steps.")
    recommend_batch: int = Field(64, ge=1, description="Windows of histories per step.")
    search_batch: int = Field(512, ge=1, description="Queries per step, documents included.")
    recommend_weight: float = Field(1.0, gt=0, description="Weight of recommendation's loss.")
    search_weight: float = Field(1.0, gt=0, description="Weight of search's loss.")
    document_share: float = Field(
        0.4, ge=0, lt=1, description="Share of a step's queries that are documents' own vectors."
    )
    noise: float = Field(
        0.3, ge=0, description="Length of the random vector added to query vectors of length 1."
    )
    learning_rate: float = Field(3e-3, gt=0, description="Peak learning rate of AdamW.")
    weight_decay: float = Field(0.01, ge=0, description="Weight decay of AdamW.")
    adam_beta2: float = Field(0.99, gt=0, lt=1, description="AdamW's memory of squared gradients.")
    gradient_clip: float = Field(1.0, gt=0, description="Longest gradient; longer ones are cut.")
    warmup_steps: int = Field(60, ge=0, description="Steps of linear warm-up; cosine follows.")
    precision: Precision = Field(
        "auto",
        description="Of the products in training: `float32`, `bfloat16`, or `auto`, which takes "
        "bfloat16 where this machine is fast in it. The manifest says which was used.",
    )
    check_every: int = Field(
        200, ge=1, description="Steps between two looks at validation; the best one is kept."
    )
    check_queries: int = Field(
        1000, ge=1, description="Most queries, and most sessions, of validation that are looked at."
    )
    check_beams: int = Field(60, ge=1, description="Beams of a look at validation.")
    check_similarity_weight: float = Field(
        20.0,
        ge=0,
        description="What a unit of similarity between the query and the item as its SID rebuilds "
        "it adds to the log probability of a search's beam, in a look at validation.",
    )
