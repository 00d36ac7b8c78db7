"""Least-cost assignment by shortest augmenting paths over lists that grow where they must.

Every column (a free SID) has a price, 0 while nobody holds it; a row (an item) wants the column
with the least cost plus price. Rows come one at a time; each finds the cheapest chain of changes
that ends at a free column (Dijkstra over reduced costs), and prices rise just so much that all hold
what they want (Jonker and Volgenant, 1987).

A row knows only its cheapest columns. Everything beyond its list costs at least what the list's end
costs, so the end stands in the queue too, and when it comes first the list is lengthened. What is
found is therefore the least over all columns, listed or not.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from assets.semantic_ids.solver.cheapest_sids import cheapest_by_path, cheapest_by_sum
from assets.semantic_ids.solver.compiled import compiled
from assets.semantic_ids.solver.occupancy import Occupancy, scattered

Floats = NDArray[np.float64]
Ints = NDArray[np.int64]
Codes = NDArray[np.int32]

FREE = -1  # column: nobody holds it; row: it holds nothing yet
OUT = -2  # row: it holds nothing and left for good
_FIRST = 8  # columns of a row's list to begin with
_NEAR = 16  # nearest codes of a level that are combined, while more cannot be cheaper;
_LAST = 64  # by the path: at the last level, and more only where these give too few columns
_ENTRIES, _COLUMNS, _QUEUED = 0, 1, 2


class Wishes(NamedTuple):
    """What columns cost rows; see :mod:`assets.semantic_ids.solver.cheapest_sids`.

    Attributes:
        distances: (rows, all codes).
        scores: (rows, all codes), or (rows, 0) where costs are sums of distances.
        products: (all codes, all codes), or (0, 0).
        offsets: (levels + 1,).
        kept: How many of the first codes a row keeps.
        raw: (rows, levels).
        occupancy: What is taken.
        leaving: What it costs a row to get nothing; infinite if it must get a column.
    """

    distances: Floats
    scores: Floats
    products: Floats
    offsets: Ints
    kept: int
    raw: Codes
    occupancy: Occupancy
    leaving: float


class Book(NamedTuple):
    """Lists of the rows, prices and holders of the columns, and scratch for the search.

    Attributes:
        starts: (rows,) first entry of each list.
        lengths: (rows,).
        ends: (rows,) what columns beyond the list cost at least; infinite if there are none.
        held: (rows,) the entry that each row holds, or FREE, or OUT.
        columns: (room for entries,).
        costs: (room for entries,).
        keys: (room for columns,) number of each column's SID.
        prices: (room for columns,).
        holders: (room for columns,) the row that holds each, or FREE.
        table: (slots,) hash table from number to column; FREE where empty.
        distances: (room for columns,) scratch: from the source.
        settled: (room for columns,) scratch.
        through: (room for columns,) scratch: the entry by which it was reached.
        reached: (room for columns,) scratch: the row that reached it.
        counts: (3,) entries and columns in use, length of the queue.
        queue_keys: (room for the queue,) a heap.
        queue_nodes: (room for the queue,) columns, and rows' ends as -1 - row.
    """

    starts: Ints
    lengths: Ints
    ends: Floats
    held: Ints
    columns: Ints
    costs: Floats
    keys: Ints
    prices: Floats
    holders: Ints
    table: Ints
    distances: Floats
    settled: NDArray[np.bool_]
    through: Ints
    reached: Ints
    counts: Ints
    queue_keys: Floats
    queue_nodes: Ints


def empty_book(rows: int) -> Book:
    """Return a book without entries, with room for some."""
    room = 4 * _FIRST * rows + 1024
    slots = 1 << (2 * room).bit_length()
    return Book(
        starts=np.zeros(rows, np.int64),
        lengths=np.zeros(rows, np.int64),
        ends=np.zeros(rows),
        held=np.full(rows, FREE),
        columns=np.empty(room, np.int64),
        costs=np.empty(room),
        keys=np.empty(room, np.int64),
        prices=np.zeros(room),
        holders=np.full(room, FREE),
        table=np.full(slots, FREE),
        distances=np.full(room, np.inf),
        settled=np.zeros(room, np.bool_),
        through=np.empty(room, np.int64),
        reached=np.empty(room, np.int64),
        counts=np.zeros(3, np.int64),
        queue_keys=np.empty(room),
        queue_nodes=np.empty(room, np.int64),
    )


def with_more_room(book: Book) -> Book:
    """Return a copy with twice the room."""
    room = 2 * len(book.columns)
    larger = {"table": np.full(2 * len(book.table), FREE)}
    for name in ("columns", "costs", "keys", "prices", "holders", "through", "reached"):
        old = getattr(book, name)
        larger[name] = np.zeros(room, old.dtype)
        larger[name][: len(old)] = old
    larger["holders"][len(book.holders) :] = FREE
    larger["distances"], larger["settled"] = np.full(room, np.inf), np.zeros(room, np.bool_)
    larger["queue_keys"], larger["queue_nodes"] = np.empty(room), np.empty(room, np.int64)
    grown = book._replace(**larger)
    _renumber(grown)
    return grown


@compiled
def _slot(book: Book, key: int) -> np.intp:
    mask = book.table.size - 1
    slot = scattered(key) & mask
    while book.table[slot] != FREE and book.keys[book.table[slot]] != key:
        slot = (slot + 1) & mask
    return slot


@compiled
def _renumber(book: Book) -> None:
    for column in range(book.counts[_COLUMNS]):
        book.table[_slot(book, book.keys[column])] = column


@compiled
def _grow(book: Book, wishes: Wishes, row: int) -> bool:
    """Lengthen a row's list, as new entries; return False if there is no room."""
    levels = wishes.offsets.size - 1
    wanted = max(_FIRST, (4 if book.lengths[row] < 32 else 2) * book.lengths[row])
    if max(book.counts[_ENTRIES], book.counts[_COLUMNS]) + wanted > book.columns.size:
        return False
    costs, paths = np.empty(wanted), np.empty((wanted, levels), np.int32)
    widths = np.empty(levels, np.int64)
    for level in range(levels):
        widths[level] = wishes.offsets[level + 1] - wishes.offsets[level]
    few = np.minimum(widths, _NEAR)
    if wishes.products.size > 0:
        few[-1] = min(widths[-1], _LAST)
    _keep(few, paths, wishes, row)
    if not _list(wishes, row, few, costs, paths):
        _keep(widths, paths, wishes, row)
        _list(wishes, row, widths, costs, paths)
    start = book.counts[_ENTRIES]
    length = 0
    while length < wanted and costs[length] < np.inf:
        key = np.int64(0)
        for level in range(levels):
            size = wishes.offsets[level + 1] - wishes.offsets[level]
            key = key * size + paths[length, level]
        slot = _slot(book, key)
        if book.table[slot] == FREE:
            book.table[slot] = book.counts[_COLUMNS]
            book.keys[book.counts[_COLUMNS]] = key
            book.counts[_COLUMNS] += 1
        book.columns[start + length] = book.table[slot]
        book.costs[start + length] = costs[length]
        length += 1
    book.counts[_ENTRIES] += length
    book.starts[row], book.lengths[row] = start, length
    book.ends[row] = costs[wanted - 1]
    return True


@compiled
def _list(wishes: Wishes, row: int, widths: Ints, costs: Floats, paths: Codes) -> bool:
    """Write a row's cheapest columns; return whether more codes cannot make them cheaper."""
    own, offsets, occupancy = wishes.distances[row], wishes.offsets, wishes.occupancy
    if wishes.products.size == 0:
        beyond = cheapest_by_sum(own, offsets, widths, occupancy, costs, paths)
        return costs[-1] < beyond
    scores, products = wishes.scores[row], wishes.products
    cheapest_by_path(own, scores, products, offsets, widths, occupancy, costs, paths)
    return costs[-1] < np.inf


@compiled
def _keep(widths: Ints, paths: Codes, wishes: Wishes, row: int) -> None:
    for level in range(wishes.kept):
        widths[level] = 0
        paths[0, level] = wishes.raw[row, level]


@compiled
def augment(sources: Ints, book: Book, wishes: Wishes) -> int:
    """Let rows find columns, one after the other.

    Args:
        sources: (new rows,).
        book: Changed in place.
        wishes: What columns cost.

    Returns:
        How many of the sources are done; fewer than all if the book needs more room.
    """
    touched = np.empty(book.columns.size, np.int64)
    for done in range(sources.size):
        touches, full, end, distance = _reach(sources[done], book, wishes, touched)
        for touch in range(touches):
            column = touched[touch]
            if book.settled[column] and not full:
                book.prices[column] += max(distance - book.distances[column], 0.0)
            book.distances[column] = np.inf
            book.settled[column] = False
        if full:
            return done
        _hand_over(book, sources[done], end)
    return sources.size


@compiled
def _reach(  # noqa: C901, PLR0912  one search, compiled as a whole
    source: int, book: Book, wishes: Wishes, touched: Ints
) -> tuple[int, bool, int, float]:
    """Search the cheapest chain from a row; return columns seen, no room, end, length.

    The end is a column, or -2 - row for a row that leaves.
    """
    touches = 0
    book.counts[_QUEUED] = 0
    if book.lengths[source] == 0 and not _grow(book, wishes, source):
        return touches, True, FREE, 0.0
    row, base, want = source, 0.0, min(book.ends[source], wishes.leaving)
    for entry in range(book.starts[row], book.starts[row] + book.lengths[row]):
        want = min(want, book.costs[entry] + book.prices[book.columns[entry]])
    least_out, out_row = np.inf, FREE
    bound = np.inf  # no chain that is at least as long can win
    while True:
        # look at all that the row might hold
        for entry in range(book.starts[row], book.starts[row] + book.lengths[row]):
            column = book.columns[entry]
            far = base + (book.costs[entry] + book.prices[column] - want)
            if far >= bound or book.settled[column] or far >= book.distances[column]:
                continue
            if book.distances[column] == np.inf:
                touched[touches] = column
                touches += 1
            book.distances[column] = far
            book.through[column], book.reached[column] = entry, row
            if book.holders[column] == FREE:
                bound = far
            if not _push(book, far, column):
                return touches, True, FREE, 0.0
        if base + (wishes.leaving - want) < least_out:
            least_out, out_row = base + (wishes.leaving - want), row
            bound = min(bound, least_out)
        beyond = base + (book.ends[row] - want)
        if beyond < bound and not _push(book, beyond, -1 - row):
            return touches, True, FREE, 0.0
        # go on at what is nearest
        while True:
            if book.counts[_QUEUED] == 0 or least_out <= book.queue_keys[0]:
                return touches, False, -2 - out_row, least_out
            distance, node = _pop(book)
            if node < 0 or not book.settled[node]:
                break
        if node >= 0:
            if book.holders[node] == FREE:
                return touches, False, node, distance
            book.settled[node] = True
            row, base = book.holders[node], distance
            want = book.costs[book.held[row]] + book.prices[node]
            continue
        row, base, want = -1 - node, distance, book.ends[-1 - node]
        if not _grow(book, wishes, row):
            return touches, True, FREE, 0.0


@compiled
def _hand_over(book: Book, source: int, end: int) -> None:
    """Give the end to the row that reached it, what that held to the row before, and so on."""
    row = -2 - end if end < 0 else book.reached[end]
    entry = book.held[row]
    if end < 0:
        book.held[row] = OUT
    else:
        book.held[row], book.holders[end] = book.through[end], row
    while row != source:
        column = book.columns[entry]
        row = book.reached[column]
        entry = book.held[row]
        book.held[row], book.holders[column] = book.through[column], row


@compiled
def _push(book: Book, key: float, node: int) -> bool:
    keys, nodes, place = book.queue_keys, book.queue_nodes, book.counts[_QUEUED]
    if place == keys.size:
        return False
    book.counts[_QUEUED] += 1
    while place > 0 and keys[(place - 1) // 2] > key:
        keys[place], nodes[place] = keys[(place - 1) // 2], nodes[(place - 1) // 2]
        place = (place - 1) // 2
    keys[place], nodes[place] = key, node
    return True


@compiled
def _pop(book: Book) -> tuple[float, int]:
    keys, nodes = book.queue_keys, book.queue_nodes
    book.counts[_QUEUED] -= 1
    size = book.counts[_QUEUED]
    least, first, key, node = keys[0], nodes[0], keys[size], nodes[size]
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
    return least, first
