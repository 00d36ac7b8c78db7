"""Which SIDs items may take and what each costs: short lists that grow where they must."""

from __future__ import annotations

from functools import cached_property

import numpy as np
from numpy.typing import NDArray

from assets.semantic_ids.cheapest import list_by_path, list_by_sum
from assets.semantic_ids.distances import (
    BLOCK,
    Floats,
    code_products,
    greedy_distances,
    offsets_of,
    path_scores,
)
from assets.semantic_ids.occupancy import Occupancy
from assets.semantic_ids.path import sid_keys
from assets.semantic_ids.policy import Cost, Problem

Keys = NDArray[np.int64]


class Candidates:
    """The cheapest free SIDs of items.

    Args:
        problem: The items.
        cost: What a SID costs; see :mod:`assets.semantic_ids.ecm`.
        occupancy: What is taken.
        kept: How many of the first raw codes an item keeps.
    """

    def __init__(self, problem: Problem, cost: Cost, occupancy: Occupancy, kept: int = 0) -> None:
        self._problem, self._cost, self._occupancy, self._kept = problem, cost, occupancy, kept
        self._offsets = offsets_of(problem.sizes)
        self._widths = np.array(problem.sizes, np.int64)
        self._widths[:kept] = 0

    @cached_property
    def _products(self) -> Floats:
        return code_products(self._problem)

    def of(self, rows: NDArray[np.intp], wanted: int) -> tuple[Keys, Floats]:
        """Return the numbers of the cheapest free SIDs and their costs, ascending.

        Args:
            rows: Rows of the items.
            wanted: How many.

        Returns:
            (rows, wanted) keys as of :func:`sid_keys` and costs; what a row lacks costs infinity.
        """
        raw = self._problem.raw_codes
        costs = np.empty((len(rows), wanted))
        keys = np.empty((len(rows), wanted), np.int64)
        for start in range(0, len(rows), BLOCK):
            part = slice(start, start + BLOCK)
            block = rows[part]
            paths = np.repeat(raw[block][:, None], wanted, axis=1)
            distances = greedy_distances(self._problem, block)
            plan = self._offsets, self._widths, self._occupancy, costs[part], paths
            if self._cost == "released":
                list_by_sum(distances, *plan)
            else:
                scores = path_scores(self._problem, block)
                list_by_path(distances, scores, self._products, *plan)
            flat = paths.reshape(-1, raw.shape[1])
            keys[part] = sid_keys(flat, self._problem.sizes).reshape(len(block), wanted)
        return keys, costs
