"""Walks to a free SID: at each level the codes nearest to what is left, nearest first.

Scores of an item are one row, levels side by side; ``offsets`` (levels + 1,) says where each level
begins.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from assets.semantic_ids.cheapest import nearest_codes
from assets.semantic_ids.compiled import compiled
from assets.semantic_ids.occupancy import FULL, ROOT, Occupancy, child, move, take

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
