"""Place many items at once so that what it costs them together is least, with the proof."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from assets.semantic_ids.candidates import Candidates, Keys
from assets.semantic_ids.distances import Floats
from assets.semantic_ids.paths import FREE, Lists, augment

_FIRST = 8  # candidates of an item to begin with
_GROWTH = 4


@dataclass(frozen=True)
class Assignment:
    """Who got what.

    Attributes:
        keys: (rows,) number of the SID, -1 for who got none.
        costs: (rows,) what it costs, 0 for who got none.
        bound: No assignment of all rows costs less in sum, leaving included.
    """

    keys: Keys
    costs: Floats
    bound: float


def assign(candidates: Candidates, rows: NDArray[np.intp], leaving: float = np.inf) -> Assignment:
    """Give each item a SID of its own so that the sum of costs is least.

    Args:
        candidates: What is free and what it costs.
        rows: Rows of the items.
        leaving: What it costs to get nothing; infinite where everybody must get a SID.
    """
    count = len(rows)
    if not count:
        return Assignment(np.empty(0, np.int64), np.empty(0), 0.0)
    starts, lengths = np.zeros(count, np.int64), np.zeros(count, np.int64)
    ends = np.zeros(count)
    keys, costs = np.empty(0, np.int64), np.empty(0)
    known, prices, holders = np.empty(0, np.int64), np.empty(0), np.empty(0, np.int64)
    held = np.full(count, FREE)
    short = np.arange(count)
    while len(short):
        # the lists that were too short go behind the others, longer, with the same entries first
        for length in np.unique(lengths[short]):
            grown = short[lengths[short] == length]
            wanted = max(_FIRST, int(length) * _GROWTH)
            new_keys, new_costs = candidates.of(rows[grown], wanted)
            real = np.isfinite(new_costs)
            holding = held[grown] >= 0
            places = held[grown] - starts[grown]
            lengths[grown] = real.sum(axis=1)
            starts[grown] = len(keys) + np.cumsum(lengths[grown]) - lengths[grown]
            held[grown[holding]] = (starts[grown] + places)[holding]
            ends[grown] = np.where(real[:, -1], new_costs[:, -1], np.inf)
            keys = np.concatenate([keys, new_keys[real]])
            costs = np.concatenate([costs, new_costs[real]])
        numbered, columns = np.unique(keys, return_inverse=True)
        old = np.searchsorted(numbered, known)
        carried, kept = np.zeros(len(numbered)), np.full(len(numbered), FREE)
        carried[old], kept[old] = prices, holders
        known, prices, holders = numbered, carried, kept
        lists = Lists(starts, lengths, ends, columns, costs)
        short = np.unique(
            augment(np.flatnonzero(held == FREE), lists, leaving, prices, holders, held)
        )
    placed = held >= 0
    got_keys, got_costs = np.full(count, -1), np.zeros(count)
    got_keys[placed], got_costs[placed] = keys[held[placed]], costs[held[placed]]
    return Assignment(got_keys, got_costs, lower_bound(lists, prices, leaving))


def lower_bound(lists: Lists, prices: Floats, leaving: float) -> float:
    """Return what the prices prove: Σ_rows min(cost + price) − Σ prices, for prices >= 0.

    Whatever a row gets in any assignment, it costs at least its minimum less the column's price,
    and no price counts twice. What lies beyond a list has price 0 and costs at least its end.
    """
    least = np.minimum(lists.ends, leaving)
    entries = np.repeat(np.arange(len(least)), lists.lengths)
    within = np.arange(len(entries)) - np.repeat(
        np.cumsum(lists.lengths) - lists.lengths, lists.lengths
    )
    places = lists.starts[entries] + within
    np.minimum.at(least, entries, lists.costs[places] + prices[lists.columns[places]])
    return float(least.sum() - prices.sum())
