"""The knobs of the stage ``rankers``.

A list holds values that validation chooses from; the first is where the search starts, and what
stands where validation asks nothing.
"""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import BaseModel, ConfigDict, Field, model_validator

from assets.sequential.heads import require_equal_heads
from assets.stage import Params

Decay = Annotated[float, Field(gt=0, le=1)]
Share = Annotated[float, Field(ge=0)]
Count = Annotated[int, Field(ge=1)]

HISTORY = "How many of a user's last interactions count."
DECAY = "Weight of an interaction per step into the past."
NEIGHBOURS = (
    "Strongest weights kept per item{otherwise}. What a release holds grows with it, 4 bytes for "
    "each."
)


class LexicalParams(BaseModel):
    """BM25 over the documents, by words or by trigrams."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    k1: list[Share] = Field(
        [0.9, 0.5, 1.5], min_length=1, description="Saturation of a term's frequency."
    )
    b: list[Annotated[float, Field(ge=0, le=1)]] = Field(
        [0.4, 0.2, 0.75], min_length=1, description="Weight of a document's length."
    )


class BM25Params(LexicalParams):
    """BM25 by words."""

    stopwords: Literal["none", "english"] = Field(
        "none", description="Words left out of documents and queries."
    )


class TrigramsParams(LexicalParams):
    """BM25 by trigrams."""

    most_letters: int = Field(
        50_000_000,
        ge=0,
        description="Letters of all documents together that are split; about 10 bytes for each. In "
        "a larger catalogue trigrams are left out, with a line that says so.",
    )


class ItemKNNParams(BaseModel):
    """Item KNN: cosine similarity of who had what."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    history: list[Count] = Field([20, 5, 10, 50], min_length=1, description=HISTORY)
    decay: list[Decay] = Field([0.8, 0.6, 0.9, 1.0], min_length=1, description=DECAY)
    neighbours: int | None = Field(
        2000, ge=1, description=NEIGHBOURS.format(otherwise="; null: all")
    )


class EASEParams(BaseModel):
    """EASE: each item predicted from all others by ridge regression."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    history: list[Count] = Field([20, 5, 10, 50], min_length=1, description=HISTORY)
    decay: list[Decay] = Field([0.8, 0.6, 0.9, 1.0], min_length=1, description=DECAY)
    l2: list[Annotated[float, Field(gt=0)]] = Field(
        [200.0],
        min_length=1,
        description="Regularisation, in interactions of an item; each value costs one inversion.",
    )
    neighbours: int = Field(500, ge=1, description=NEIGHBOURS.format(otherwise=", by size"))
    most_items: int = Field(
        20_000,
        ge=1,
        description="Largest matrix that is inverted, in rows: the fewer of items and users. With "
        "n rows it takes 4 n^2 bytes (1.6 GB for 20,000) and a time that grows with n^3: about "
        "half a minute for 12,000 on a core with AVX2, two and a half minutes for 20,000. Beyond "
        "it EASE is left out, with a line that says so.",
    )


class SLITParams(BaseModel):
    """SLIT: the next item predicted from the history before it by ridge regression."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    history: list[Count] = Field([20, 5, 10, 50], min_length=1, description=HISTORY)
    decay: list[Decay] = Field([0.8, 0.6, 0.9, 1.0], min_length=1, description=DECAY)
    l2: list[Annotated[float, Field(gt=0)]] = Field(
        [100.0],
        min_length=1,
        description="Regularisation, in interactions of an item; each value costs one inversion.",
    )
    fit_history: int = Field(
        20,
        ge=1,
        description="Items before an interaction that it is predicted from, in training. For more "
        "than about 130 million of them together, 24 bytes each, there is no memory, and SLIT is "
        "left out, with a line that says so.",
    )
    fit_decay: Decay = Field(0.8, description="Weight of those per step into the past.")
    neighbours: int = Field(200, ge=1, description=NEIGHBOURS.format(otherwise=", by size"))
    most_items: int = Field(
        20_000,
        ge=1,
        description="Largest matrix that is inverted, in rows: the items with train interactions. "
        "Its memory and time are those of EASE, and as much again for a product.",
    )


class MarkovParams(BaseModel):
    """Markov: what came right after the last item."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    history: list[Count] = Field([1], min_length=1, description=HISTORY)
    decay: list[Decay] = Field([1.0], min_length=1, description=DECAY)
    neighbours: int | None = Field(
        500, ge=1, description=NEIGHBOURS.format(otherwise="; null: all")
    )


class GraphParams(BaseModel):
    """Transition graph: what came after, in either direction, in one hop and in two."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    history: list[Count] = Field([5, 1, 3, 10], min_length=1, description=HISTORY)
    decay: list[Decay] = Field([0.6, 0.4, 0.8, 0.9], min_length=1, description=DECAY)
    reach: list[Count] = Field(
        [1, 3],
        min_length=1,
        description="Most places between the two items of a transition, which counts 1 / places.",
    )
    backward: list[Share] = Field(
        [0.5, 0.0, 0.2], min_length=1, description="Weight of a transition taken backward."
    )
    two_hop: list[Share] = Field(
        [0.3, 0.0, 1.0], min_length=1, description="Weight of two hops beside one."
    )
    neighbours: int | None = Field(
        500, ge=1, description=NEIGHBOURS.format(otherwise="; null: all")
    )


class SASRecParams(BaseModel):
    """SASRec: a small transformer over the history, trained to name the next item."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    dropout: list[Annotated[float, Field(ge=0, lt=1)]] = Field(
        [0.3],
        min_length=1,
        description="Share of activations set to 0 in training; each value costs one training.",
    )
    hidden: int = Field(64, ge=8, description="Width of the model.")
    layers: int = Field(2, ge=1, description="Layers.")
    heads: int = Field(2, ge=1, description="Attention heads per layer; divides `hidden`.")
    history: int = Field(50, ge=1, description="Items of a history that are read, the last ones.")
    epochs: int = Field(12, ge=1, description="Passes over all histories.")
    check_every: int = Field(
        3, ge=1, description="Epochs between two looks at validation; the best one is kept."
    )
    positions: int = Field(512, ge=1, description="Places of histories that are read per step.")
    negatives: int = Field(
        1024,
        ge=1,
        description="Items that a right answer is told from in a step, drawn evenly; in a smaller "
        "catalogue all.",
    )
    learning_rate: float = Field(3e-3, gt=0, description="Peak learning rate of AdamW.")
    weight_decay: float = Field(0.01, ge=0, description="Weight decay of AdamW.")
    most_products: float = Field(
        1e13, gt=0, description="Products of two numbers that training may take."
    )

    @model_validator(mode="after")
    def _has_heads_of_equal_width(self) -> SASRecParams:
        require_equal_heads(self.hidden, self.heads)
        return self


class RepurchaseParams(BaseModel):
    """Re-purchase: what the history holds."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    history: list[Count] = Field([200, 50, 100, 500], min_length=1, description=HISTORY)
    decay: list[Decay] = Field([0.99, 0.95, 0.98, 1.0], min_length=1, description=DECAY)


class RankersParams(Params):
    """Section ``rankers`` of params.yaml: how the rankers are fitted, and what validation tries."""

    questions: int = Field(
        2000,
        ge=1,
        description="Most validation queries, and most sessions, that choose; chosen by hash.",
    )
    most_products: float = Field(
        1e11,
        gt=0,
        description="Products of two numbers that the fits of an item-to-item ranker may take, "
        "some minutes with all settings that are compared. Item KNN takes 20 for each two items "
        "of a user, as does EASE, but where users are fewer than items: one for each interaction "
        "and item; the graph 20 for each walk of two hops; SLIT 20 for each two of the items it "
        "reads, and one for each item and each two that follow one another. Settings that would "
        "take more are passed over, a ranker whose first would is left out, each with a line that "
        "says so.",
    )
    bm25: BM25Params = Field(
        BM25Params(), description="BM25, the words a query shares with a document."
    )
    trigrams: TrigramsParams = Field(
        TrigramsParams(), description="BM25 by trigrams, which finds what is misspelt."
    )
    item_knn: ItemKNNParams = Field(
        ItemKNNParams(), description="Item KNN, what the same users had."
    )
    ease: EASEParams = Field(EASEParams(), description="EASE, each item predicted from all others.")
    slit: SLITParams = Field(
        SLITParams(), description="SLIT, the next item predicted from those before it."
    )
    graph: GraphParams = Field(
        GraphParams(), description="The transition graph, what came after, in one hop and in two."
    )
    markov: MarkovParams = Field(
        MarkovParams(), description="The Markov chain, what came right after."
    )
    sasrec: SASRecParams = Field(
        SASRecParams(), description="SASRec, a transformer over the history."
    )
    repurchase: RepurchaseParams = Field(
        RepurchaseParams(),
        description="Re-purchase, what the history holds, where repeats are allowed.",
    )
