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


class Found(BaseModel):
    """One item of an answer."""

    rank: int
    item_id: str
    title: str
    sid: str = Field(description="Its Semantic ID.")
    score: float = Field(description="The higher the better; comparable within one answer.")


class Answer(BaseModel):
    """The items found, best first, and the release that found them."""

    release: str
    results: list[Found]


class Label(BaseModel):
    """A category and the share of items that carry it."""

    label: str
    share: float


class Other(BaseModel):
    """An item that shares a prefix."""

    item_id: str
    title: str | None


class Prefix(BaseModel):
    """What stands under one prefix of a Semantic ID."""

    prefix: str
    items: int
    labels: list[Label]
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
