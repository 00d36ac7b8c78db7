"""The train interactions as the item-to-item rankers count them."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy import sparse

from assets.ranking import Rows

BLOCK = 1 << 23  # entries of items × items that are held at a time; memory alone depends on it
SPARSE = 20  # products of two sparse matrices' entries take as long as so many of dense ones


class UnfitError(Exception):
    """A ranker that cannot be fitted to this data: one sentence that says why."""


class TooLargeError(UnfitError):
    """A ranker that this much data has no time or memory for."""


@dataclass(frozen=True)
class Log:
    """Who had what.

    Attributes:
        users: (interactions,) number of the user, from 0; a user's interactions stand together.
        items: (interactions,) row of the item, each user's oldest first.
        n_items: Size of the catalogue.
    """

    users: NDArray[np.int64]
    items: Rows
    n_items: int

    @cached_property
    def seen(self) -> Any:
        """(users, items) sparse float32, 1 where the user had the item."""
        shape = (int(self.users.max(initial=-1)) + 1, self.n_items)
        ones = np.ones(len(self.users), np.float32)
        seen = sparse.csr_array((ones, (self.users, self.items)), shape=shape)
        seen.data[:] = 1
        return seen

    @cached_property
    def fans(self) -> Any:
        """(items, users), the transpose of `seen`."""
        return self.seen.T.tocsr()


def blocks(n_rows: int, n_columns: int) -> Iterator[slice]:
    """Cut rows so that a block of them, were it full, is no more than BLOCK entries."""
    height = max(1, BLOCK // max(n_columns, 1))
    for start in range(0, n_rows, height):
        yield slice(start, min(start + height, n_rows))


@dataclass
class Budget:
    """What the fits of one ranker may take, with all settings that are compared.

    Attributes:
        most: Products of two numbers that all may take.
        taken: Those that earlier ones took.
    """

    most: float
    taken: float = 0.0

    def require(self, products: float) -> None:
        """Refuse what would take too long.

        Raises:
            TooLargeError: It takes more products than are left.
        """
        if self.taken + products > self.most:
            before = f" after {self.taken:.1e} for other settings" if self.taken else ""
            raise TooLargeError(
                f"fitting it takes {products:.1e} products{before}, more than "
                f"`rankers.most_products` ({self.most:.1e}) allows."
            )

    def take(self, products: float) -> None:
        """Count what is about to be done, or refuse it; see :meth:`require`."""
        self.require(products)
        self.taken += products


def strongest(block: Any, start: int, neighbours: int | None) -> Any:
    """Keep the strongest entries of each row but its own.

    Args:
        block: (rows, items) sparse float32, free to be changed: some rows of items × items.
        start: Which row is its first.
        neighbours: How many, by absolute value, equals in order of column; None: all.

    Returns:
        The same, rounded to float16, in which it is saved, so that a loaded one ranks alike.
    """
    # Rounded first: what is saved as equal is cut as equal.
    block.data = block.data.astype(np.float16).astype(np.float32)
    own = np.repeat(np.arange(start, start + block.shape[0]), np.diff(block.indptr))
    block.data[block.indices == own] = 0
    block.eliminate_zeros()
    block.sort_indices()
    if neighbours is None:
        return block
    for row in np.flatnonzero(np.diff(block.indptr) > neighbours):
        values = block.data[block.indptr[row] : block.indptr[row + 1]]
        sizes = np.abs(values)
        least = np.partition(sizes, -neighbours)[-neighbours]
        equals = np.flatnonzero(sizes == least)
        values[sizes < least] = 0
        values[equals[neighbours - np.count_nonzero(sizes > least) :]] = 0
    block.eliminate_zeros()
    return block
