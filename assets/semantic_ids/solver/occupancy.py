"""Which SIDs are taken, and which whole branches of the code space are full.

A trie of the prefixes in use, in one hash table. A node's count is the number of seats taken below
it; a branch holds ``room`` seats, and when as many are taken no search need enter it::

    sizes [2, 3], one item per SID, taken 00 01 02 11

    root 4 of 6 ── 0: 3 of 3, full
                └─ 1: 1 of 3 ── 1: 1 of 1, full
"""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from assets.semantic_ids.solver.compiled import compiled

Floats = NDArray[np.float64]
Ints = NDArray[np.int64]
Codes = NDArray[np.int32]

ROOT = 0
UNUSED = -1  # a node of which no SID is taken yet; its children are unused too
FULL = -2


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


@compiled
def scattered(key: int) -> Any:
    """Return a number in which nearby keys lie far apart: where to look in a hash table first."""
    mixed = key * np.int64(-7046029254386353131)
    return mixed ^ (mixed >> np.int64(29))


@compiled
def _slot(occupancy: Occupancy, key: int) -> np.intp:
    """Return the slot of a key, or the empty one where it belongs."""
    mask = occupancy.keys.size - 1
    slot = scattered(key) & mask
    while occupancy.keys[slot] != 0 and occupancy.keys[slot] != key:
        slot = (slot + 1) & mask
    return slot


@compiled
def child(occupancy: Occupancy, depth: int, node: int, code: int) -> Any:
    """Return the node below ``node``, which is at ``depth``, or FULL, or UNUSED."""
    if node < ROOT:
        return node  # all below an unused branch is unused, all below a full one full
    slot = _slot(occupancy, node * occupancy.stride + code + 1)
    if occupancy.keys[slot] == 0:
        return UNUSED
    if occupancy.counts[slot] >= occupancy.rooms[depth + 1]:
        return FULL
    return slot


@compiled
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


@compiled
def move(occupancy: Occupancy, path: Codes, codes: Codes, row: int) -> bool:
    """Take a seat of the (levels,) path for a row of codes, and write it there if there was one."""
    if not take(occupancy, path):
        return False
    for level in range(path.size):
        codes[row, level] = path[level]
    return True


@compiled
def seat(occupancy: Occupancy, codes: Codes) -> NDArray[np.bool_]:
    """Let the rows of (items, levels) take their SIDs in turn; return who found a seat."""
    seated = np.zeros(codes.shape[0], np.bool_)
    for row in range(codes.shape[0]):
        seated[row] = take(occupancy, codes[row])
    return seated


@compiled
def free_of(occupancy: Occupancy, sizes: Ints) -> NDArray[np.bool_]:
    """Return whether each SID has a seat left, in ascending order of all SIDs."""
    count = 1
    for size in sizes:
        count *= size
    free = np.empty(count, np.bool_)
    for sid in range(count):
        node, room, rest = ROOT, count, sid
        for depth in range(sizes.size):
            room //= sizes[depth]
            node = child(occupancy, depth, node, rest // room)
            rest %= room
            if node == FULL:
                break
        free[sid] = node != FULL
    return free
