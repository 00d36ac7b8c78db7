"""Random-N: at most N items share a SID, the others take a random last code with room (FORGE).

As KNN-N, with the codes in an order drawn per item: a hash of seed, item_id and code stands for the
distance, so that neither row order nor another item changes what an item draws.
"""

from __future__ import annotations

import hashlib

import numpy as np

from assets.semantic_ids.knn_n import place_by_scores
from assets.semantic_ids.params import SemanticIdsParams
from assets.semantic_ids.placement import Placement
from assets.semantic_ids.problem import Problem


def place_by_random_n(problem: Problem, params: SemanticIdsParams) -> Placement:
    """Let each SID keep its first N items, and move the others to where there is room.

    Raises:
        UserError: There are more items than seats.
    """
    all_codes = sum(problem.sizes)

    def scores(rows: np.ndarray) -> np.ndarray:
        own = np.array(
            [_hash(params.seed, item_id) for item_id in problem.item_ids[rows]], np.uint64
        )
        with np.errstate(over="ignore"):
            steps = np.arange(1, all_codes + 1, dtype=np.uint64) * np.uint64(0x9E3779B97F4A7C15)
            return _mixed(own[:, None] + steps) / 2**64

    return place_by_scores(problem, params, scores, np.zeros((all_codes, all_codes)))


def _hash(seed: int, item_id: str) -> int:
    digest = hashlib.sha256(f"{seed}\0{item_id}".encode()).digest()
    return int.from_bytes(digest[:8], "little")


def _mixed(state: np.ndarray) -> np.ndarray:
    """Return SplitMix64's output of (…) uint64 states."""
    state = (state ^ (state >> np.uint64(30))) * np.uint64(0xBF58476D1CE4E5B9)
    state = (state ^ (state >> np.uint64(27))) * np.uint64(0x94D049BB133111EB)
    return np.asarray(state ^ (state >> np.uint64(31)))
