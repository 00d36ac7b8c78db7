"""Least-cost assignment by shortest augmenting paths over lists of candidates.

Every column has a price, 0 while nobody holds it; a row wants the column with the least cost plus
price. Rows come one at a time; each finds the cheapest chain of changes that ends at a free column
(Dijkstra over reduced costs), and prices rise just so much that all hold what they want (the
method of Jonker and Volgenant, 1987). A row's list ends at a cost that everything beyond it has at
least; where a chain might be cheaper beyond it, the row's list is reported as short, and the chain
waits until it was grown. So what is found is the least over all columns, listed or not.

All of this file is compiled by numba and calls nothing outside of it (its cache on disk notices
changes in a function's own file only).
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from numba import njit
from numpy.typing import NDArray

Floats = NDArray[np.float64]
Ints = NDArray[np.int64]

FREE = -1  # column: nobody holds it; row: it holds nothing yet
OUT = -2  # row: it holds nothing and left for good


class Lists(NamedTuple):
    """What rows may hold: row i the entries from ``starts[i]``, ``lengths[i]`` of them.

    Attributes:
        starts: (rows,).
        lengths: (rows,).
        ends: (rows,) what columns beyond the list cost at least; infinite if there are none.
        columns: (entries,).
        costs: (entries,).
    """

    starts: Ints
    lengths: Ints
    ends: Floats
    columns: Ints
    costs: Floats


@njit(cache=True)
def augment(  # noqa: C901, PLR0912, PLR0915  one search, compiled as a whole
    sources: Ints, lists: Lists, leaving: float, prices: Floats, holders: Ints, held: Ints
) -> Ints:
    """Let rows find columns, one after the other.

    Args:
        sources: (new rows,).
        lists: What rows may hold.
        leaving: What it costs a row to get nothing; infinite if it must get a column.
        prices: (columns,), changed in place.
        holders: (columns,) the row that holds each, changed in place.
        held: (rows,) the entry that each holds, or FREE, or OUT; changed in place.

    Returns:
        Rows whose lists are too short; ``held`` of their sources stays FREE.
    """
    distances = np.full(prices.size, np.inf)
    settled = np.zeros(prices.size, np.bool_)
    through = np.empty(prices.size, np.int64)  # the entry by which a column was reached
    reached = np.empty(prices.size, np.int64)  # the row that reached it
    touched = np.empty(prices.size, np.int64)
    keys, nodes = np.empty(1024), np.empty(1024, np.int64)  # heap
    short = np.empty(held.size, np.int64)
    shorts = 0
    for source in sources:
        row, distance = source, 0.0
        first, last = lists.starts[row], lists.starts[row] + lists.lengths[row]
        want = lists.ends[row]
        for entry in range(first, last):
            want = min(want, lists.costs[entry] + prices[lists.columns[entry]])
        want = min(want, leaving)
        touches = size = 0
        least_out, out_row = np.inf, FREE
        least_short, short_row = np.inf, FREE
        end = FREE
        while True:
            for entry in range(lists.starts[row], lists.starts[row] + lists.lengths[row]):
                column = lists.columns[entry]
                if settled[column]:
                    continue
                far = distance + (lists.costs[entry] + prices[column] - want)
                if far < distances[column]:
                    if distances[column] == np.inf:
                        touched[touches] = column
                        touches += 1
                    distances[column] = far
                    through[column], reached[column] = entry, row
                    if size == keys.size:
                        keys, nodes = _doubled(keys, nodes)
                    _push(keys, nodes, size, far, column)
                    size += 1
            if distance + (leaving - want) < least_out:
                least_out, out_row = distance + (leaving - want), row
            if distance + (lists.ends[row] - want) < least_short:
                least_short, short_row = distance + (lists.ends[row] - want), row
            column = FREE
            while size > 0:
                size -= 1
                column = _pop(keys, nodes, size)
                if not settled[column]:
                    break
                column = FREE
            distance = distances[column] if column != FREE else np.inf
            if min(distance, least_out, least_short) == np.inf:
                break
            if least_short < min(distance, least_out):
                short[shorts] = short_row
                shorts += 1
                break
            if least_out <= distance:
                distance, end = least_out, OUT
                break
            if holders[column] == FREE:
                end = column
                break
            settled[column] = True
            row = holders[column]
            want = lists.costs[held[row]] + prices[column]
        if end == OUT:
            entry = held[out_row]
            held[out_row] = OUT
            _shift(lists, through, reached, holders, held, source, out_row, entry)
        elif end != FREE:
            row, entry = reached[end], held[reached[end]]
            held[row], holders[end] = through[end], row
            _shift(lists, through, reached, holders, held, source, row, entry)
        for touch in range(touches):
            column = touched[touch]
            if settled[column] and end != FREE:
                prices[column] += max(distance - distances[column], 0.0)
            distances[column] = np.inf
            settled[column] = False
        if shorts == short.size:
            break
    return short[:shorts]


@njit(cache=True)
def _shift(
    lists: Lists,
    through: Ints,
    reached: Ints,
    holders: Ints,
    held: Ints,
    source: int,
    row: int,
    entry: int,
) -> None:
    """Hand the entry that a row gave up to the row that reached it, up to the source."""
    while row != source:
        column = lists.columns[entry]
        row = reached[column]
        entry = held[row]
        held[row], holders[column] = through[column], row


@njit(cache=True)
def _push(keys: Floats, nodes: Ints, size: int, key: float, node: int) -> None:
    place = size
    while place > 0 and keys[(place - 1) // 2] > key:
        keys[place], nodes[place] = keys[(place - 1) // 2], nodes[(place - 1) // 2]
        place = (place - 1) // 2
    keys[place], nodes[place] = key, node


@njit(cache=True)
def _pop(keys: Floats, nodes: Ints, size: int) -> np.int64:
    """Take the least; ``size`` is what is left."""
    least, key, node = nodes[0], keys[size], nodes[size]
    place = 0
    while 2 * place + 1 < size:
        below = 2 * place + 1
        if below + 1 < size and keys[below + 1] < keys[below]:
            below += 1
        if keys[below] >= key:
            break
        keys[place], nodes[place] = keys[below], nodes[below]
        place = below
    keys[place], nodes[place] = key, node
    return least


@njit(cache=True)
def _doubled(keys: Floats, nodes: Ints) -> tuple[Floats, Ints]:
    more_keys, more_nodes = np.empty(2 * keys.size), np.empty(2 * keys.size, np.int64)
    more_keys[: keys.size], more_nodes[: keys.size] = keys, nodes
    return more_keys, more_nodes
