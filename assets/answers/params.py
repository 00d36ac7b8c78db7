"""The knobs of the stage ``answers``."""

from __future__ import annotations

from typing import Literal

from pydantic import Field

from assets.stage import Params


class AnswersParams(Params):
    """Section ``answers`` of params.yaml: who answers, how wide, and how the answers are joined."""

    search: list[Literal["dense", "bm25", "retriever"]] = Field(
        ["dense", "bm25", "retriever"],
        min_length=1,
        description="Who may answer a search; validation decides who does, and with what weight.",
    )
    recommendation: list[Literal["retriever", "item_knn", "popularity"]] = Field(
        ["retriever", "item_knn", "popularity"],
        min_length=1,
        description="Who may recommend; validation decides who does, and with what weight.",
    )
    beams: int = Field(60, ge=1, description="Beams of the generator.")
    similarity_weight: float = Field(
        20.0,
        ge=0,
        description="What a unit of similarity between the query and the item as its SID rebuilds "
        "it adds to the log probability of a search's beam.",
    )
    depth: int = Field(100, ge=10, description="Ranks of each list that are joined.")
    fusions: list[Literal["z_score", "reciprocal_rank"]] = Field(
        ["z_score", "reciprocal_rank"],
        min_length=1,
        description="Ways to join lists that validation chooses from.",
    )
    weights: list[float] = Field(
        [0.0, 0.25, 0.5, 0.75, 1.0, 1.5, 2.0],
        min_length=2,
        description="Weights that validation chooses from; 0 leaves a part out.",
    )
    questions: int = Field(
        2000,
        ge=1,
        description="Most validation queries, and most sessions, that decide; chosen by hash.",
    )
    user_histories: bool = Field(
        True,
        description="Whether every user's items are kept beside, so that who answers can recommend "
        "by user id. `false`: histories come with each question, and none is released.",
    )
