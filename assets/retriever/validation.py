"""How well the retriever answers the validation split; decides which moment of training is kept."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from assets.evaluation import gains_of, recall
from assets.interactions.artifact import Sessions
from assets.retriever.artifact import Beams, Retriever
from assets.stage import CACHE
from assets.synthetic_queries.artifact import SearchTasks

CUTS = (10, 30)


@dataclass(frozen=True)
class Validation:
    """What is asked of validation: a seeded sample of its queries and of its sessions.

    Attributes:
        queries: Query texts ...
        query_targets: ... and the item ids that answer each.
        histories: Histories of item ids ...
        next_items: ... and the item that came next.
    """

    queries: list[str]
    query_targets: list[list[str]]
    histories: list[list[str]]
    next_items: list[list[str]]

    @classmethod
    def sample(cls, tasks: SearchTasks, sessions: Sessions, most: int, seed: int) -> Validation:
        """Draw at most `most` queries and as many sessions."""
        rng = np.random.default_rng(seed)
        query = np.sort(rng.permutation(len(tasks.queries))[:most])
        session = np.sort(rng.permutation(len(sessions.targets))[:most])
        return cls(
            [tasks.queries[row] for row in query],
            [tasks.targets[row] for row in query],
            [sessions.histories[row] for row in session],
            [[sessions.targets[row]] for row in session],
        )

    def measure(self, retriever: Retriever) -> dict[str, float]:
        """Return recall@{10,30} of each task and the share of valid IDs.

        A task that the retriever has not learnt, or that nothing is asked of, has no numbers.
        """
        numbers: dict[str, float] = {}
        found: list[Beams] = []
        if "search" in retriever.tasks and self.queries:
            beams = retriever.search_beams(self.queries, cache=CACHE)
            found.append(beams)
            ranked = retriever.rank(beams, max(CUTS))
            reranked = retriever.rerank(self.queries, beams, max(CUTS), cache=CACHE)
            numbers |= _recalls("search", retriever, ranked, self.query_targets)
            numbers |= _recalls("search_reranked", retriever, reranked, self.query_targets)
        if "recommend" in retriever.tasks and self.histories:
            beams = retriever.recommend_beams(self.histories)
            found.append(beams)
            ranked = retriever.rank(beams, max(CUTS))
            numbers |= _recalls("recommend", retriever, ranked, self.next_items)
        if found:
            numbers["valid_ids"] = _valid(retriever, found)
        return numbers

    @staticmethod
    def score(numbers: Mapping[str, float]) -> float:
        """Return one number to compare moments of training by: the product of the recalls@10.

        A tenth more of either task counts the same, however far apart the two are.
        """
        return math.prod(
            numbers[name] for name in ("search_recall@10", "recommend_recall@10") if name in numbers
        )


def _recalls(
    name: str, retriever: Retriever, ranked: NDArray[np.int64], targets: list[list[str]]
) -> dict[str, float]:
    relevant = [retriever.rows(items) for items in targets]
    gains = gains_of(ranked, relevant)
    counts = np.array([len(rows) for rows in relevant])
    return {f"{name}_recall@{k}": float(recall(gains, counts, k).mean()) for k in CUTS}


def _valid(retriever: Retriever, found: list[Beams]) -> float:
    """Share of the generated SIDs that stand in the table of Semantic IDs."""
    known = {tuple(codes) for codes in retriever.ids.codes.tolist()}
    leaves = np.concatenate([beams.leaves[beams.leaves >= 0] for beams in found])
    valid = np.array([tuple(codes) in known for codes in retriever.sids.tolist()])
    return float(valid[leaves].mean())
