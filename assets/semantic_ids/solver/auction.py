"""Nearly least-cost assignment where most SIDs are wanted: an auction over all of them.

Items bid for SIDs. The price of a SID rises by as much as it is better for the bidder than the next
best, and a little more (ε); who held it bids anew (Bertsekas, 1988). All end up with what is best
for them at these prices, to within ε each. ε shrinks phase by phase, and prices carry over, until
the prices prove that the sum of costs is within the wanted gap of the least.

A SID that nobody gets must not keep a price from an earlier phase, or the proof fails: as many
dummies as there are SIDs too many bid along; all SIDs are the same to them but for the price.

A bid looks at prefixes (all codes but the last) by the least that a SID below them can cost at
present prices, and within a prefix at last codes from the nearest on, as far as these can matter.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from assets.semantic_ids.solver.compiled import compiled

Floats = NDArray[np.float64]
Ints = NDArray[np.int64]

FREE = -1
DUMMY = -2
_SHRINK = 5.0  # of ε from phase to phase


class Market(NamedTuple):
    """What SIDs cost items, and what they are sold for.

    Attributes:
        costs: (rows, all codes), levels side by side.
        order: (rows, last codes) int16 or int32, nearest first.
        prefixes: (prefixes, levels - 1) places of the codes in a row of ``costs``.
        fixed: (prefixes, last codes) what a SID costs everybody; infinite where it is taken.
        worth: (prefixes, last codes) ``fixed`` plus price.
        lows: (prefixes,) least of each row of ``worth``.
        prices: (prefixes, last codes), infinite where it is taken.
        price_lows: (prefixes,) least of each row of ``prices``.
        holders: (SIDs,) the row that holds each, or FREE, or DUMMY.
        held: (rows,) the SID that each holds, or FREE.
    """

    costs: Floats
    order: NDArray[np.int32]
    prefixes: Ints
    fixed: Floats
    worth: Floats
    lows: Floats
    prices: Floats
    price_lows: Floats
    holders: Ints
    held: Ints


def sell(
    costs: Floats, prefixes: Ints, fixed: Floats, raw: Ints, gap: float
) -> tuple[Ints, float, float]:
    """Give every row a SID of its own at nearly the least sum of costs.

    Args:
        costs: (rows, all codes), levels side by side; a SID costs the sum over its codes.
        prefixes: (prefixes, levels - 1) places of the codes in a row of ``costs``.
        fixed: (prefixes, last codes) what a SID costs everybody; infinite where it is taken.
        raw: (rows,) the SID against which added costs are counted.
        gap: Largest gap to the least sum, as a share of the added cost.

    Returns:
        (rows,) the SIDs, the sum of their costs, and a sum that no assignment is below.
    """
    last = costs[:, -fixed.shape[1] :]
    market = Market(
        costs=costs,
        order=np.argsort(last, axis=1, kind="stable").astype(np.int32),
        prefixes=prefixes,
        fixed=fixed,
        worth=fixed.copy(),
        lows=fixed.min(axis=1),
        prices=np.where(np.isfinite(fixed), 0.0, np.inf),
        price_lows=np.where(np.isfinite(fixed).any(axis=1), 0.0, np.inf),
        holders=np.full(fixed.size, FREE),
        held=np.full(len(costs), FREE),
    )
    dummies = int(np.isfinite(fixed).sum()) - len(costs)
    unplaced = _costs_of(market, raw, np.zeros(fixed.size)).sum()
    epsilon = float(last.std(axis=1).mean()) / 2 + 1e-12
    while True:
        run_phase(market, dummies, epsilon)
        total = _costs_of(market, market.held, fixed.ravel()).sum()
        bound = lower_bound(market)
        if total - bound <= gap * abs(total - unplaced) or epsilon < 1e-9:
            return market.held, float(total), bound
        epsilon /= _SHRINK


def lower_bound(market: Market) -> float:
    """Return what the prices prove, whatever the auction did.

    Prices are counted from the dearest that nobody holds, and never below 0. Whatever a row gets,
    it costs at least the row's minimum of cost plus price, less the price, and no price counts
    twice.
    """
    unsold = np.isfinite(market.fixed).ravel() & (market.holders < 0)
    base = market.prices.ravel()[unsold].max(initial=0.0)
    prices = np.where(np.isfinite(market.fixed), np.maximum(market.prices - base, 0.0), 0.0)
    worth = market.fixed + prices
    return float(_least(market, worth, worth.min(axis=1)) - prices.sum())


def _costs_of(market: Market, sids: Ints, fixed: Floats) -> Floats:
    prefix, last = np.divmod(sids, market.fixed.shape[1])
    rows = np.arange(len(sids))
    own = market.costs[rows, market.costs.shape[1] - market.fixed.shape[1] + last] + fixed[sids]
    for level in range(market.prefixes.shape[1]):
        own = own + market.costs[rows, market.prefixes[prefix, level]]
    return np.asarray(own)


@compiled
def _best(
    market: Market, row: int, worth: Floats, lows: Floats, sums: Floats
) -> tuple[int, float, float]:
    """Return the best SID of a row, what it costs with its price, and what the next best does."""
    costs, order = market.costs[row], market.order[row]
    before = costs.size - order.size
    nearest = costs[before + order[0]]
    first, least = 0, np.inf
    for prefix in range(sums.size):
        total = 0.0
        for level in range(market.prefixes.shape[1]):
            total += costs[market.prefixes[prefix, level]]
        sums[prefix] = total
        if total + lows[prefix] < least:
            first, least = prefix, total + lows[prefix]
    sid, best, second = -1, np.inf, np.inf
    for turn in range(-1, sums.size):
        prefix = first if turn < 0 else turn
        if turn == first or sums[prefix] + lows[prefix] + nearest >= second:
            continue
        low = sums[prefix] + lows[prefix]
        for code in order:
            own = costs[before + code]
            if low + own >= second:
                break
            total = sums[prefix] + own + worth[prefix, code]
            if total < best:
                sid, best, second = prefix * order.size + code, total, best
            elif total < second:
                second = total
    return sid, best, second


@compiled
def _least(market: Market, worth: Floats, lows: Floats) -> float:
    """Return Σ_rows min(cost + price)."""
    sums = np.empty(lows.size)
    total = 0.0
    for row in range(market.held.size):
        total += _best(market, row, worth, lows, sums)[1]
    return total


@compiled
def run_phase(market: Market, dummies: int, epsilon: float) -> None:
    """Sell everything anew, at prices that go on from where they are.

    Args:
        market: Changed in place.
        dummies: SIDs that no row will get.
        epsilon: Least rise of a price.
    """
    rows = market.held.size
    sums = np.empty(market.lows.size)
    waiting = np.empty(rows, np.int64)
    size = rows
    for row in range(rows):
        waiting[row] = rows - 1 - row
        market.held[row] = FREE
    for sid in range(market.holders.size):
        market.holders[sid] = FREE
    while size > 0 or dummies > 0:
        if size > 0:
            size -= 1
            row = waiting[size]
            sid, best, second = _best(market, row, market.worth, market.lows, sums)
            rise = second - best if second < np.inf else 0.0
            market.held[row] = sid
        else:
            dummies -= 1
            row = DUMMY
            sid, rise = _lowest(market)
        before = market.holders[sid]
        market.holders[sid] = row
        _raise(market, sid, rise + epsilon)
        if before == DUMMY:
            dummies += 1
        elif before != FREE:
            market.held[before] = FREE
            waiting[size] = before
            size += 1


@compiled
def _lowest(market: Market) -> tuple[int, float]:
    """Return the SID of the lowest price, and how far the next one is above it."""
    prefix, best, second = 0, np.inf, np.inf
    for other in range(market.price_lows.size):
        low = market.price_lows[other]
        if low < best:
            prefix, best, second = other, low, best
        elif low < second:
            second = low
    last, found = 0, False
    for code in range(market.prices.shape[1]):
        price = market.prices[prefix, code]
        if price == best and not found:
            last, found = code, True
        elif price < second:
            second = price
    rise = second - best if second < np.inf else 0.0
    return prefix * market.prices.shape[1] + last, rise


@compiled
def _raise(market: Market, sid: int, rise: float) -> None:
    prefix, code = sid // market.prices.shape[1], sid % market.prices.shape[1]
    worth, price = market.worth[prefix, code], market.prices[prefix, code]
    market.prices[prefix, code] += rise
    market.worth[prefix, code] = market.fixed[prefix, code] + market.prices[prefix, code]
    if worth <= market.lows[prefix]:
        low = np.inf
        for other in market.worth[prefix]:
            low = min(low, other)
        market.lows[prefix] = low
    if price <= market.price_lows[prefix]:
        low = np.inf
        for other in market.prices[prefix]:
            low = min(low, other)
        market.price_lows[prefix] = low
