"""The cheapest free SIDs of an item, found without trying them all.

Combinations of an item's nearest codes are walked depth first, nearest codes first. A branch is
left when the least that it can cost is no less than the worst that is still wanted, or when it is
full.

Distances and scores of an item are one row, levels side by side; ``offsets`` (levels + 1,) says
where each level begins.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from assets.semantic_ids.solver.compiled import compiled
from assets.semantic_ids.solver.occupancy import FULL, ROOT, Occupancy, child, move

Floats = NDArray[np.float64]
Ints = NDArray[np.int64]
Codes = NDArray[np.int32]

_FEW = 32  # up to so many codes an insertion beats a full sort


@compiled
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


@compiled
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


@compiled
def cheapest_by_sum(  # noqa: C901  one walk, compiled as a whole
    distances: Floats,
    offsets: Ints,
    widths: Ints,
    occupancy: Occupancy,
    costs: Floats,
    paths: Codes,
) -> float:
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

    Returns:
        What any combination with a code beyond the nearest costs at least.
    """
    levels = widths.size
    lists = _listed(distances, offsets, widths, paths)
    ends = np.maximum(widths, 1)
    places = _clear(costs, paths)
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
            _insert(bound, lists, ranks, offsets, costs, paths, places)
        ranks[level] += 1
    _in_order(paths, places)
    beyond = np.inf
    for wide in range(levels):
        if 0 < widths[wide] < offsets[wide + 1] - offsets[wide]:
            bound = 0.0
            for level in range(levels):
                rank = widths[wide] - 1 if level == wide else 0
                bound += distances[offsets[level] + lists[offsets[level] + rank]]
            beyond = min(beyond, bound)
    return beyond


@compiled
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
    places = _clear(costs, paths)
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
                _insert(total, lists, ranks, offsets, costs, paths, places)
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
    _in_order(paths, places)


@compiled
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


@compiled
def _clear(costs: Floats, paths: Codes) -> Ints:
    """Empty the list; return the row of ``paths`` that belongs to each cost."""
    for place in range(costs.size):
        costs[place] = np.inf
        for level in range(paths.shape[1]):
            paths[place, level] = -1
    return np.arange(costs.size)


@compiled
def _insert(
    cost: float,
    lists: Ints,
    ranks: Ints,
    offsets: Ints,
    costs: Floats,
    paths: Codes,
    places: Ints,
) -> None:
    """Put a path where its cost belongs, after equal ones; the last one falls out."""
    place = costs.size - 1
    own = places[place]
    while place > 0 and costs[place - 1] > cost:
        costs[place], places[place] = costs[place - 1], places[place - 1]
        place -= 1
    costs[place], places[place] = cost, own
    for level in range(ranks.size):
        paths[own, level] = lists[offsets[level] + ranks[level]]


@compiled
def _in_order(paths: Codes, places: Ints) -> None:
    if places.size > 1:
        sorted_paths = paths[places]
        paths[:] = sorted_paths


@compiled
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


@compiled
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
            found[i] = move(occupancy, paths[0], codes, rows[i])
    return found


@compiled
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
            found[i] = move(occupancy, paths[0], codes, rows[i])
    return found
