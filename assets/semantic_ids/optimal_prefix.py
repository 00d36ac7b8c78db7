"""Order-free assignment that keeps as much of the prefix as there is room for.

As :mod:`assets.semantic_ids.optimal`, level by level: first the colliding items change their last
code alone, all of them at once at the least cost; whom a full prefix cannot hold (as few as
possible, and those whom it costs least to lose) may change the code above too, and so on up.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, ClassVar

from assets.semantic_ids.assignment import assign
from assets.semantic_ids.occupancy import seat
from assets.semantic_ids.optimal import codes_of, keep_unconflicted
from assets.semantic_ids.policy import Placement, Problem

if TYPE_CHECKING:
    from assets.semantic_ids.params import SemanticIdsParams


class OptimalPrefix:
    """The assignment of least cost under as long a prefix as there is room for."""

    name: ClassVar[str] = "optimal_prefix"
    additive_only: ClassVar[bool] = True

    def __init__(self, params: SemanticIdsParams) -> None:
        self.bucket_limit: int | None = 1
        self._params = params

    def place(self, problem: Problem) -> Placement:
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
                self._params.cost,
                occupancy,
                gap=self._params.gap,
                kept=kept,
                may_leave=kept > 0,
            )
            placed = assignment.keys >= 0
            codes[rows[placed]] = codes_of(assignment.keys[placed], problem.sizes)
            seat(occupancy, codes[rows[placed]])
            rows = rows[~placed]
        return Placement(codes, problem.sizes)
