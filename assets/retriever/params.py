"""Params of the stage ``retriever``."""

from __future__ import annotations

from typing import Literal

from pydantic import Field, model_validator

from assets.machine import Precision
from assets.sequential.heads import require_equal_heads
from assets.stage import Params


class RetrieverParams(Params):
    """What the generator is like and how it is trained. How it answers: see ``answers``."""

    generator: Literal["compact"] = Field(
        "compact",
        description="Kind of model. compact: a small transformer that reads each item of a history "
        "as one position, with an item head and a decoder that writes SIDs.",
    )
    hidden: int = Field(128, ge=8, description="Width of the model.")
    layers: int = Field(2, ge=1, description="Layers that read a history.")
    decoder_layers: int = Field(1, ge=1, description="Layers that write a SID.")
    heads: int = Field(4, ge=1, description="Attention heads per layer; divides `hidden`.")
    feed_forward: int = Field(256, ge=8, description="Width of the feed-forward layers.")
    dropout: float = Field(
        0.3, ge=0, lt=1, description="Share of activations set to 0 in training."
    )
    item_vectors: bool = Field(
        True, description="Whether items with train interactions have a learnt vector of their own."
    )
    vectors_start: Literal["transitions", "random"] = Field(
        "transitions",
        description="Where items' own vectors start: `transitions`, so that what follows one "
        "another in train histories starts out near, or `random`.",
    )
    code_vectors: bool = Field(True, description="Whether an item is read through its codes.")
    text_vectors: bool = Field(True, description="Whether an item is read through its text.")
    positions_per_item: Literal["one", "one_per_code"] = Field(
        "one",
        description="Places of a history that an item takes: `one`, or, as TIGER reads them, "
        "`one_per_code`, which takes about as many times longer as a SID has codes.",
    )
    item_dropout: float = Field(
        0.1,
        ge=0,
        lt=1,
        description="Share of items whose own vector is left out of a step, so that codes and text "
        "alone learn to stand for an item, as they must for a new one.",
    )
    history: int = Field(20, ge=1, description="Items of a history that are read, the last ones.")
    epochs: int = Field(
        16,
        ge=1,
        description="Passes over all histories; without any, over all queries and documents.",
    )
    positions: int = Field(2048, ge=1, description="Places of histories that are read per step.")
    search_batch: int = Field(512, ge=1, description="Queries per step, documents included.")
    negatives: int = Field(
        2048,
        ge=1,
        description="Items that a right answer is told from in a step, drawn evenly; in a smaller "
        "catalogue all.",
    )
    sid_weight: float = Field(1.0, gt=0, description="Weight of the loss of writing SIDs.")
    item_weight: float = Field(1.0, ge=0, description="Weight of the item head's loss.")
    recommend_weight: float = Field(1.0, gt=0, description="Weight of recommendation's losses.")
    search_weight: float = Field(
        0.1,
        gt=0,
        description="Weight of search's losses. Both tasks shape the vectors of items, and "
        "recommendation loses where search weighs as much.",
    )
    document_share: float = Field(
        0.4, ge=0, lt=1, description="Share of a step's queries that are documents' own vectors."
    )
    noise: float = Field(
        0.3, ge=0, description="Length of the random vector added to query vectors of length 1."
    )
    learning_rate: float = Field(2e-3, gt=0, description="Peak learning rate of AdamW.")
    weight_decay: float = Field(0.01, ge=0, description="Weight decay of AdamW.")
    adam_beta2: float = Field(0.98, gt=0, lt=1, description="AdamW's memory of squared gradients.")
    gradient_clip: float = Field(1.0, gt=0, description="Longest gradient; longer ones are cut.")
    warmup: float = Field(
        0.03, ge=0, lt=1, description="Share of the steps of linear warm-up; cosine follows."
    )
    precision: Precision = Field(
        "auto",
        description="Of the products in training: `float32`, `bfloat16`, or `auto`, which takes "
        "bfloat16 where this machine is fast in it. The manifest says which was used.",
    )
    check_every: int = Field(
        4, ge=1, description="Epochs between two looks at validation; the best one is kept."
    )
    check_queries: int = Field(
        1000, ge=1, description="Most queries, and most sessions, of validation that are looked at."
    )
    check_beams: int = Field(60, ge=1, description="Beams of a look at validation.")
    check_guide_weight: float = Field(
        40.0,
        ge=0,
        description="What a unit of similarity between the query and the best item that can be "
        "expected under a node adds to the log probability of a search's beam, in a look at "
        "validation.",
    )

    @model_validator(mode="after")
    def _has_heads_of_equal_width(self) -> RetrieverParams:
        require_equal_heads(self.hidden, self.heads)
        return self

    @model_validator(mode="after")
    def _has_codes_to_read(self) -> RetrieverParams:
        if self.positions_per_item == "one_per_code" and not self.code_vectors:
            raise ValueError("`positions_per_item: one_per_code` needs `code_vectors: true`")
        return self
