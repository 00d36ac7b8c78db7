"""What the stage ``answers`` hands over: search and recommendation in four lines.

::

    from assets.answers.artifact import Answers

    answers = Answers.load("data/releases/current")
    answers.search("lord of the rings", k=10)
    answers.recommend(["260", "1196"], k=10)
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from pathlib import Path
from typing import Literal

import pyarrow.parquet as pq

from assets.answers.explaining import Companion, Why, companions, standings
from assets.answers.fusion import Mixture
from assets.answers.parts import GENERATED, Parts
from assets.answers.settings import Settings
from assets.files import read_json, write_json
from assets.machine import Machine
from assets.ranking import TASKS, Histories, Queries, Ranked, Task, task_of
from assets.retriever.artifact import WHY_NOT
from assets.semantic_ids.artifact import sid_text
from assets.stage import UserError

__all__ = ["GENERATED", "HISTORIES", "Answers", "Parts", "Result"]

HISTORIES = "histories.parquet"


@dataclass(frozen=True)
class Result:
    """One answer.

    Attributes:
        item_id: The item.
        title: Its title, or its text where it has none.
        sid: Its Semantic ID, such as ``<a_12><b_200><c_7>``.
        score: The higher the better; of its own scale for each task and each part.
        why: What :meth:`Answers.explain` says of it; None where nobody asked.
    """

    item_id: str
    title: str
    sid: str
    score: float
    why: Why | None = None


@dataclass(frozen=True)
class Answers:
    """Search and recommendation as a user gets them. Make one with :meth:`load`.

    Attributes:
        parts: Who can be asked.
        mixtures: By task, who is; a task that nobody can do is absent.
        folder: Where the histories of users lie, if they are kept.
    """

    parts: Parts
    mixtures: dict[Task, Mixture]
    folder: Path

    @classmethod
    def load(
        cls, root: Path | str = "data", device: Literal["auto", "cpu", "cuda"] | None = None
    ) -> Answers:
        """Load all that answers.

        Args:
            root: ``data``, or the folder of a release, which has the same layout.
            device: ``auto``, ``cpu`` or ``cuda``; None takes what ``SIDMILL_DEVICE`` says.

        Raises:
            UserError: Something is missing, or does not fit the rest.
        """
        root = Path(root)
        folder = root / "answers"
        if not (folder / "manifest.json").is_file():
            raise UserError(f"{folder} holds no answers: run `dvc repro answers` first.")
        machine = Machine.here()
        if device is not None:
            machine = machine.model_copy(update={"device": device})
        manifest = read_json(folder / "manifest.json")
        if not {"guides", "repeats"} <= manifest["settings"].keys():
            raise UserError(
                f"{folder} comes from another version of Sidmill: run `dvc repro answers`, or use "
                "the version that made it."
            )
        settings = Settings.read(manifest["settings"])
        parts = Parts.load(root, settings, machine.torch_device())
        if manifest["sid_version"] not in {parts.ids.version, parts.ids.extends}:
            raise UserError(
                f"{folder} was made for SID version {manifest['sid_version'][:12]}, but "
                f"{root / 'semantic_ids'} holds {parts.ids.version[:12]}: run `dvc repro answers`."
            )
        mixtures = {
            task: Mixture(mixture["fusion"], mixture["weights"])
            for task, mixture in manifest["mixtures"].items()
        }
        return cls(parts, mixtures, folder)

    def save(self, folder: Path) -> None:
        """Write ``manifest.json``."""
        manifest = {
            "sid_version": self.parts.ids.version,
            "settings": self.parts.settings.written(),
            "mixtures": {task: vars(mixture) for task, mixture in self.mixtures.items()},
        }
        write_json(folder / "manifest.json", manifest)

    def search(self, query: str, k: int = 10, by: str | None = None) -> list[Result]:
        """Return the items that answer a query best.

        Args:
            query: A few words.
            k: Most items.
            by: One part alone, such as ``dense``, ``bm25`` or ``retriever``; None: the mixture.

        Raises:
            UserError: An empty query, an unknown part, or nobody who can search.
        """
        return self.search_many([query], k, by)[0]

    def search_many(
        self, queries: Sequence[str], k: int = 10, by: str | None = None
    ) -> list[list[Result]]:
        """Return what :meth:`search` returns, for many queries at once.

        Raises:
            UserError: An empty query, an unknown part, or nobody who can search.
        """
        if not all(query.strip() for query in queries):
            raise UserError("the query is empty: give it a few words.")
        self._require("search", by)
        return self._results(self.rank(self.parts.encode(queries), k, by))

    def recommend(self, history: Sequence[str], k: int = 10, by: str | None = None) -> list[Result]:
        """Return the items that go on from a history; none is in it unless repeats are allowed.

        Args:
            history: Item ids, oldest first.
            k: Most items.
            by: One part alone, such as ``retriever`` or ``item_knn``; None: the mixture.

        Raises:
            UserError: An unknown item, an unknown part, or nobody who can recommend.
        """
        return self.recommend_many([history], k, by)[0]

    def recommend_many(
        self, histories: Sequence[Sequence[str]], k: int = 10, by: str | None = None
    ) -> list[list[Result]]:
        """Return what :meth:`recommend` returns, for many histories at once.

        Raises:
            UserError: An unknown item, an unknown part, or nobody who can recommend.
        """
        self._require("recommendation", by)
        rows = self.parts.catalogue.row_lists(histories)
        return self._results(self.rank(self.parts.histories(rows), k, by))

    def rank(self, asked: Queries | Histories, k: int, by: str | None = None) -> Ranked:
        """Rank items for many questions, at most k each; see :meth:`search`."""
        mixture = self.mixtures[task_of(asked)]
        lists, _ = self.parts.ask(asked, [by] if by else mixture.weights, k)
        return lists[by].first(k) if by else self.parts.mix(mixture, lists, k)

    def explain(
        self, asked: str | Sequence[str], k: int = 10, by: str | None = None
    ) -> list[Result]:
        """Answer like :meth:`search` or :meth:`recommend`, and say why of each item.

        Args:
            asked: A query, or a history of item ids, oldest first.
            k: Most items.
            by: One part alone; None: the mixture.

        Raises:
            UserError: As for those.
        """
        searches = isinstance(asked, str)
        questions: Queries | Histories
        if isinstance(asked, str):
            results = self.search(asked, k, by)
            questions = self.parts.encode([asked])
        else:
            results = self.recommend(asked, k, by)
            questions = self.parts.histories(self.parts.catalogue.row_lists([asked]))
        lists, _ = self.parts.ask(questions, self.names(task_of(questions)), k)
        catalogue, speaking = self.parts.catalogue, self.parts.rankers.item_to_item
        rows = catalogue.rows([result.item_id for result in results])
        speaker = None if searches or not speaking else next(iter(speaking.values()))
        explained = []
        for result, row in zip(results, rows.tolist(), strict=True):
            spoke: list[Companion] = []
            if speaker and isinstance(questions, Histories):
                last, said = speaker.spoken(questions.items[0], row)
                spoke = companions(last, said, catalogue.item_ids, catalogue.titles)
            explained.append(replace(result, why=Why(standings(lists, 0, row), spoke)))
        return explained

    def names(self, task: Task) -> list[str]:
        """Return what `by` may be for a task."""
        return self.parts.names(task)

    @property
    def tasks(self) -> tuple[Task, ...]:
        """The tasks that somebody can do."""
        return tuple(task for task in TASKS if task in self.mixtures)

    def history(self, user_id: str) -> list[str]:
        """Return the items of a user, the oldest first.

        Raises:
            UserError: Histories are not kept here, or there is no such user.
        """
        if self.histories is None:
            raise UserError(
                "no histories of users are kept here (`answers.user_histories` was false): name "
                "the items themselves."
            )
        if user_id not in self.histories:
            raise UserError(f"user {user_id} has no interactions here.")
        return self.histories[user_id]

    @cached_property
    def histories(self) -> dict[str, list[str]] | None:
        """Every user's items, the oldest first, by user_id ascending; None where none is kept."""
        if not (self.folder / HISTORIES).is_file():
            return None
        table = pq.read_table(self.folder / HISTORIES).to_pydict()
        return dict(zip(table["user_id"], table["item_ids"], strict=True))

    def _require(self, task: Task, by: str | None) -> None:
        if task not in self.mixtures:
            raise UserError(f"nobody here can do {task}: {WHY_NOT[task]}.")
        if by is not None and by not in self.names(task):
            raise UserError(
                f"{task} knows no part `{by}`: there are {', '.join(self.names(task))}."
            )

    def _results(self, ranked: Ranked) -> list[list[Result]]:
        catalogue, codes = self.parts.catalogue, self.parts.ids.codes
        return [
            [
                Result(
                    str(catalogue.item_ids[row]),
                    str(catalogue.titles[row]),
                    sid_text(codes[row]),
                    float(score),
                )
                for row, score in zip(rows, scores, strict=True)
                if row >= 0
            ]
            for rows, scores in zip(ranked.rows, ranked.scores, strict=True)
        ]
