"""How well the generator answers the validation split; decides which moment of training is kept."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from assets.bi_encoder.artifact import BiEncoder
from assets.evaluation import gains_of, recall
from assets.interactions.artifact import Sessions
from assets.interactions.catalogue import Catalogue
from assets.ranking import Ranked, Rows
from assets.retriever.artifact import Generator
from assets.retriever.params import RetrieverParams
from assets.stage import CACHE
from assets.synthetic_queries.artifact import SearchTasks

CUTS = (10, 30)


@dataclass(frozen=True)
class Validation:
    """What is asked of validation: a seeded sample of its queries and of its sessions.

    Attributes:
        queries: (queries, dim) float32 vectors ...
        query_targets: ... and the rows of the items that answer each.
        histories: Rows of the items of histories ...
        next_items: ... and the row of the item that came next, alone in an array.
        params: Those of the stage: how many beams are looked at, and how.
    """

    queries: NDArray[np.float32]
    query_targets: list[Rows]
    histories: list[Rows]
    next_items: list[Rows]
    params: RetrieverParams

    @classmethod
    def sample(
        cls,
        tasks: SearchTasks,
        sessions: Sessions,
        catalogue: Catalogue,
        encoder: BiEncoder,
        params: RetrieverParams,
    ) -> Validation:
        """Draw at most `check_queries` queries and as many sessions."""
        rng = np.random.default_rng(params.seed)
        query = np.sort(rng.permutation(len(tasks.queries))[: params.check_queries])
        session = np.sort(rng.permutation(len(sessions.targets))[: params.check_queries])
        return cls(
            encoder.encode([tasks.queries[row] for row in query], cache=CACHE),
            catalogue.row_lists([tasks.targets[row] for row in query]),
            catalogue.row_lists([sessions.histories[row] for row in session]),
            catalogue.row_lists([sessions.targets[row] for row in session]),
            params,
        )

    def measure(self, generator: Generator) -> dict[str, float]:
        """Return recall@{10,30} of each task, by the beam alone.

        A task that the generator has not learnt, or that nothing is asked of, has no numbers.
        """
        numbers: dict[str, float] = {}
        if "search" in generator.tasks and len(self.queries):
            beams = generator.search(
                self.queries,
                beams=self.params.check_beams,
                similarity_weight=self.params.check_similarity_weight,
            )
            ranked = generator.items(beams, max(CUTS))
            numbers |= _recalls("search", ranked, self.query_targets)
        if "recommendation" in generator.tasks and self.histories:
            beams = generator.recommend(self.histories, beams=self.params.check_beams)
            ranked = generator.items(beams, max(CUTS))
            numbers |= _recalls("recommendation", ranked, self.next_items)
        return numbers

    @staticmethod
    def score(numbers: Mapping[str, float]) -> float:
        """Return one number to compare moments of training by: the product of the recalls@10.

        A tenth more of either task counts the same, however far apart the two are.
        """
        return math.prod(value for name, value in numbers.items() if name.endswith("_recall@10"))


def _recalls(name: str, ranked: Ranked, relevant: list[Rows]) -> dict[str, float]:
    gains = gains_of(ranked.rows, relevant)
    counts = np.array([len(rows) for rows in relevant])
    return {f"{name}_recall@{k}": float(recall(gains, counts, k).mean()) for k in CUTS}
