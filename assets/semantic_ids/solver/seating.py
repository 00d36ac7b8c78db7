"""Who keeps its nearest codes, and who is left to be placed."""

from __future__ import annotations

import math
from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from assets.semantic_ids.params import Order
from assets.semantic_ids.problem import Problem
from assets.semantic_ids.sid_keys import sid_keys
from assets.semantic_ids.solver.occupancy import ROOT, Occupancy, seat
from assets.stage import UserError

_MOST = 2**62  # more seats than any catalogue has items


def keep_first(
    problem: Problem, order: Order, limit: int = 1
) -> tuple[Occupancy, NDArray[np.intp]]:
    """Seat the items on their raw codes in their turns, beside the IDs already taken.

    Args:
        problem: The items.
        order: Whose turn comes first.
        limit: The most items of a SID.

    Returns:
        What is taken now, and the rows of the items that found no seat, in their turns.

    Raises:
        UserError: There are more items than seats.
    """
    sizes = problem.sizes
    occupancy = occupancy_of(problem.taken, sizes, len(problem.item_ids), limit)
    check_room(problem, occupancy, limit)
    turns = problem.turns(order)
    seated = seat(occupancy, problem.raw_codes[turns])
    return occupancy, turns[~seated]


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


def check_room(problem: Problem, occupancy: Occupancy, limit: int) -> None:
    """Make sure that there are seats for all items.

    Raises:
        UserError: There are not.
    """
    free = occupancy.rooms[ROOT] - occupancy.counts[ROOT]
    if len(problem.item_ids) > free:
        taken = int(occupancy.counts[ROOT])
        raise UserError(
            f"{len(problem.item_ids):,} items need a place beside {taken:,} that are taken, but "
            f"{' x '.join(map(str, problem.sizes))} codes with {limit} item(s) per SID have only "
            f"{problem.capacity * limit:,}: enlarge `codebooks.codebook_size` or "
            "`codebooks.levels`."
        )


def occupancy_of(
    prior: NDArray[np.int32], sizes: Sequence[int], items: int, limit: int = 1
) -> Occupancy:
    """Return the occupancy by IDs already taken.

    Args:
        prior: (taken, levels), a SID as often as it has items; beyond the limit it is full.
        sizes: Number of codes of each level.
        items: How many items will be seated beside them.
        limit: Seats per SID.
    """
    levels = len(sizes)
    nodes = sum(min(len(prior) + items, math.prod(sizes[: level + 1])) for level in range(levels))
    slots = 1 << (2 * nodes + 1).bit_length()
    keys = np.zeros(slots, np.int64)
    keys[ROOT] = -1
    rooms = [min(limit * math.prod(sizes[level:]), _MOST) for level in range(levels + 1)]
    occupancy = Occupancy(
        keys, np.zeros(slots, np.int64), np.array(rooms, np.int64), max(sizes) + 2
    )
    seat(occupancy, np.ascontiguousarray(prior, np.int32))
    return occupancy
