"""Items of full buckets choose another last code, round by round."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from assets.semantic_ids.solver.compiled import compiled
from assets.semantic_ids.solver.occupancy import FULL, ROOT, Occupancy, child, take

Ints = NDArray[np.int64]
Codes = NDArray[np.int32]


@compiled
def choose_in_rounds(
    choices: Codes, occupancy: Occupancy, codes: Codes, rows: Ints
) -> NDArray[np.bool_]:
    """Seat items in their own prefix, round by round, written into ``codes``.

    In a round every item asks for its first choice that had room when the round began, and they
    are seated in turn while there is room. Who is seated never moves again.

    Args:
        choices: (rows, choices) last codes in order of preference.
        occupancy: What is taken.
        codes: (items, levels), changed in place.
        rows: (rows,) rows of the items, in their turns.

    Returns:
        (rows,) who found a seat.
    """
    found = np.zeros(rows.size, np.bool_)
    last = codes.shape[1] - 1
    path = np.empty(last + 1, np.int32)
    nodes = np.empty(rows.size, np.int64)
    asks = np.zeros(rows.size, np.int64)
    waiting = np.arange(rows.size)
    while waiting.size > 0:
        for i in waiting:
            nodes[i] = ROOT
            for level in range(last):
                nodes[i] = child(occupancy, level, nodes[i], codes[rows[i], level])
            if nodes[i] == FULL:
                asks[i] = choices.shape[1]
            while asks[i] < choices.shape[1] and (
                child(occupancy, last, nodes[i], choices[i, asks[i]]) == FULL
            ):
                asks[i] += 1
        again = 0
        for i in waiting:
            if asks[i] == choices.shape[1]:
                continue
            for level in range(last):
                path[level] = codes[rows[i], level]
            path[last] = choices[i, asks[i]]
            if take(occupancy, path):
                found[i] = True
                codes[rows[i], last] = path[last]
            else:
                waiting[again] = i
                again += 1
        waiting = waiting[:again]
    return found
