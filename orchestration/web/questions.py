"""What may be asked over HTTP, and what an answer looks like: the schema of the service."""

from __future__ import annotations

from typing import Annotated, Self

from pydantic import AfterValidator, BaseModel, ConfigDict, Field, model_validator

MOST_ITEMS = 1000


def _not_blank(text: str) -> str:
    if not text.strip():
        raise ValueError("is empty: give it a few words")
    return text


Name = Annotated[str, Field(min_length=1, max_length=500)]
Count = Annotated[int, Field(ge=1, le=1000, description="Number of items.")]


class Question(BaseModel):
    """Base of what may be asked: unknown keys are refused."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    k: Count = 10
    by: Annotated[str, Field(max_length=40)] | None = Field(
        None,
        description="One part alone, such as `dense`, `bm25`, `retriever` or `item_knn`; default: "
        "all that answer, joined.",
    )

    explain: bool = Field(
        False, description="Whether each result says why it is there; one question at a time."
    )


class SearchQuestion(Question):
    """A search."""

    query: Annotated[str, AfterValidator(_not_blank)] = Field(
        max_length=1000, description="A few words."
    )


class RecommendQuestion(Question):
    """A recommendation, after a user's history or after some items."""

    user: Name | None = Field(None, description="A user of the data, by id.")
    items: Annotated[list[Name], Field(min_length=1, max_length=MOST_ITEMS)] | None = Field(
        None, description="Item ids, the oldest first."
    )

    @model_validator(mode="after")
    def _one_of_both(self) -> Self:
        if (self.user is None) == (self.items is None):
            raise ValueError("give either a user or items")
        return self


class Standing(BaseModel):
    """Where a part ranks an item; nulls where its list ends before."""

    rank: int | None
    score: float | None


class Companion(BaseModel):
    """An item of the history that speaks for an answer, and its share of all that is said."""

    item_id: str
    title: str
    share: float


class Label(BaseModel):
    """A category and the share of items that carry it."""

    label: str
    share: float


class Step(BaseModel):
    """A prefix of a Semantic ID, the number of items under it and their categories."""

    prefix: str
    items: int
    labels: list[Label]


class Why(BaseModel):
    """Why an item is answered."""

    parts: dict[str, Standing]
    goes_with: list[Companion] = Field(
        description="Items of the history, by what item_knn says of them, whatever its weight; "
        "where it is left out, by the next item-to-item part. Empty for a search."
    )
    path: list[Step]


class Found(BaseModel):
    """One item of an answer."""

    rank: int
    item_id: str
    title: str
    sid: str = Field(description="Its Semantic ID.")
    score: float = Field(description="The higher the better; comparable within one answer.")
    why: Why | None = Field(None, description="Where `explain` was asked for.")


class Answer(BaseModel):
    """The items found, best first, and the release that found them."""

    release: str
    results: list[Found]


class Other(BaseModel):
    """An item that shares a prefix."""

    item_id: str
    title: str | None


class Prefix(Step):
    """What stands under one prefix of a Semantic ID, and the most popular of it."""

    others: list[Other]


class Item(BaseModel):
    """An item, its Semantic ID and who shares each prefix of it."""

    release: str
    item_id: str
    title: str | None
    category: str | None
    sid: str
    raw_sid: str
    prefixes: list[Prefix]


class Health(BaseModel):
    """That it answers, with which release, and how much it has answered so far."""

    status: str
    release: str
    tasks: list[str]
    items: int
    questions: int
    batches: int


class Problem(BaseModel):
    """Why there is no answer, in one sentence."""

    error: str
