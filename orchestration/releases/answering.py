"""What the current release answers: searches, recommendations, and what an item's ID is.

Only :func:`load_answers` loads models; :class:`ReleasedItems` reads tables alone.
"""

from __future__ import annotations

import os
import re
from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pandas as pd

from assets.files import read_json
from assets.interactions.artifact import Interactions
from assets.semantic_ids.artifact import SemanticIds, sid_text
from assets.semantic_ids.neighbourhood import rows_under_prefixes
from assets.stage import UserError
from assets.threads import prefer
from orchestration.releases.store import Release, current

if TYPE_CHECKING:
    from assets.answers.artifact import Answers

SEPARATORS = re.compile(r"\s*[|>;,/]\s*")  # between the categories of one item
EXAMPLES = 5
LABELS = 3


class UnknownError(UserError):
    """There is no item or user of that name."""


def current_release(root: Path) -> Release:
    """Return the release that answers.

    Raises:
        UserError: There is none.
    """
    release = current(root)
    if release is None:
        raise UserError(
            "nothing is released yet: `sidmill run` builds everything and publishes it."
        )
    return release


def load_answers(folder: Path, *, searches: bool) -> Answers:
    """Load what answers in a release; nothing is fetched from anywhere.

    Args:
        folder: The release's folder.
        searches: Whether to load now also what the first search would load, so that it is as quick
            as the next.

    Raises:
        UserError: The release is incomplete.
    """
    os.environ.setdefault("HF_HUB_OFFLINE", "1")
    # One question is too little work to share: 60 ms alone, but seconds where threads wait for each
    # other on busy cores.
    prefer(1)
    from assets.answers.artifact import Answers

    answers = Answers.load(folder)
    if searches and "search" in answers.tasks:
        answers.search("first words", 1)
    return answers


def who_answers(data: Path) -> list[str]:
    """Return the sentences that say who answers each task; none where that is not decided yet.

    Args:
        data: ``data``, or the folder of a release.
    """
    file = data / "answers" / "report.json"
    return list(read_json(file).get("sentences", [])) if file.is_file() else []


def history_of(release: Release, answers: Answers, user: str) -> list[str]:
    """Return all items of a user in a release, the oldest first.

    Raises:
        UnknownError: The user has none.
        UserError: The release keeps no histories.
    """
    if answers.histories is not None and user not in answers.histories:
        raise UnknownError(f"user {user} has no interactions in {release.name}.")
    return answers.history(user)


def show(release: Release, item: str) -> dict[str, Any]:
    """Return an item's SID and who shares each of its prefixes, as :meth:`ReleasedItems.show` does.

    Raises:
        UnknownError: There is no such item.
    """
    return ReleasedItems.load(release).show(item)


@dataclass(frozen=True)
class ReleasedItems:
    """The items of a release and their IDs, without any model.

    Attributes:
        release: The release.
        ids: Its Semantic IDs.
        items: Its items by item_id.
        popularity: Train interactions by item_id.
        places: Row of `ids` by item_id.
    """

    release: Release
    ids: SemanticIds
    items: pd.DataFrame
    popularity: pd.Series[int]
    places: dict[str, int]

    @classmethod
    def load(cls, release: Release) -> ReleasedItems:
        """Read the tables of a release."""
        ids = SemanticIds.load(release.folder / "semantic_ids")
        data = Interactions.load(release.folder / "interactions")
        places = {name: place for place, name in enumerate(ids.item_ids)}
        return cls(release, ids, data.items.set_index("item_id"), data.popularity(), places)

    def require(self, items: Iterable[str]) -> None:
        """Let pass only items that exist.

        Raises:
            UnknownError: One does not; the text names items whose title contains the word.
        """
        for item in items:
            if item in self.places:
                continue
            titles = self.items["title"].fillna("")
            similar = self.items.index[titles.str.contains(item, case=False, regex=False)]
            hint = ", ".join(f"{name} ({titles[name]})" for name in similar[:EXAMPLES])
            end = f"; titles with that word: {hint}." if hint else "."
            raise UnknownError(f"no item has the id {item!r} in {self.release.name}{end}")

    def show(self, item: str) -> dict[str, Any]:
        """Return an item's SID and who shares each of its prefixes.

        Args:
            item: An item id.

        Returns:
            item_id, title, category, sid, raw_sid, and `prefixes`: per prefix, from one code to the
            whole SID, the number of items under it, their most common categories (with shares) and
            the titles of the most popular of the others.

        Raises:
            UnknownError: There is no such item.
        """
        self.require([item])
        ids, place = self.ids, self.places[item]
        prefixes = []
        for under, prefix in self._prefixes(item):
            others = self.popularity.reindex([name for name in under if name != item])
            first = others.sort_values(ascending=False, kind="stable").index[:EXAMPLES]
            shown = [{"item_id": name, "title": _text(self.items, name, "title")} for name in first]
            prefixes.append(prefix | {"others": shown})
        return {
            "item_id": item,
            "title": _text(self.items, item, "title"),
            "category": _text(self.items, item, "category"),
            "sid": sid_text(ids.codes[place]),
            "raw_sid": sid_text(ids.raw_codes[place]),
            "prefixes": prefixes,
        }

    def path(self, item: str) -> list[dict[str, Any]]:
        """Return the prefixes of an item's SID, each with its items' number and categories.

        Raises:
            UnknownError: There is no such item.
        """
        self.require([item])
        return [prefix for _, prefix in self._prefixes(item)]

    def _prefixes(self, item: str) -> Iterator[tuple[Any, dict[str, Any]]]:
        """Yield the items under each prefix of an item's SID, and what is said of the prefix."""
        ids, place = self.ids, self.places[item]
        for length, rows in enumerate(rows_under_prefixes(ids.codes, place), start=1):
            under = ids.item_ids[rows]
            yield (
                under,
                {
                    "prefix": sid_text(ids.codes[place][:length]),
                    "items": len(under),
                    "labels": common_labels(self.items["category"].reindex(under)),
                },
            )


def common_labels(categories: Any) -> list[dict[str, Any]]:
    """Return the most common categories, each with the share of items that carry it."""
    parts = [part for text in categories.dropna() for part in set(SEPARATORS.split(text)) if part]
    counts = sorted(Counter(parts).items(), key=lambda entry: (-entry[1], entry[0]))
    return [
        {"label": label, "share": round(count / len(categories), 3)}
        for label, count in counts[:LABELS]
    ]


def _text(items: Any, item: str, column: str) -> str | None:
    value = items.loc[item, column]
    return value if isinstance(value, str) else None


def rows_of(results: Sequence[Any]) -> list[dict[str, Any]]:
    """Return results as rows with their ranks, from 1; `why` only where it was asked for."""
    rows = [{"rank": rank, **asdict(result)} for rank, result in enumerate(results, start=1)]
    return [row if row["why"] else {k: v for k, v in row.items() if k != "why"} for row in rows]


def explained(
    catalogue: ReleasedItems, answers: Answers, asked: str | Sequence[str], k: int, by: str | None
) -> list[dict[str, Any]]:
    """Answer a question and say why.

    Args:
        catalogue: The released items.
        answers: What answers.
        asked: A query, or the items of a history, oldest first.
        k: Most items.
        by: One part alone; None: all that answer.

    Returns:
        Rows as :func:`rows_of` returns them. Each has `why`: by part the rank and score of the
        item, the items of the history that it goes with, and `path`: the prefixes of its Semantic
        ID with the number of items under each and their most common categories.

    Raises:
        UserError: As :meth:`Answers.explain` does.
    """
    rows = rows_of(answers.explain(asked, k, by))
    for row in rows:
        row["why"]["path"] = catalogue.path(row["item_id"])
    return rows
