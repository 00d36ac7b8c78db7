"""Order-free assignment: all members of conflicted SIDs are placed at once, at the least cost.

PSI's rules place colliding items one after the other, so who comes first changes who goes where.
Here every item whose SID nobody else wants keeps it; all others together get the SIDs that are
left so that the sum of their costs is least (the costs of :mod:`assets.semantic_ids.ecm`), and
prices on the SIDs prove how far from the least it can be. No sequential policy is cheaper.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, ClassVar

import numpy as np
from numpy.typing import NDArray

from assets.semantic_ids.assignment import assign
from assets.semantic_ids.keeping import check_room, occupancy_of
from assets.semantic_ids.occupancy import Occupancy, seat
from assets.semantic_ids.path import sid_keys
from assets.semantic_ids.policy import Placement, Problem

if TYPE_CHECKING:
    from assets.semantic_ids.params import SemanticIdsParams


class Optimal:
    """The assignment of least cost."""

    name: ClassVar[str] = "optimal"
    additive_only: ClassVar[bool] = True

    def __init__(self, params: SemanticIdsParams) -> None:
        self.bucket_limit: int | None = 1
        self._cost = params.cost
        self._gap = params.gap

    def place(self, problem: Problem) -> Placement:
        """Keep who has no conflict, place all others at once.

        Raises:
            UserError: There are more items than SIDs.
        """
        occupancy, rows = keep_unconflicted(problem)
        codes = problem.raw_codes.copy()
        assignment = assign(problem, rows, self._cost, occupancy, gap=self._gap)
        codes[rows] = codes_of(assignment.keys, problem.sizes)
        gap = assignment.cost - assignment.bound
        return Placement(codes, problem.sizes, {"assignment_gap": gap})


def keep_unconflicted(problem: Problem) -> tuple[Occupancy, NDArray[np.intp]]:
    """Seat the items whose raw codes nobody else has; return what is taken and who is left.

    Raises:
        UserError: There are more items than SIDs.
    """
    sizes = problem.sizes
    occupancy = occupancy_of(problem.taken, sizes, len(problem.item_ids))
    check_room(problem, occupancy, 1)
    keys = sid_keys(problem.raw_codes, sizes)
    _, bucket, counts = np.unique(keys, return_inverse=True, return_counts=True)
    alone = (counts[bucket] == 1) & ~np.isin(keys, sid_keys(problem.taken, sizes))
    seat(occupancy, problem.raw_codes[alone])
    return occupancy, np.flatnonzero(~alone)


def codes_of(keys: NDArray[np.int64], sizes: list[int]) -> NDArray[np.int32]:
    """Return the (items, levels) codes of :func:`sid_keys`' numbers."""
    return np.stack(np.unravel_index(keys, sizes), axis=1).astype(np.int32)
