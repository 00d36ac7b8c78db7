"""Order-free assignment that keeps as much of the prefix as there is room for.

As :mod:`assets.semantic_ids.optimal`, level by level: first the colliding items change their last
code alone, all of them at once at the least cost; whom a full prefix cannot hold (as few as
possible, and those whom it costs least to lose) may change the code above too, and so on up.
"""

from __future__ import annotations

from assets.semantic_ids.params import SemanticIdsParams
from assets.semantic_ids.placement import Placement
from assets.semantic_ids.problem import Problem
from assets.semantic_ids.sid_keys import codes_of_keys
from assets.semantic_ids.solver.assignment import assign
from assets.semantic_ids.solver.occupancy import seat
from assets.semantic_ids.solver.seating import keep_unconflicted


def place_by_optimal_prefix(problem: Problem, params: SemanticIdsParams) -> Placement:
    """Keep who has no conflict, place the others prefix by prefix.

    Raises:
        UserError: There are more items than SIDs.
    """
    occupancy, rows = keep_unconflicted(problem)
    codes = problem.raw_codes.copy()
    for kept in range(len(problem.sizes) - 1, -1, -1):
        assignment = assign(
            problem,
            rows,
            params.cost,
            occupancy,
            gap=params.gap,
            kept=kept,
            may_leave=kept > 0,
        )
        placed = assignment.keys >= 0
        codes[rows[placed]] = codes_of_keys(assignment.keys[placed], problem.sizes)
        seat(occupancy, codes[rows[placed]])
        rows = rows[~placed]
    return Placement(codes, problem.sizes)
