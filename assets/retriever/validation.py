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
from assets.ranking import Histories, Queries, Ranked, Rows, Task
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
        next_items: ... and the rows of what came next.
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
        """Return recall@{10,30} of each task and head.

        A search's beam is guided by what the vectors under a node let expect, a recommendation's by
        nothing: the model is looked at without the lists that it answers with. A task that it has
        not learnt, or that nothing is asked of, has no numbers.
        """
        numbers: dict[str, float] = {}
        queries = Queries([""] * len(self.queries), self.queries)
        asked: list[tuple[Task, Queries | Histories, list[Rows]]] = [
            ("search", queries, self.query_targets),
            ("recommendation", Histories(self.histories), self.next_items),
        ]
        for task, questions, relevant in asked:
            if task not in generator.tasks or not len(questions):
                continue
            states = generator.states(questions)
            beams = generator.write(
                questions,
                states,
                beams=self.params.check_beams,
                guide_weight=self.params.check_guide_weight,
            )
            numbers |= _recalls(task, generator.items(beams, max(CUTS)), relevant)
            if self.params.item_weight:
                ranked = generator.rank(questions, states, max(CUTS))
                numbers |= _recalls(f"{task}_item_head", ranked, relevant)
        return numbers

    @staticmethod
    def score(numbers: Mapping[str, float]) -> float:
        """Return one number to compare moments of training by: the product of all recalls@10.

        A tenth more of any counts the same, however far apart they are.
        """
        return math.prod(value for name, value in numbers.items() if name.endswith("_recall@10"))


def _recalls(name: str, ranked: Ranked, relevant: list[Rows]) -> dict[str, float]:
    gains = gains_of(ranked.rows, relevant)
    counts = np.array([len(rows) for rows in relevant])
    return {f"{name}_recall@{k}": float(recall(gains, counts, k).mean()) for k in CUTS}
