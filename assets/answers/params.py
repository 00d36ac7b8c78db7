"""The knobs of the stage ``answers``."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import Field

from assets.stage import Params

# What may guide the generator's beam, which cannot guide itself; and, with it, every part there may
# be. What of it is there, ``Parts.names`` says.
SearchGuide = Literal["item_head", "dense", "bm25", "trigrams", "popularity"]
RecommendationGuide = Literal[
    "item_head",
    "item_knn",
    "ease",
    "slit",
    "sasrec",
    "graph",
    "markov",
    "repurchase",
    "popularity",
]
SearchPart = Literal["retriever", SearchGuide]
RecommendationPart = Literal["retriever", RecommendationGuide]
Weight = Annotated[float, Field(ge=0, allow_inf_nan=False)]


class AnswersParams(Params):
    """Section ``answers`` of params.yaml: who answers, how wide, and how the answers are joined."""

    search: list[SearchPart] = Field(
        ["dense", "bm25", "trigrams", "popularity", "item_head", "retriever"],
        min_length=1,
        description="Who may answer a search; validation decides who does, and with what weight.",
    )
    recommendation: list[RecommendationPart] = Field(
        [
            "retriever",
            "item_head",
            "slit",
            "sasrec",
            "ease",
            "graph",
            "item_knn",
            "markov",
            "repurchase",
            "popularity",
        ],
        min_length=1,
        description="Who may recommend; validation decides who does, and with what weight. "
        "`repurchase` is passed over where repeats are excluded.",
    )
    repeats: Literal["exclude", "allow"] = Field(
        "exclude",
        description="Whether what is in a history may be recommended: allow it where things are "
        "bought again.",
    )
    beams: int = Field(60, ge=1, description="Beams of the generator.")
    search_guide: list[SearchGuide] = Field(
        ["dense", "bm25", "trigrams"],
        description="The parts whose ranking guides the generator's beam in a search, joined as "
        "validation says: a prefix is worth what the best item under it is worth to them. Without "
        "any, what the vectors under it let expect, for catalogues too large for exact rankings.",
    )
    search_guide_weights: list[Weight] = Field(
        [10.0, 20.0, 40.0, 80.0],
        min_length=1,
        description="What a unit of the guide's z-score adds to the log probability of a beam, in "
        "a search; validation chooses.",
    )
    search_node_guide_weights: list[Weight] = Field(
        [80.0, 160.0, 320.0, 640.0],
        min_length=1,
        description="The same where no list guides a search: of a unit of similarity to what the "
        "vectors under a prefix let expect.",
    )
    recommendation_guide: list[RecommendationGuide] = Field(
        ["item_head"],
        description="The same for recommendations; without any there is no guide.",
    )
    recommendation_guide_weights: list[Weight] = Field(
        [0.0, 0.5, 1.0, 2.0, 4.0, 8.0],
        min_length=1,
        description="The same for recommendations; 0: no guide.",
    )
    guide_questions: int = Field(
        500, ge=1, description="Most validation questions that the weight of a guide is chosen by."
    )
    depth: int = Field(100, ge=10, description="Ranks of each list that are joined.")
    fusions: list[Literal["z_score", "reciprocal_rank"]] = Field(
        ["z_score", "reciprocal_rank"],
        min_length=1,
        description="Ways to join lists that validation chooses from.",
    )
    weights: list[Weight] = Field(
        [0.0, 0.25, 0.5, 0.75, 1.0, 1.5, 2.0],
        min_length=2,
        description="Weights that validation chooses from; 0 leaves a part out.",
    )
    allowances: dict[SearchPart, Annotated[float, Field(ge=0, lt=1)]] = Field(
        {"dense": 0.02, "popularity": 0.002},
        description="Where made queries decide: by part of a search, the share of the "
        "mixture's worth that is given up, at most, for its weight. Made queries share their "
        "documents' words and ask for every item as often; people also ask for what a document "
        "means, and mostly for the known ones. {}: none.",
    )
    least_real_queries: int = Field(
        100,
        ge=1,
        description="Where validation holds so many real queries, they alone decide over searches.",
    )
    questions: int = Field(
        5000,
        ge=1,
        description="Most validation queries, and most sessions, that decide; chosen by hash.",
    )
    user_histories: bool = Field(
        True,
        description="Whether every user's items are kept beside, so that who answers can recommend "
        "by user id. `false`: histories come with each question, and none is released.",
    )
