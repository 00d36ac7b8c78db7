"""Recursive residual searching: a colliding item takes the next nearest code (PSI).

"Purely Semantic Indexing". The first item of a bucket keeps its SID. Each other one searches depth
first: at a level it tries the codes nearest to its *current* residual, nearest first, subtracts,
goes on below, and takes the first SID that is free. How many codes are tried at the levels is
widened step by step::

    widths (1, 10)    only the last code changes: the 10 nearest to the last residual
    widths (5, 20)    5 codes at every level above, 20 at the last
    doubled           until the last level is tried as a whole
    best first        whatever is left takes the free SID with the least sum of distances

Items without a conflict never move, and a SID taken before never changes hands.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING, ClassVar

import numpy as np
from numpy.typing import NDArray

from assets.semantic_ids.distances import code_products, left_over, offsets_of, path_scores
from assets.semantic_ids.ecm import match_by_sum
from assets.semantic_ids.keeping import keep_first
from assets.semantic_ids.policy import Placement, Problem
from assets.semantic_ids.walks import walk_in_turn

if TYPE_CHECKING:
    from assets.semantic_ids.params import SemanticIdsParams


Ints = NDArray[np.int64]


class RRS:
    """PSI's recursive residual searching."""

    name: ClassVar[str] = "rrs"
    additive_only: ClassVar[bool] = True

    def __init__(self, params: SemanticIdsParams) -> None:
        self.bucket_limit: int | None = 1
        self._order = params.order
        self._widths = params.widths

    def place(self, problem: Problem) -> Placement:
        """Keep the first item of each bucket, move the others to free SIDs.

        Raises:
            UserError: There are more items than SIDs.
        """
        occupancy, waiting = keep_first(problem, self._order)
        codes = problem.raw_codes.copy()
        offsets = offsets_of(problem.sizes)
        products = code_products(problem)
        for widths in self._schedule(problem.sizes):

            def seat(block: NDArray[np.intp], widths: Ints = widths) -> NDArray[np.bool_]:
                scores = path_scores(problem, block)
                return walk_in_turn(scores, products, offsets, widths, 0, occupancy, codes, block)

            waiting = left_over(waiting, seat)
        match_by_sum(problem, waiting, problem.sizes, occupancy, codes)
        return Placement(codes, problem.sizes)

    def _schedule(self, sizes: list[int]) -> Iterator[Ints]:
        """Yield the codes to try per level: the steps of the params, then doubled ones."""
        steps = list(self._widths)
        while steps[-1][1] < sizes[-1]:
            early, last = steps[-1]
            steps.append((2 * early, 2 * last))
        for early, last in steps:
            yield np.minimum([early] * (len(sizes) - 1) + [last], sizes).astype(np.int64)
