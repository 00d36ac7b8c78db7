"""Why an item is answered: where each part ranks it, and what in the history it goes with."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from assets.ranking import Ranked, Rows

COMPANIONS = 3  # most items of a history that are named


@dataclass(frozen=True)
class Standing:
    """Where a part ranks an item.

    Attributes:
        rank: From 1; None where its list ends before.
        score: The part's own, of its own scale.
    """

    rank: int | None
    score: float | None


@dataclass(frozen=True)
class Companion:
    """An item of the history that speaks for an answer.

    Attributes:
        item_id: It.
        title: Its title.
        share: Of all that the history's items say for the answer.
    """

    item_id: str
    title: str
    share: float


@dataclass(frozen=True)
class Why:
    """Why one item is answered.

    Attributes:
        parts: By part, where it ranks the item.
        goes_with: The items of the history that speak most for it; empty for a search.
    """

    parts: dict[str, Standing]
    goes_with: list[Companion]


def standings(lists: dict[str, Ranked], question: int, row: int) -> dict[str, Standing]:
    """Look an item up in the parts' lists for one question.

    Args:
        lists: By part.
        question: Row of the lists.
        row: The item's.
    """
    found = {}
    for name, ranked in lists.items():
        place = np.flatnonzero(ranked.rows[question] == row)
        if len(place):
            score = float(ranked.scores[question, place[0]])
            found[name] = Standing(int(place[0]) + 1, score)
        else:
            found[name] = Standing(None, None)
    return found


def companions(
    rows: Rows,
    said: NDArray[np.float32],
    item_ids: NDArray[np.object_],
    titles: NDArray[np.object_],
) -> list[Companion]:
    """Return the items of a history that speak most for an answer, the loudest first.

    Args:
        rows: Rows of the history's items ...
        said: ... and what each says; what is not above 0 speaks for nothing.
        item_ids: By row.
        titles: By row.
    """
    said = np.maximum(said, 0)
    order = np.argsort(-said, kind="stable")[:COMPANIONS]
    return [
        Companion(
            str(item_ids[rows[place]]), str(titles[rows[place]]), float(said[place] / said.sum())
        )
        for place in order
        if said[place] > 0
    ]
