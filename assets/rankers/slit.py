"""SLIT: the next item predicted from the history before it by ridge regression, in closed form.

Choi et al., "Session-aware Linear Item-Item Models for Session-based Recommendation" (WWW 2021,
arXiv 2103.16104), with the next item alone as target: row t of S holds the items before an
interaction, weighed as a history is asked, row t of Y the item of the interaction; the weights are
``(SᵀS + l2 I)⁻¹ SᵀY``. EASE predicts what goes along with a history, this what follows it.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from scipy import sparse

from assets.rankers.log import Log, TooLargeError, blocks, refuse_beyond
from assets.rankers.ridge import among, inverted, strongest_of_dense
from assets.stage import progress


def next_item_weights(
    log: Log,
    *,
    l2: float,
    fit_history: int,
    fit_decay: float,
    neighbours: int,
    most_items: int,
    most_products: float,
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
        most_products: Products of two numbers that the sparse products may take.

    Returns:
        (items, items) sparse float32, zero on the diagonal; some weights are negative.

    Raises:
        TooLargeError: There are more items, or the products are more.
    """
    known, item = np.unique(log.items, return_inverse=True)
    items = len(known)
    if items > most_items:
        raise TooLargeError(
            f"there are {items:,} items, and it inverts a matrix with as many rows, at most "
            f"`most_items` ({most_items:,})."
        )
    times, before, weights = [], [], []
    for age in range(fit_history):
        gap = age + 1
        time = gap + np.flatnonzero(log.users[gap:] == log.users[:-gap])
        times.append(time)
        before.append(item[time - gap])
        weights.append(np.full(len(time), fit_decay**age, np.float32))
    time, past, weight = np.concatenate(times), np.concatenate(before), np.concatenate(weights)
    read = sparse.csr_array((weight, (time, past)), shape=(len(item), items))
    follows = sparse.csr_array((weight, (past, item[time])), shape=(items, items))
    refuse_beyond(most_products, float(items) * follows.nnz)

    gram, readers = np.empty((items, items), np.float32), read.T.tocsr()
    for rows in blocks(items, items):
        gram[rows] = (readers[rows] @ read).toarray()
    inverse = inverted(gram, np.float32(l2))
    found = []
    for rows in progress([*blocks(items, items)], "fitting SLIT"):
        dense = np.ascontiguousarray((follows.T @ inverse[:, rows]).T)
        found.append(strongest_of_dense(dense, rows.start, neighbours))
    return among(sparse.vstack(found), known, log.n_items)
