"""KNN-N: at most N items share a SID, the others take the nearest last code with room (FORGE).

The first N items of a bucket stay. The others walk the codes of the last level by distance from
their last residual, the levels above fixed, in rounds (see :func:`choose_in_rounds`). FORGE loses
who finds no room; here the level above changes next, nearest codes first, then the one above that,
so that everybody is placed while the code space has seats. N = 1 gives unique SIDs.
"""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
from numpy.typing import NDArray

from assets.semantic_ids.params import SemanticIdsParams
from assets.semantic_ids.placement import Placement
from assets.semantic_ids.problem import Problem
from assets.semantic_ids.solver.costs import (
    Floats,
    blocks_of,
    code_products,
    left_over,
    offsets_of,
    path_scores,
)
from assets.semantic_ids.solver.residual_walk import walk_in_turn
from assets.semantic_ids.solver.rounds import choose_in_rounds
from assets.semantic_ids.solver.seating import keep_first

Scores = Callable[[NDArray[np.intp]], Floats]


def place_by_knn_n(problem: Problem, params: SemanticIdsParams) -> Placement:
    """Let each SID keep its first N items, and move the others to where there is room.

    Raises:
        UserError: There are more items than seats.
    """
    products = code_products(problem)
    return place_by_scores(problem, params, lambda rows: path_scores(problem, rows), products)


def place_by_scores(
    problem: Problem, params: SemanticIdsParams, scores: Scores, products: Floats
) -> Placement:
    """Move the items that find their bucket full to the codes with the least scores.

    Args:
        problem: The items.
        params: Capacity, candidates and order.
        scores: Returns (rows, all codes) for rows of items, levels side by side.
        products: (all codes, all codes), what a code above adds to the scores of those below.

    Raises:
        UserError: There are more items than seats.
    """
    sizes, offsets = problem.sizes, offsets_of(problem.sizes)
    occupancy, waiting = keep_first(problem, params.order, params.capacity)
    codes = problem.raw_codes.copy()
    parts = [np.empty((0, min(params.candidates, sizes[-1] - 1)), np.int32)]
    for block in blocks_of(waiting):
        own = scores(block)[:, offsets[-2] :]
        for level, raw in enumerate(codes[block, :-1].T):
            own += products[offsets[level] + raw, offsets[-2] :]
        own[np.arange(len(block)), codes[block, -1]] = np.inf  # its own is full
        order = np.argsort(own, axis=1, kind="stable")
        parts.append(order[:, : parts[0].shape[1]].astype(np.int32))
    found = choose_in_rounds(np.concatenate(parts), occupancy, codes, waiting)
    waiting = waiting[~found]

    widths = np.array(sizes, np.int64)
    for kept in range(len(sizes) - 1, -1, -1):

        def seat(block: NDArray[np.intp], kept: int = kept) -> NDArray[np.bool_]:
            return walk_in_turn(
                scores(block), products, offsets, widths, kept, occupancy, codes, block
            )

        waiting = left_over(waiting, seat)
    return Placement(codes, sizes)
