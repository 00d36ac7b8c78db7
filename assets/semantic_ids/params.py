"""Params of the stage ``semantic_ids``."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import Field

from assets.stage import Params

PolicyName = Literal[
    "none",
    "append_index",
    "ecm",
    "rrs",
    "knn_n",
    "random_n",
    "optimal",
    "optimal_prefix",
]
Order = Literal["error", "index"]
Cost = Literal["released", "true_residual"]
Width = Annotated[int, Field(ge=1)]


class SemanticIdsParams(Params):
    """Section ``semantic_ids`` of params.yaml."""

    policy: PolicyName = Field("rrs", description="How items that share all codes are told apart.")
    order: Order = Field(
        "error",
        description="Who chooses first: `error` (ascending own quantisation error, ties by item_id)"
        " or `index` (by item_id, as the released code of PSI goes by the index).",
    )
    index_size: int = Field(
        256, ge=1, description="append_index: most items that may share all codes."
    )
    widths: tuple[tuple[Width, Width], ...] = Field(
        ((1, 10), (5, 20)),
        min_length=1,
        description="ecm and rrs: codes tried at each level but the last, and at the last, step by"
        " step.",
    )
    cost: Cost = Field(
        "released",
        description="ecm and optimal: what a SID costs an item: `released` (sum of distances along"
        " its nearest path, as the released code of PSI) or `true_residual` (squared error of what"
        " the codes rebuild).",
    )
    gap: float = Field(
        0.001,
        gt=0,
        description="optimal: largest gap to the least cost, as a share of the added cost, where a"
        " crowded code space is auctioned; elsewhere the least is found.",
    )
    capacity: int = Field(
        5, ge=1, description="knn_n and random_n: most items that share one SID; 1 for unique ones."
    )
    candidates: int = Field(
        200,
        ge=1,
        description="knn_n and random_n: last codes tried in the item's own prefix before the level"
        " above changes.",
    )
