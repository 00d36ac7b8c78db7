"""Walks to a free SID: at each level the codes nearest to what is left, nearest first.

Scores of an item are one row, levels side by side; ``offsets`` (levels + 1,) says where each level
begins.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from assets.semantic_ids.solver.cheapest_sids import nearest_codes
from assets.semantic_ids.solver.compiled import compiled
from assets.semantic_ids.solver.occupancy import FULL, ROOT, Occupancy, child, move

Floats = NDArray[np.float64]
Ints = NDArray[np.int64]
Codes = NDArray[np.int32]


@compiled
def walk_in_turn(
    scores: Floats,
    products: Floats,
    offsets: Ints,
    widths: Ints,
    kept: int,
    occupancy: Occupancy,
    codes: Codes,
    rows: Ints,
) -> NDArray[np.bool_]:
    """Walk for one item after the other, take what is found and write it into ``codes``.

    Args:
        scores: (rows, all codes), levels side by side; the least is tried first.
        products: (all codes, all codes), what a code above adds to the scores of those below.
        offsets: (levels + 1,), where each level begins.
        widths: (levels,), codes to try per level, at most its size.
        kept: How many of the first codes stay as they are.
        occupancy: What is taken.
        codes: (items, levels), changed in place.
        rows: (rows,) rows of the items, in their turns.

    Returns:
        (rows,) who found a seat.
    """
    found = np.zeros(rows.size, np.bool_)
    for i in range(rows.size):
        path = codes[rows[i]].copy()
        if _walk(scores[i], products, offsets, widths, kept, occupancy, path):
            found[i] = move(occupancy, path, codes, rows[i])
    return found


@compiled
def _walk(  # noqa: C901  one walk, compiled as a whole
    scores: Floats,
    products: Floats,
    offsets: Ints,
    widths: Ints,
    kept: int,
    occupancy: Occupancy,
    path: Codes,
) -> bool:
    levels = widths.size
    nodes = np.full(levels + 1, ROOT, np.int64)
    for level in range(kept):
        nodes[level + 1] = child(occupancy, level, nodes[level], path[level])
        if nodes[level + 1] == FULL:
            return False
    orders = np.empty(scores.size, np.int64)  # the nearest codes of each level from its offset
    ranks = np.full(levels, -1, np.int64)  # -1: the level was not entered yet
    level = kept
    while level >= kept:
        if ranks[level] < 0:
            left = np.empty(offsets[level + 1] - offsets[level])
            for code in range(left.size):
                left[code] = scores[offsets[level] + code]
                for above in range(level):
                    left[code] += products[offsets[above] + path[above], offsets[level] + code]
            if level == levels - 1:
                path[level] = _nearest_free(left, widths[level], occupancy, nodes[level], level)
                if path[level] >= 0:
                    return True
                level -= 1
                continue
            own = slice(offsets[level], offsets[level + 1])
            nearest_codes(left, widths[level], orders[own])
        ranks[level] += 1
        if ranks[level] == widths[level]:
            ranks[level] = -1
            level -= 1
            continue
        path[level] = orders[offsets[level] + ranks[level]]
        nodes[level + 1] = child(occupancy, level, nodes[level], path[level])
        if nodes[level + 1] != FULL:
            level += 1
    return False


@compiled
def _nearest_free(scores: Floats, width: int, occupancy: Occupancy, node: int, level: int) -> int:
    """Return the free code below a node with the least score; -1 if ``width`` others are nearer."""
    best = -1
    for code in range(scores.size):
        if (best < 0 or scores[code] < scores[best]) and (
            child(occupancy, level, node, code) != FULL
        ):
            best = code
    if best < 0:
        return -1
    nearer = 0
    for code in range(scores.size):
        if scores[code] < scores[best] or (scores[code] == scores[best] and code < best):
            nearer += 1
    return best if nearer < width else -1
