"""Exhaustive candidate matching: a colliding item takes the cheapest free SID (PSI).

"Purely Semantic Indexing". The first item of a bucket keeps its SID. Each other one, in turn, takes
the least costly free SID among the combinations of its nearest codes at each level. How many codes
are combined is widened step by step::

    widths (1, 10)    only the last code changes: the 10 nearest to the last residual
    widths (5, 20)    5 codes at every level above, 20 at the last
    all               whatever is left takes the cheapest free SID of all

Two costs: ``released``, as PSI's code has it, is Σ ‖r_l − e_l‖ with r_l along the item's own
nearest path; ``true_residual`` is ‖x − Σ e_l‖², the squared error of what the codes rebuild. PSI
enumerates the combinations; here a branch is left as soon as nothing in it can be cheaper than
what was found, which ends at the same SID (ties go to the first combination, as in PSI).

Items without a conflict never move, and a SID taken before never changes hands.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from assets.semantic_ids.params import SemanticIdsParams
from assets.semantic_ids.placement import Placement
from assets.semantic_ids.problem import Problem
from assets.semantic_ids.solver.cheapest_sids import take_by_path, take_by_sum
from assets.semantic_ids.solver.costs import (
    code_products,
    greedy_distances,
    left_over,
    offsets_of,
    path_scores,
)
from assets.semantic_ids.solver.occupancy import Occupancy
from assets.semantic_ids.solver.seating import keep_first


def place_by_ecm(problem: Problem, params: SemanticIdsParams) -> Placement:
    """Keep the first item of each bucket, move the others to free SIDs.

    Raises:
        UserError: There are more items than SIDs.
    """
    occupancy, waiting = keep_first(problem, params.order)
    codes = problem.raw_codes.copy()
    sizes = problem.sizes
    steps = [[early] * (len(sizes) - 1) + [last] for early, last in params.widths]
    for widths in [*steps, sizes]:
        if params.cost == "released":
            waiting = match_by_sum(problem, waiting, widths, occupancy, codes)
        else:
            waiting = _match_by_path(problem, waiting, widths, occupancy, codes)
    return Placement(codes, sizes)


def match_by_sum(
    problem: Problem,
    rows: NDArray[np.intp],
    widths: Sequence[int],
    occupancy: Occupancy,
    codes: NDArray[np.int32],
) -> NDArray[np.intp]:
    """Give items in turn the free SID with the least sum of distances along their raw codes.

    Args:
        problem: The items.
        rows: Which of them, in their turns.
        widths: Nearest codes to combine per level.
        occupancy: What is taken.
        codes: (items, levels), changed in place.

    Returns:
        The rows that found nothing free, in their turns.
    """
    offsets = offsets_of(problem.sizes)
    limits = np.minimum(widths, problem.sizes).astype(np.int64)

    def seat(block: NDArray[np.intp]) -> NDArray[np.bool_]:
        distances = greedy_distances(problem, block)
        return take_by_sum(distances, offsets, limits, occupancy, codes, block)

    return left_over(rows, seat)


def _match_by_path(
    problem: Problem,
    rows: NDArray[np.intp],
    widths: Sequence[int],
    occupancy: Occupancy,
    codes: NDArray[np.int32],
) -> NDArray[np.intp]:
    """Give items in turn the free SID that rebuilds them best; see :func:`match_by_sum`."""
    offsets = offsets_of(problem.sizes)
    limits = np.minimum(widths, problem.sizes).astype(np.int64)
    products = code_products(problem)

    def seat(block: NDArray[np.intp]) -> NDArray[np.bool_]:
        distances, scores = greedy_distances(problem, block), path_scores(problem, block)
        return take_by_path(distances, scores, products, offsets, limits, occupancy, codes, block)

    return left_over(rows, seat)
