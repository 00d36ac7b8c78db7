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

from collections.abc import Iterator, Sequence

import numpy as np
from numpy.typing import NDArray

from assets.semantic_ids.ecm import match_by_sum
from assets.semantic_ids.params import SemanticIdsParams
from assets.semantic_ids.placement import Placement
from assets.semantic_ids.problem import Problem
from assets.semantic_ids.solver.costs import code_products, left_over, offsets_of, path_scores
from assets.semantic_ids.solver.residual_walk import walk_in_turn
from assets.semantic_ids.solver.seating import keep_first

Ints = NDArray[np.int64]


def place_by_rrs(problem: Problem, params: SemanticIdsParams) -> Placement:
    """Keep the first item of each bucket, move the others to free SIDs.

    Raises:
        UserError: There are more items than SIDs.
    """
    occupancy, waiting = keep_first(problem, params.order)
    codes = problem.raw_codes.copy()
    offsets = offsets_of(problem.sizes)
    products = code_products(problem)
    for widths in _schedule(params.widths, problem.sizes):

        def seat(block: NDArray[np.intp], widths: Ints = widths) -> NDArray[np.bool_]:
            scores = path_scores(problem, block)
            return walk_in_turn(scores, products, offsets, widths, 0, occupancy, codes, block)

        waiting = left_over(waiting, seat)
    match_by_sum(problem, waiting, problem.sizes, occupancy, codes)
    return Placement(codes, problem.sizes)


def _schedule(steps: Sequence[tuple[int, int]], sizes: list[int]) -> Iterator[Ints]:
    """Yield the codes to try per level: the steps of the params, then doubled ones."""
    steps = list(steps)
    while steps[-1][1] < sizes[-1]:
        early, last = steps[-1]
        steps.append((2 * early, 2 * last))
    for early, last in steps:
        yield np.minimum([early] * (len(sizes) - 1) + [last], sizes).astype(np.int64)
