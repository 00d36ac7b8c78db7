"""Order-free assignment: all members of conflicted SIDs are placed at once, at the least cost.

PSI's rules place colliding items one after the other, so who comes first changes who goes where.
Here every item whose SID nobody else wants keeps it; all others together get the SIDs that are
left so that the sum of their costs is least (the costs of :mod:`assets.semantic_ids.ecm`), and
prices on the SIDs prove how far from the least it can be. No sequential policy is cheaper.
"""

from __future__ import annotations

from assets.semantic_ids.params import SemanticIdsParams
from assets.semantic_ids.placement import Placement
from assets.semantic_ids.problem import Problem
from assets.semantic_ids.sid_keys import codes_of_keys
from assets.semantic_ids.solver.assignment import assign
from assets.semantic_ids.solver.seating import keep_unconflicted


def place_by_optimal(problem: Problem, params: SemanticIdsParams) -> Placement:
    """Keep who has no conflict, place all others at once.

    Raises:
        UserError: There are more items than SIDs.
    """
    occupancy, rows = keep_unconflicted(problem)
    codes = problem.raw_codes.copy()
    assignment = assign(problem, rows, params.cost, occupancy, gap=params.gap)
    codes[rows] = codes_of_keys(assignment.keys, problem.sizes)
    gap = assignment.cost - assignment.bound
    return Placement(codes, problem.sizes, {"assignment_gap": gap})
