"""Searches for a free SID: which are taken, the cheapest free one, the first one of a walk.

All that numba compiles for them stands in this one file: its cache on disk notices a change in the
file of a function, but not in other files that the function calls.

**Taken** SIDs are a trie of the prefixes in use, in one hash table. A node's count is the number
of seats taken below it; a branch holds ``room`` seats, and when as many are taken no search need
enter it::

    sizes [2, 3], one item per SID, taken 00 01 02 11

    root 4 of 6 ── 0: 3 of 3, full
                └─ 1: 1 of 3 ── 1: 1 of 1, full

**Cheapest**: combinations of an item's nearest codes are walked depth first, nearest codes first.
A branch is left when the least that it can cost is no less than the best found so far.

**Walk**: at each level the codes nearest to what is left are tried, nearest first; the first free
SID is taken.

Distances and scores of an item are one row, levels side by side; ``offsets`` (levels + 1,) says
where each level begins, ``widths`` (levels,) how many codes are tried there, at most its size.
"""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np
from numba import njit
from numpy.typing import NDArray

Floats = NDArray[np.float64]
Ints = NDArray[np.int64]
Codes = NDArray[np.int32]

ROOT = 0
UNUSED = -1  # a node of which no SID is taken yet; its children are unused too
FULL = -2
_FEW = 32  # up to so many codes an insertion beats a full sort


class Occupancy(NamedTuple):
    """The trie; a node is a slot of the table, slot 0 the root.

    Attributes:
        keys: (slots,) int64, parent node x stride + code + 1; 0 where a slot is empty.
        counts: (slots,) int64, seats taken at or below a node.
        rooms: (levels + 1,) int64, seats of a branch of each depth, the root first.
        stride: More than the codes of any level.
    """

    keys: Ints
    counts: Ints
    rooms: Ints
    stride: int


@njit(cache=True)
def _slot(occupancy: Occupancy, key: int) -> np.intp:
    """Return the slot of a key, or the empty one where it belongs."""
    mask = occupancy.keys.size - 1
    mixed = key * np.int64(-7046029254386353131)
    slot = (mixed ^ (mixed >> np.int64(29))) & mask
    while occupancy.keys[slot] != 0 and occupancy.keys[slot] != key:
        slot = (slot + 1) & mask
    return slot


@njit(cache=True)
def child(occupancy: Occupancy, depth: int, node: int, code: int) -> Any:
    """Return the node below ``node``, which is at ``depth``, or FULL, or UNUSED."""
    if node == UNUSED:
        return UNUSED
    slot = _slot(occupancy, node * occupancy.stride + code + 1)
    if occupancy.keys[slot] == 0:
        return UNUSED
    if occupancy.counts[slot] >= occupancy.rooms[depth + 1]:
        return FULL
    return slot


@njit(cache=True)
def take(occupancy: Occupancy, codes: Codes) -> bool:
    """Take a seat of the (levels,) SID; return whether there was one."""
    node = ROOT
    for depth in range(codes.size):
        node = child(occupancy, depth, node, codes[depth])
        if node == FULL:
            return False
    node = ROOT
    occupancy.counts[ROOT] += 1
    for depth in range(codes.size):
        key = node * occupancy.stride + codes[depth] + 1
        node = _slot(occupancy, key)
        occupancy.keys[node] = key
        occupancy.counts[node] += 1
    return True


@njit(cache=True)
def seat(occupancy: Occupancy, codes: Codes) -> NDArray[np.bool_]:
    """Let the rows of (items, levels) take their SIDs in turn; return who found a seat."""
    seated = np.zeros(codes.shape[0], np.bool_)
    for row in range(codes.shape[0]):
        seated[row] = take(occupancy, codes[row])
    return seated


@njit(cache=True)
def nearest_codes(distances: Floats, width: int, nearest: Ints) -> None:
    """Write the ``width`` codes with the least distances, ascending, ties by code."""
    if width > _FEW:
        _sort(distances, nearest)
        return
    held = 0
    for code in range(distances.size):
        if held == width and distances[code] >= distances[nearest[held - 1]]:
            continue
        place = held if held < width else width - 1
        held = min(held + 1, width)
        while place > 0 and distances[nearest[place - 1]] > distances[code]:
            nearest[place] = nearest[place - 1]
            place -= 1
        nearest[place] = code


@njit(cache=True)
def _sort(distances: Floats, order: Ints) -> None:
    """Merge sort of all codes; numpy's own takes seconds to compile."""
    size = distances.size
    for code in range(size):
        order[code] = code
    merged = np.empty(size, np.int64)
    run = 1
    while run < size:
        for start in range(0, size, 2 * run):
            left, right = start, start + run
            middle, end = min(start + run, size), min(start + 2 * run, size)
            for place in range(start, end):
                if right >= end or (
                    left < middle and distances[order[left]] <= distances[order[right]]
                ):
                    merged[place] = order[left]
                    left += 1
                else:
                    merged[place] = order[right]
                    right += 1
        for place in range(size):
            order[place] = merged[place]
        run *= 2


@njit(cache=True)
def cheapest_by_sum(
    distances: Floats,
    offsets: Ints,
    widths: Ints,
    occupancy: Occupancy,
    costs: Floats,
    paths: Codes,
) -> None:
    """Write the free SIDs with the least sums of distances, ascending.

    Sums run from the first level to the last, and rounding keeps their order, so that a bound is
    never above a sum that it stands for. Ties stand in the order of the combinations, the last
    level varying fastest, as in PSI.

    Args:
        distances: (all codes,).
        offsets: (levels + 1,).
        widths: (levels,), nearest codes to combine; 0 keeps the code that the first path holds.
        occupancy: What is taken.
        costs: (wanted,), written; infinite where nothing more is free.
        paths: (wanted, levels), written; -1 where nothing more is free.
    """
    levels = widths.size
    lists = _listed(distances, offsets, widths, paths)
    ends = np.maximum(widths, 1)
    _clear(costs, paths)
    ranks = np.zeros(levels, np.int64)
    sums = np.zeros(levels + 1)
    nodes = np.full(levels + 1, ROOT, np.int64)
    level = 0
    while level >= 0:
        bound = np.inf
        if ranks[level] < ends[level]:
            code = lists[offsets[level] + ranks[level]]
            sums[level + 1] = sums[level] + distances[offsets[level] + code]
            bound = sums[level + 1]
            for below in range(level + 1, levels):
                bound += distances[offsets[below] + lists[offsets[below]]]
        if bound >= costs[-1]:  # nothing further on at this level is cheaper
            level -= 1
            if level >= 0:
                ranks[level] += 1
            continue
        node = child(occupancy, level, nodes[level], code)
        if node != FULL and level < levels - 1:
            nodes[level + 1] = node
            level += 1
            ranks[level] = 0
            continue
        if node != FULL:
            _insert(bound, lists, ranks, offsets, costs, paths)
        ranks[level] += 1


@njit(cache=True)
def cheapest_by_path(  # noqa: C901  one walk, compiled as a whole
    distances: Floats,
    scores: Floats,
    products: Floats,
    offsets: Ints,
    widths: Ints,
    occupancy: Occupancy,
    costs: Floats,
    paths: Codes,
) -> None:
    """Write the free SIDs that rebuild the item best, ascending.

    The squared error, less the item's squared length, is Σ_l scores + Σ_(l<m) products; what the
    levels below can still add is bounded level by level, their products with each other by the
    least of the pair of levels.

    Args:
        distances: (all codes,) along the nearest path: they say which codes are combined, and in
            which order ties stand.
        scores: (all codes,) −2 x·e + ‖e‖².
        products: (all codes, all codes) 2 e·e'.
        offsets: (levels + 1,).
        widths: (levels,), nearest codes to combine; 0 keeps the code that the first path holds.
        occupancy: What is taken.
        costs: (wanted,), written; infinite where nothing more is free.
        paths: (wanted, levels), written; -1 where nothing more is free.
    """
    levels = widths.size
    lists = _listed(distances, offsets, widths, paths)
    ends = np.maximum(widths, 1)
    _clear(costs, paths)
    slack = 1e-9  # a bound is a sum in another order
    # at each depth: the cost of the codes chosen above, and what each code would add to it
    sums = np.zeros(levels + 1)
    adds = np.empty((levels + 1, distances.size))
    for level in range(levels):
        for place in range(offsets[level], offsets[level] + ends[level]):
            adds[0, place] = scores[offsets[level] + lists[place]]
            slack = max(slack, 1e-9 * abs(adds[0, place]))
    between = _least_between(products, lists, offsets, ends)
    ranks = np.zeros(levels, np.int64)
    nodes = np.full(levels + 1, ROOT, np.int64)
    level = 0
    while level >= 0:
        if ranks[level] >= ends[level]:
            level -= 1
            if level >= 0:
                ranks[level] += 1
            continue
        place = offsets[level] + ranks[level]
        code = lists[place]
        total = sums[level] + adds[level, place]
        if level == levels - 1:
            if total < costs[-1] and child(occupancy, level, nodes[level], code) != FULL:
                _insert(total, lists, ranks, offsets, costs, paths)
            ranks[level] += 1
            continue
        node = child(occupancy, level, nodes[level], code)
        bound = np.inf
        if node != FULL:
            bound = total + between[level + 1] - slack
            for below in range(level + 1, levels):
                least = np.inf
                for place in range(offsets[below], offsets[below] + ends[below]):
                    add = products[offsets[level] + code, offsets[below] + lists[place]]
                    adds[level + 1, place] = adds[level, place] + add
                    least = min(least, adds[level + 1, place])
                bound += least
        if bound >= costs[-1]:
            ranks[level] += 1
            continue
        sums[level + 1] = total
        nodes[level + 1] = node
        level += 1
        ranks[level] = 0


@njit(cache=True)
def _listed(distances: Floats, offsets: Ints, widths: Ints, paths: Codes) -> Ints:
    """Return the nearest codes of each level, from its offset on."""
    lists = np.empty(distances.size, np.int64)
    for level in range(widths.size):
        own = slice(offsets[level], offsets[level + 1])
        if widths[level] > 0:
            nearest_codes(distances[own], widths[level], lists[own])
        else:
            lists[offsets[level]] = paths[0, level]
    return lists


@njit(cache=True)
def _clear(costs: Floats, paths: Codes) -> None:
    for place in range(costs.size):
        costs[place] = np.inf
        for level in range(paths.shape[1]):
            paths[place, level] = -1


@njit(cache=True)
def _insert(
    cost: float, lists: Ints, ranks: Ints, offsets: Ints, costs: Floats, paths: Codes
) -> None:
    """Put a path where its cost belongs, after equal ones."""
    place = costs.size - 1
    while place > 0 and costs[place - 1] > cost:
        costs[place] = costs[place - 1]
        for level in range(ranks.size):
            paths[place, level] = paths[place - 1, level]
        place -= 1
    costs[place] = cost
    for level in range(ranks.size):
        paths[place, level] = lists[offsets[level] + ranks[level]]


@njit(cache=True)
def _least_between(products: Floats, lists: Ints, offsets: Ints, widths: Ints) -> Floats:
    """Return, per level, the least that the products among it and the levels below can add."""
    levels = widths.size
    sums = np.zeros(levels + 1)
    for level in range(levels - 2, 0, -1):  # the first code is known when a bound is taken
        sums[level] = sums[level + 1]
        for below in range(level + 1, levels):
            least = np.inf
            for above in lists[offsets[level] : offsets[level] + widths[level]]:
                for other in lists[offsets[below] : offsets[below] + widths[below]]:
                    product = products[offsets[level] + above, offsets[below] + other]
                    least = min(least, product)
            sums[level] += least
    return sums


@njit(cache=True)
def _write(path: Codes, codes: Codes, row: int) -> None:
    for level in range(path.size):
        codes[row, level] = path[level]


@njit(cache=True)
def take_by_sum(
    distances: Floats,
    offsets: Ints,
    widths: Ints,
    occupancy: Occupancy,
    codes: Codes,
    rows: Ints,
) -> NDArray[np.bool_]:
    """Take :func:`cheapest_by_sum` for (rows,) items in turn, written into ``codes``.

    Returns:
        (rows,) who found a seat.
    """
    found = np.zeros(rows.size, np.bool_)
    costs, paths = np.empty(1), np.empty((1, widths.size), np.int32)
    for i in range(rows.size):
        cheapest_by_sum(distances[i], offsets, widths, occupancy, costs, paths)
        if costs[0] < np.inf:
            found[i] = take(occupancy, paths[0])
            _write(paths[0], codes, rows[i])
    return found


@njit(cache=True)
def take_by_path(
    distances: Floats,
    scores: Floats,
    products: Floats,
    offsets: Ints,
    widths: Ints,
    occupancy: Occupancy,
    codes: Codes,
    rows: Ints,
) -> NDArray[np.bool_]:
    """Take :func:`cheapest_by_path` for (rows,) items in turn, written into ``codes``.

    Returns:
        (rows,) who found a seat.
    """
    found = np.zeros(rows.size, np.bool_)
    costs, paths = np.empty(1), np.empty((1, widths.size), np.int32)
    for i in range(rows.size):
        cheapest_by_path(
            distances[i], scores[i], products, offsets, widths, occupancy, costs, paths
        )
        if costs[0] < np.inf:
            found[i] = take(occupancy, paths[0])
            _write(paths[0], codes, rows[i])
    return found


@njit(cache=True)
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
            found[i] = take(occupancy, path)
            _write(path, codes, rows[i])
    return found


@njit(cache=True)
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


@njit(cache=True)
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


@njit(cache=True)
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


@njit(cache=True)
def list_by_sum(
    distances: Floats,
    offsets: Ints,
    widths: Ints,
    occupancy: Occupancy,
    costs: Floats,
    paths: Codes,
) -> None:
    """Write :func:`cheapest_by_sum` of all items: (rows, wanted) and (rows, wanted, levels)."""
    for i in range(distances.shape[0]):
        cheapest_by_sum(distances[i], offsets, widths, occupancy, costs[i], paths[i])


@njit(cache=True)
def list_by_path(
    distances: Floats,
    scores: Floats,
    products: Floats,
    offsets: Ints,
    widths: Ints,
    occupancy: Occupancy,
    costs: Floats,
    paths: Codes,
) -> None:
    """Write :func:`cheapest_by_path` of all items: (rows, wanted) and (rows, wanted, levels)."""
    for i in range(distances.shape[0]):
        cheapest_by_path(
            distances[i], scores[i], products, offsets, widths, occupancy, costs[i], paths[i]
        )
