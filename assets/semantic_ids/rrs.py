"""Recursive residual searching: a colliding item takes the next nearest code (PSI).

"Purely Semantic Indexing". The first item of a bucket keeps its SID. Each other one searches depth
first: at a level it tries the codes nearest to its *current* residual, nearest first, subtracts,
goes on below, and takes the first SID that is free. How many codes are tried at the levels is
widened step by step::

    widths (1, 10)    only the last code changes: the 10 nearest to the last residual
    widths (5, 20)    5 codes at every level above, 20 at the last
    doubled           until the last level is tried as a whole
    best first        whatever is left takes the free SID with the least sum of distances

Items without a conflict never move, and a SID taken before never changes hands.
"""

from __future__ import annotations

import heapq
from collections.abc import Iterator
from typing import TYPE_CHECKING, ClassVar

import numpy as np
from numpy.typing import NDArray

from assets.semantic_ids.occupancy import Occupancy
from assets.semantic_ids.path import sid_keys
from assets.semantic_ids.policy import Placement, Problem
from assets.stage import UserError

if TYPE_CHECKING:
    from assets.semantic_ids.params import SemanticIdsParams

Floats = NDArray[np.float64]
BLOCK = 1024  # items whose distances are held at a time


class RRS:
    """PSI's recursive residual searching."""

    name: ClassVar[str] = "rrs"
    additive_only: ClassVar[bool] = True

    def __init__(self, params: SemanticIdsParams) -> None:
        self.bucket_limit: int | None = 1
        self._order = params.order
        self._widths = params.rrs_widths

    def place(self, problem: Problem) -> Placement:
        """Keep the first item of each bucket, move the others to free SIDs.

        Raises:
            UserError: There are more items than SIDs.
        """
        sizes = problem.sizes
        prior = np.empty((0, len(sizes)), np.int32)
        if problem.prior is not None:
            prior = problem.prior.codes
        taken = sid_keys(prior, sizes)
        needed = len(np.unique(taken)) + len(problem.item_ids)
        if needed > problem.capacity:
            raise UserError(
                f"{needed:,} items need a SID each, but {' x '.join(map(str, sizes))} codes write "
                f"only {problem.capacity:,}: enlarge `codebooks.codebook_size` or "
                "`codebooks.levels`."
            )
        turns = problem.turns(self._order)
        keys = sid_keys(problem.raw_codes, sizes)[turns]
        first = np.zeros(len(turns), bool)
        first[np.unique(keys, return_index=True)[1]] = True
        keeps = first & ~np.isin(keys, taken)

        codes = problem.raw_codes.copy()
        occupancy = Occupancy(np.concatenate([prior, codes[turns[keeps]]]), sizes)
        waiting = turns[~keeps]
        search = _Search(problem, occupancy)
        for widths in self._schedule(sizes):
            waiting = search.place(waiting, codes, widths)
        search.place(waiting, codes, None)
        return Placement(codes, sizes)

    def _schedule(self, sizes: list[int]) -> Iterator[list[int]]:
        """Yield the codes to try per level: the steps of the params, then doubled ones."""
        for early, last in self._widths:
            yield [early] * (len(sizes) - 1) + [last]
        while last < sizes[-1]:
            early, last = 2 * early, 2 * last
            yield [early] * (len(sizes) - 1) + [last]


class _Search:
    """Searches free SIDs for single items.

    With r = x − Σ e_m over the codes above a level, ‖r − e‖² = ‖r‖² − 2x·e + ‖e‖² + 2 Σ e_m·e, so
    products of codes with codes, taken once, spare every product of a residual with a codebook.
    """

    def __init__(self, problem: Problem, occupancy: Occupancy) -> None:
        self._latent = problem.latent
        self._books = [book.astype(np.float64) for book in problem.codebooks]
        self._occupancy = occupancy
        self._products = [
            [2 * above @ book.T for above in self._books[:level]]
            for level, book in enumerate(self._books)
        ]

    def place(
        self, rows: NDArray[np.intp], codes: NDArray[np.int32], widths: list[int] | None
    ) -> NDArray[np.intp]:
        """Give free SIDs to items in turn.

        Args:
            rows: Rows of the items, in their turns.
            codes: (items, levels), changed in place.
            widths: Codes to try at each level; None searches best first and always finds.

        Returns:
            The rows that found nothing free, in their turns.
        """
        left = []
        for start in range(0, len(rows), BLOCK):
            block = rows[start : start + BLOCK]
            latent = self._latent[block].astype(np.float64)
            # (items of the block, codes) per level: −2x·e + ‖e‖²
            scores = [(book**2).sum(axis=1) - 2 * latent @ book.T for book in self._books]
            lengths = (latent**2).sum(axis=1)
            for i, row in enumerate(block):
                own = [level_scores[i] for level_scores in scores]
                found = (
                    self._depth_first(own, widths, [], 0)
                    if widths
                    else self._best_first(own, lengths[i])
                )
                if found:
                    codes[row] = found
                    self._occupancy.take(found)
                else:
                    left.append(row)
        return np.array(left, np.intp)

    def _residual_scores(self, own: list[Floats], path: list[int]) -> Floats:
        """Return ‖r − e‖² − ‖r‖² for all codes e of the level below a path."""
        level = len(path)
        scores = own[level]
        for code, products in zip(path, self._products[level], strict=True):
            scores = scores + products[code]
        return scores

    def _depth_first(
        self, own: list[Floats], widths: list[int], path: list[int], prefix: int
    ) -> list[int] | None:
        level = len(path)
        scores = self._residual_scores(own, path)
        for code in np.argsort(scores, kind="stable")[: widths[level]].tolist():
            below = self._occupancy.child(level, prefix, code)
            if below is None:
                continue
            if level == len(own) - 1:
                return [*path, code]
            found = self._depth_first(own, widths, [*path, code], below)
            if found:
                return found
        return None

    def _best_first(self, own: list[Floats], length: float) -> list[int]:
        """Return the free SID with the least Σ ‖r_l − e‖, r_l along the item's nearest path."""
        costs: list[Floats] = []
        path: list[int] = []
        for _ in own:
            scores = self._residual_scores(own, path)
            costs.append(np.sqrt(np.maximum(scores + length, 0)))
            path.append(int(scores.argmin()))
            length += scores[path[-1]]
        rest = np.cumsum([0.0, *(cost.min() for cost in costs[::-1])])[::-1]
        heap: list[tuple[float, list[int], int]] = [(rest[0], [], 0)]
        while True:
            bound, path, prefix = heapq.heappop(heap)
            level = len(path)
            if level == len(own):
                return path
            for code, cost in enumerate(costs[level].tolist()):
                below = self._occupancy.child(level, prefix, code)
                if below is not None:
                    total = bound - rest[level] + cost + rest[level + 1]
                    heapq.heappush(heap, (total, [*path, code], below))
