"""Place many items at once so that what it costs them together is least, with the proof."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from assets.semantic_ids.params import Cost
from assets.semantic_ids.problem import Problem
from assets.semantic_ids.sid_keys import sid_keys
from assets.semantic_ids.solver.auction import sell
from assets.semantic_ids.solver.augmenting_paths import (
    Book,
    Wishes,
    augment,
    empty_book,
    with_more_room,
)
from assets.semantic_ids.solver.costs import (
    Floats,
    code_products,
    greedy_distances,
    offsets_of,
    path_scores,
)
from assets.semantic_ids.solver.occupancy import ROOT, Occupancy, free_of

_CROWDED = 0.1  # of all SIDs: from here on lists grow long,
_LARGE = 2**25  # and with so many pairs of item and SID an auction is faster


@dataclass(frozen=True)
class Assignment:
    """Who got what.

    Attributes:
        keys: (rows,) number of the SID as of ``sid_keys``, -1 for who got none.
        cost: Sum of what it costs, leaving included.
        bound: No assignment costs less.
    """

    keys: NDArray[np.int64]
    cost: float
    bound: float


def assign(
    problem: Problem,
    rows: NDArray[np.intp],
    cost: Cost,
    occupancy: Occupancy,
    *,
    gap: float,
    kept: int = 0,
    may_leave: bool = False,
) -> Assignment:
    """Give each item a free SID of its own so that the sum of costs is least.

    Args:
        problem: The items.
        rows: Which of them.
        cost: What a SID costs; see :mod:`assets.semantic_ids.ecm`.
        occupancy: What is taken.
        gap: Largest gap to the least sum, as a share of the added cost, where a large and crowded
            code space is auctioned; otherwise there is none.
        kept: How many of the first raw codes an item keeps.
        may_leave: Whether an item may get nothing where there is no room for all: as few items as
            possible do.
    """
    if not len(rows):
        return Assignment(np.empty(0, np.int64), 0.0, 0.0)
    by_path = cost == "true_residual"
    crowded = occupancy.counts[ROOT] + len(rows) > _CROWDED * problem.capacity
    if not kept and crowded and len(rows) * problem.capacity > _LARGE:
        return _auction(problem, rows, occupancy, gap, by_path=by_path)
    wishes = Wishes(
        distances=greedy_distances(problem, rows),
        scores=path_scores(problem, rows) if by_path else np.empty((len(rows), 0)),
        products=code_products(problem) if by_path else np.empty((0, 0)),
        offsets=offsets_of(problem.sizes),
        kept=kept,
        raw=problem.raw_codes[rows],
        occupancy=occupancy,
        leaving=_more_than_all(problem, rows) if may_leave else np.inf,
    )
    book, sources = empty_book(len(rows)), np.arange(len(rows))
    while len(sources):
        sources = sources[augment(sources, book, wishes) :]
        if len(sources):
            book = with_more_room(book)
    placed = book.held >= 0
    keys = np.full(len(rows), -1)
    keys[placed] = book.keys[book.columns[book.held[placed]]]
    total = float(book.costs[book.held[placed]].sum())
    if may_leave:
        total += wishes.leaving * float((~placed).sum())
    return Assignment(keys, total, lower_bound(book, wishes.leaving))


def _auction(
    problem: Problem, rows: NDArray[np.intp], occupancy: Occupancy, gap: float, *, by_path: bool
) -> Assignment:
    sizes, offsets = problem.sizes, offsets_of(problem.sizes)
    costs = path_scores(problem, rows) if by_path else greedy_distances(problem, rows)
    every = np.indices(sizes[:-1]).reshape(len(sizes) - 1, -1).T
    prefixes = np.ascontiguousarray(every + offsets[:-2])
    fixed = np.zeros((len(prefixes), sizes[-1]))
    if by_path:
        products = code_products(problem)
        for level in range(len(sizes) - 1):
            fixed += products[prefixes[:, level], offsets[-2] :]
            for below in range(level + 1, len(sizes) - 1):
                fixed += products[prefixes[:, level], prefixes[:, below]][:, None]
    fixed[~free_of(occupancy, np.array(sizes, np.int64)).reshape(fixed.shape)] = np.inf
    keys, total, bound = sell(costs, prefixes, fixed, sid_keys(problem.raw_codes[rows], sizes), gap)
    return Assignment(keys, total, bound)


def lower_bound(book: Book, leaving: float) -> float:
    """Return what the prices prove: Σ_rows min(cost + price) − Σ prices, for prices >= 0.

    Whatever a row gets in any assignment, it costs at least its minimum less the column's price,
    and no price counts twice. What lies beyond a list has price 0 or is dearer than its end.
    """
    least: Floats = np.minimum(book.ends, leaving)
    row = np.repeat(np.arange(len(least)), book.lengths)
    first = np.repeat(np.cumsum(book.lengths) - book.lengths, book.lengths)
    entry = book.starts[row] + np.arange(len(row)) - first
    np.minimum.at(least, row, book.costs[entry] + book.prices[book.columns[entry]])
    return float(least.sum() - book.prices.sum())


def _more_than_all(problem: Problem, rows: NDArray[np.intp]) -> float:
    """Return more than what any number of items could save if one more got nothing."""
    longest = np.linalg.norm(problem.latent[rows], axis=1).max()
    reach = longest + sum(np.linalg.norm(book, axis=1).max() for book in problem.codebooks)
    return float(2 * (1 + len(rows)) * len(problem.sizes) * (1 + reach) ** 2)
