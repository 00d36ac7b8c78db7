"""SLIT: the next item predicted from the history before it by ridge regression, in closed form.

Choi et al., "Session-aware Linear Item-Item Models for Session-based Recommendation" (WWW 2021,
arXiv 2103.16104), with the next item alone as target: row t of S holds the items before an
interaction, weighed as a history is asked, row t of Y the item of the interaction; the weights are
``(SᵀS + l2 I)⁻¹ SᵀY``. EASE predicts what goes along with a history, this what follows it.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy import sparse

from assets.rankers.log import SPARSE, Budget, Log, TooLargeError, blocks
from assets.rankers.ridge import among, inverted, strongest_of_dense
from assets.ranking import Rows
from assets.stage import progress

ENTRIES = 1 << 27  # of S, which is made of about 24 bytes for each


def next_item_weights(
    log: Log,
    *,
    l2: float,
    fit_history: int,
    fit_decay: float,
    neighbours: int,
    most_items: int,
    budget: Budget,
) -> Any:
    """Solve for all items at once.

    Items without train interactions have no weights and cost nothing.

    Args:
        log: The train interactions.
        l2: Regularisation.
        fit_history: Items before an interaction that it is predicted from.
        fit_decay: Weight of an item per step into the past.
        neighbours: Strongest weights kept per item, equals in order of row.
        most_items: Largest matrix that is inverted, in rows: the items.
        budget: What the sparse products are taken from.

    Returns:
        (items, items) sparse float32, zero on the diagonal; some weights are negative.

    Raises:
        TooLargeError: There are more items, the budget is too small, or S has no place in memory.
    """
    known, numbers = np.unique(log.items, return_inverse=True)
    item, items = numbers.astype(np.int32), len(known)
    if items > most_items:
        raise TooLargeError(
            f"there are {items:,} items, and it inverts a matrix with as many rows, at most "
            f"`most_items` ({most_items:,})."
        )
    place = _places(log.users)
    _take_early(item, place, items, fit_history, budget)

    entries = int(np.minimum(place, fit_history).sum())
    time, past = np.empty(entries, np.int32), np.empty(entries, np.int32)
    weight, done = np.empty(entries, np.float32), 0
    for age, (now, then) in enumerate(_pairs(place, fit_history)):
        part = slice(done, done + len(now))
        time[part], past[part], weight[part] = now, item[then], fit_decay**age
        done = part.stop
    follows = sparse.csr_array((weight, (past, item[time])), shape=(items, items))
    read = sparse.csr_array((weight, (time, past)), shape=(len(item), items))
    del time, past, weight

    gram, readers = np.empty((items, items), np.float32), read.T.tocsr()
    for rows in blocks(items, items):
        gram[rows] = (readers[rows] @ read).toarray()
    del read, readers
    inverse = inverted(gram, np.float32(l2))
    found = []
    for rows in progress([*blocks(items, items)], "fitting SLIT"):
        dense = np.ascontiguousarray((follows.T @ inverse[:, rows]).T)
        found.append(strongest_of_dense(dense, rows.start, neighbours))
    return among(sparse.vstack(found), known, log.n_items)


def _places(users: NDArray[np.int64]) -> NDArray[np.int32]:
    """Return (interactions,) how many of the user's interactions come before each."""
    first = np.flatnonzero(np.diff(users, prepend=-1))
    lengths = np.diff(first, append=len(users))
    return (np.arange(len(users)) - np.repeat(first, lengths)).astype(np.int32)


def _pairs(place: NDArray[np.int32], fit_history: int) -> Iterator[tuple[Rows, Rows]]:
    """Yield, age by age, the interactions with one that many before them, and those."""
    for age in range(fit_history):
        now = np.flatnonzero(place > age)
        yield now, now - age - 1


def _take_early(
    item: NDArray[np.int32],
    place: NDArray[np.int32],
    items: int,
    fit_history: int,
    budget: Budget,
) -> None:
    """Take from the budget, or refuse, before much more memory is used than the log takes."""
    read = np.minimum(place, fit_history).astype(float)
    if read.sum() > ENTRIES:
        raise TooLargeError(
            f"it reads {read.sum():,.0f} items before interactions, and has memory for "
            f"{ENTRIES:,}: a smaller `rankers.slit.fit_history` makes them fewer."
        )
    # of SᵀS at most, where no item comes twice in a row of S
    products = SPARSE * float((read**2).sum())
    budget.require(products)
    met = np.zeros((items, items), bool)
    for now, then in _pairs(place, fit_history):
        met[item[then], item[now]] = True
    budget.take(products + float(items) * np.count_nonzero(met))
