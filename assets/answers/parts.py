"""Who can be asked: the generator, and what ranks beside it."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from assets.answers.fusion import Mixture, Pool
from assets.answers.settings import Settings
from assets.bi_encoder.artifact import BiEncoder
from assets.embeddings.artifact import Embeddings
from assets.interactions.artifact import Interactions, normalised
from assets.interactions.catalogue import Catalogue
from assets.rankers.artifact import Rankers
from assets.ranking import TASKS, Histories, Queries, Ranked, Rows, Task, task_of
from assets.retriever.artifact import Beams, Generator
from assets.semantic_ids.artifact import SemanticIds
from assets.stage import UserError

GENERATED = ("retriever", "item_head")  # the generator's beam, and its other head


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
        """Return who can be asked for a task, the generator first where it has learnt it.

        Re-purchase is among them only where repeats are allowed: elsewhere it ranks nothing.
        """
        generated = GENERATED if task in self.generator.tasks else ()
        rankers: Iterable[str] = (
            self.rankers.search if task == "search" else self.rankers.recommendation
        )
        idle = () if self.settings.repeats else ("repurchase",)
        return [*generated, *(name for name in rankers if name not in idle)]

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
        guiding = [*guide.mixture.weights] if guide else []
        needed = dict.fromkeys([*names, *guiding])
        found: dict[str, Ranked] = {}
        beams = states = None
        if any(name in GENERATED for name in needed):
            states = self.generator.states(asked)
            if "item_head" in needed:
                found["item_head"] = self.generator.rank(asked, states, deep)
        for name in needed:
            if name not in GENERATED:
                found[name] = self._ranked(name, asked, deep)
        if "retriever" in names and states is not None:
            beams = self.generator.write(
                asked,
                states,
                beams=max(self.settings.beams, depth),
                guide=self._pooled(guide.mixture, found, deep) if guide and guiding else None,
                guide_weight=guide.weight if guide else 0.0,
            )
            found["retriever"] = self.generator.items(beams, deep)
        return {name: found[name] for name in names}, beams

    def _ranked(self, name: str, asked: Queries | Histories, depth: int) -> Ranked:
        if isinstance(asked, Queries):
            return self.rankers.search[name].rank(asked, depth)
        return self.rankers.recommendation[name].rank(asked, depth)

    def mix(self, mixture: Mixture, lists: dict[str, Ranked], k: int) -> Ranked:
        """Make one ranking of the parts' own, which hold at least those of the mixture."""
        if len(mixture.weights) == 1:
            return lists[mixture.heaviest].first(k)
        return self._pooled(mixture, lists, k)

    def _pooled(self, mixture: Mixture, lists: dict[str, Ranked], k: int) -> Ranked:
        """Join lists, a single one too: then its scores are in the units of the fusion."""
        chosen = {name: lists[name] for name in mixture.weights}
        items = len(self.catalogue.item_ids)
        pool = Pool.of(chosen, mixture.fusion, self.settings.depth, items)
        return pool.rank(mixture, k, self.catalogue.by_popularity)
