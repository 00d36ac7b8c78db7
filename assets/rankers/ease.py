"""EASE: each item predicted from all others by ridge regression, in closed form.

Steck, "Embarrassingly Shallow Autoencoders for Sparse Data" (WWW 2019, arXiv 1905.03375): with X
the binary user × item matrix and P = (XᵀX + l2 I)⁻¹, the weight from item i to item j is
``-P[i, j] / P[j, j]``. Where there are fewer users than items the same comes cheaper from the
smaller matrix: l2 P = I - Xᵀ (XXᵀ + l2 I)⁻¹ X (Woodbury).
"""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy import sparse

from assets.rankers.log import SPARSE, Budget, Log, TooLargeError, blocks
from assets.rankers.ridge import among, inverted, strongest_of_dense
from assets.stage import progress


def ridge_weights(log: Log, *, l2: float, neighbours: int, most_items: int, budget: Budget) -> Any:
    """Solve for all items at once.

    Items without train interactions have no weights and cost nothing.

    Args:
        log: The train interactions.
        l2: Regularisation, in interactions of an item.
        neighbours: Strongest weights kept per item, equals in order of row.
        most_items: Largest matrix that is inverted, in rows: the fewer of items and users.
        budget: What the sparse products are taken from.

    Returns:
        (items, items) sparse float32, zero on the diagonal; some weights are negative.

    Raises:
        TooLargeError: The matrix has more rows, or the budget is too small.
    """
    known = np.flatnonzero(np.diff(log.fans.indptr))
    seen = log.seen[:, known]
    users, items = seen.shape
    if min(users, items) > most_items:
        raise TooLargeError(
            f"there are {items:,} items and {users:,} users, and it inverts a matrix with "
            f"as many rows as the fewer of them, at most `rankers.ease.most_items` "
            f"({most_items:,})."
        )
    lengths = np.diff(seen.indptr).astype(float)
    products = lengths.sum() * items if users < items else SPARSE * (lengths**2).sum()
    budget.take(float(products))
    solve = _by_users if users < items else _by_items
    own, rows_of = solve(seen, np.float32(l2))
    found = []
    for rows in progress([*blocks(items, items)], "fitting EASE"):
        weights = rows_of(rows)
        weights /= 1 - own
        found.append(strongest_of_dense(weights, rows.start, neighbours))
    return among(sparse.vstack(found), known, log.n_items)


def _by_items(seen: Any, l2: np.float32) -> tuple[NDArray[np.float32], Any]:
    """Return the diagonal of H = I - l2 P, and what gives some rows of H, from XᵀX."""
    items = seen.shape[1]
    fans = seen.T.tocsr()
    gram = np.empty((items, items), np.float32)
    for rows in blocks(items, items):
        gram[rows] = (fans[rows] @ seen).toarray()
    inverse = inverted(gram, l2)

    def rows_of(rows: slice) -> NDArray[np.float32]:
        return -l2 * inverse[rows]

    return 1 - l2 * np.diag(inverse), rows_of


def _by_users(seen: Any, l2: np.float32) -> tuple[NDArray[np.float32], Any]:
    """Return the same from XXᵀ."""
    fans = seen.T.tocsr()
    inverse = inverted((seen @ fans).toarray(), l2)

    def rows_of(rows: slice) -> NDArray[np.float32]:
        return np.asarray((fans[rows] @ inverse) @ seen)

    own = [
        np.asarray(fans[rows].multiply(fans[rows] @ inverse).sum(axis=1)).ravel()
        for rows in blocks(*fans.shape)
    ]
    return np.concatenate(own).astype(np.float32), rows_of
