"""What the stage ``answers`` hands over: search and recommendation in four lines.

::

    from assets.answers.artifact import Answers

    answers = Answers.load("data/releases/current")
    answers.search("space opera with robots", k=10)
    answers.recommend(["260", "1196"], k=10)
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Literal

import numpy as np
import pyarrow.parquet as pq

from assets.answers.fusion import Mixture, Pool
from assets.answers.settings import Settings
from assets.bi_encoder.artifact import BiEncoder
from assets.embeddings.artifact import Embeddings
from assets.files import read_json, write_json
from assets.interactions.artifact import Interactions, normalised
from assets.interactions.catalogue import Catalogue
from assets.machine import Machine
from assets.rankers.artifact import Rankers
from assets.ranking import TASKS, Histories, Queries, Ranked, Rows, Task, task_of
from assets.retriever.artifact import WHY_NOT, Beams, Generator
from assets.semantic_ids.artifact import SemanticIds, sid_text
from assets.stage import UserError

HISTORIES = "histories.parquet"
GENERATED = ("retriever", "item_head")  # the generator's beam, and its other head


@dataclass(frozen=True)
class Result:
    """One answer.

    Attributes:
        item_id: The item.
        title: Its title, or its text where it has none.
        sid: Its Semantic ID, such as ``<a_12><b_200><c_7>``.
        score: The higher the better; of its own scale for each task and each part.
    """

    item_id: str
    title: str
    sid: str
    score: float


@dataclass(frozen=True)
class Parts:
    """Who can be asked, before anybody decided who is: all but the mixtures.

    Attributes:
        catalogue: The items.
        ids: Their Semantic IDs.
        encoder: Turns queries into vectors.
        generator: Writes Semantic IDs.
        rankers: Rank without writing.
        settings: How wide they are asked.
    """

    catalogue: Catalogue
    ids: SemanticIds
    encoder: BiEncoder
    generator: Generator
    rankers: Rankers
    settings: Settings

    @classmethod
    def load(cls, root: Path, settings: Settings, device: str) -> Parts:
        """Load what lies beside ``answers``.

        Args:
            root: ``data``, or the folder of a release.
            settings: How wide they are asked.
            device: ``cpu`` or ``cuda``.

        Raises:
            UserError: Something is missing, or speaks of other items or IDs.
        """
        catalogue = Catalogue.of(Interactions.load(root / "interactions"))
        embeddings = Embeddings.load(root / "embeddings")
        ids = SemanticIds.load(root / "semantic_ids")
        for name, found in {
            "embeddings": embeddings.item_ids,
            "semantic_ids": ids.item_ids,
        }.items():
            if not np.array_equal(found, catalogue.item_ids):
                raise UserError(
                    f"{root / name} holds other items than {root / 'interactions'}: run "
                    f"`dvc repro {name}`, or restore the release."
                )
        return cls(
            catalogue=catalogue,
            ids=ids,
            encoder=BiEncoder.load(root / "bi_encoder", device),
            generator=Generator.load(
                root / "retriever", ids, embeddings.text, catalogue.popularity, device
            ),
            rankers=Rankers.load(root / "rankers", catalogue, embeddings),
            settings=settings,
        )

    @property
    def tasks(self) -> list[Task]:
        """The tasks that somebody can do: without interactions nobody can recommend."""
        return [*TASKS] if self.rankers.recommendation else ["search"]

    def names(self, task: Task) -> list[str]:
        """Return who can be asked for a task, the generator first where it has learnt it."""
        generated = GENERATED if task in self.generator.tasks else ()
        rankers: Iterable[str] = (
            self.rankers.search if task == "search" else self.rankers.recommendation
        )
        return [*generated, *rankers]

    def encode(self, texts: Sequence[str], cache: Path | None = None) -> Queries:
        """Encode queries.

        Args:
            texts: As they were typed.
            cache: ``data/cache`` to reuse and keep query vectors.
        """
        plain = [normalised(text) for text in texts]
        return Queries(plain, self.encoder.encode(plain, cache=cache, what="encoding queries"))

    def histories(self, items: Sequence[Rows]) -> Histories:
        """Return questions of recommendation: what comes after each history."""
        return Histories(items, self.settings.repeats)

    def ask(
        self, asked: Queries | Histories, names: Iterable[str], depth: int
    ) -> tuple[dict[str, Ranked], Beams | None]:
        """Ask several parts.

        Args:
            asked: The questions.
            names: Who; see :meth:`names`.
            depth: Ranks of each list, at most.

        Returns:
            By name, lists of at least ``settings.depth`` ranks, of which the generator's ends with
            its beams; and those beams, where it was asked.
        """
        names, deep = list(names), max(self.settings.depth, depth)
        guide = self.settings.guides.get(task_of(asked)) if "retriever" in names else None
        needed = dict.fromkeys([*names, *(guide.mixture.weights if guide else ())])
        found: dict[str, Ranked] = {}
        generated = [name for name in needed if name in GENERATED]
        states = self.generator.states(asked) if generated else None
        for name in needed:
            if name == "item_head" and states is not None:
                found[name] = self.generator.rank(asked, states, deep)
            elif name != "retriever" and isinstance(asked, Queries):
                found[name] = self.rankers.search[name].rank(asked, deep)
            elif name != "retriever" and isinstance(asked, Histories):
                found[name] = self.rankers.recommendation[name].rank(asked, deep)
        beams = None
        if "retriever" in names and states is not None:
            beams = self.generator.write(
                asked,
                states,
                beams=max(self.settings.beams, depth),
                guide=self.mix(guide.mixture, found, deep)
                if guide and guide.mixture.weights
                else None,
                guide_weight=guide.weight if guide else 0.0,
            )
            found["retriever"] = self.generator.items(beams, deep)
        return {name: found[name] for name in names}, beams

    def mix(self, mixture: Mixture, lists: dict[str, Ranked], k: int) -> Ranked:
        """Make one ranking of the parts' own, which hold at least those of the mixture."""
        if len(mixture.weights) == 1:
            return lists[mixture.heaviest].first(k)
        chosen = {name: lists[name] for name in mixture.weights}
        items = len(self.catalogue.item_ids)
        pool = Pool.of(chosen, mixture.fusion, self.settings.depth, items)
        return pool.rank(mixture, k, self.catalogue.by_popularity)


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
