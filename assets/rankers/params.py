"""The knobs of the stage ``rankers``."""

from __future__ import annotations

from typing import Literal

from pydantic import Field

from assets.stage import Params


class RankersParams(Params):
    """Section ``rankers`` of params.yaml: how the rankers are fitted."""

    bm25_k1: float = Field(0.9, ge=0, description="BM25: saturation of a word's frequency.")
    bm25_b: float = Field(0.4, ge=0, le=1, description="BM25: weight of a document's length.")
    bm25_stopwords: Literal["none", "english"] = Field(
        "none", description="BM25: words left out of documents and queries."
    )
    knn_history: int = Field(
        20, ge=1, description="Item KNN: how many of a user's last interactions count."
    )
    knn_decay: float = Field(
        0.8, gt=0, le=1, description="Item KNN: weight of an interaction per step into the past."
    )
    knn_neighbours: int | None = Field(
        2000,
        ge=1,
        description="Item KNN: most similar items kept per item; null: all. What a release holds "
        "grows with it, 4 bytes for each.",
    )
