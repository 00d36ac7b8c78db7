"""The release that answers now: loaded once, exchanged in the background for a newer one."""

from __future__ import annotations

import asyncio
import sys
from collections.abc import Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

from assets.stage import UserError
from orchestration.releases.answering import (
    ReleasedItems,
    current_release,
    explained,
    load_answers,
    rows_of,
)
from orchestration.releases.store import Release, current
from orchestration.web.batching import Batcher

if TYPE_CHECKING:
    from assets.answers.artifact import Answers


@dataclass(frozen=True, eq=False)
class Loaded:
    """All of a release that answers need, in memory."""

    release: Release
    catalogue: ReleasedItems
    answers: Answers

    @classmethod
    def of(cls, release: Release) -> Loaded:
        """Load a release and answer a first question, so that all later ones are quick.

        Raises:
            UserError: It is incomplete.
        """
        answers = load_answers(release.folder, searches=True)
        if answers.histories is None:  # read now: the folder may be gone when somebody asks
            _say(f"{release.name} keeps no histories of users: they come with each question")
        return cls(release, ReleasedItems.load(release), answers)


class Serving:
    """The current release behind a queue. A question is answered by the release it came to."""

    def __init__(self, root: Path) -> None:
        """Load the current release.

        Args:
            root: The project's folder.

        Raises:
            UserError: There is none, or it is incomplete.
        """
        self.root = root
        self.loaded = Loaded.of(current_release(root))
        self.batcher = Batcher()

    async def follow(self, every: float = 1.0) -> None:
        """Exchange the release whenever another one becomes current; never ends.

        Args:
            every: Seconds between two looks.
        """
        seen = self.loaded.release.name
        while True:
            await asyncio.sleep(every)
            try:
                release = await asyncio.to_thread(current, self.root)
                if release is None or release.name == seen:
                    continue
                seen = release.name
                self.loaded = await asyncio.to_thread(Loaded.of, release)
                _say(f"{seen} answers from now on")
            except (UserError, OSError, ValueError) as error:
                _say(f"{self.loaded.release.name} still answers: {error}")

    async def search(
        self, loaded: Loaded, query: str, k: int, by: str | None
    ) -> list[dict[str, Any]]:
        """Return the k best items for a query, best first."""
        width = _width(k)
        answer_all = partial(loaded.answers.search_many, k=width, by=by)
        results = await self.batcher.ask((loaded, "search", width, by), answer_all, query)
        return rows_of(results[:k])

    async def recommend(
        self, loaded: Loaded, history: Sequence[str], k: int, by: str | None
    ) -> list[dict[str, Any]]:
        """Return the k items that come next after a history, best first."""
        width = _width(k)
        answer_all = partial(loaded.answers.recommend_many, k=width, by=by)
        key = (loaded, "recommendation", width, by)
        results = await self.batcher.ask(key, answer_all, list(history))
        return rows_of(results[:k])

    async def explain(
        self, loaded: Loaded, asked: str | Sequence[str], k: int, by: str | None
    ) -> list[dict[str, Any]]:
        """Answer a query, or a history of item ids, and say why."""

        def answer_one(questions: Sequence[Any]) -> list[list[dict[str, Any]]]:
            return [explained(loaded.catalogue, loaded.answers, one, k, by) for one in questions]

        # A part that one task lacks may be a good one of the other: what fails, fails alone.
        task = "search" if isinstance(asked, str) else "recommendation"
        return await self.batcher.ask((loaded, "explain", task, k, by), answer_one, asked)


def _width(k: int) -> int:
    """Round up what is asked for, so that most questions can be answered together."""
    return next(width for width in (10, 60, 200, 1000) if k <= width)


def _say(text: str) -> None:
    print(text, file=sys.stderr, flush=True)
