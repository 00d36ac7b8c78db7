"""Item KNN: items go along with those that the same users had.

The strong simple baseline: exact cosine similarity between the columns of the binary user × item
matrix of the train split.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from scipy import sparse

from assets.rankers.log import SPARSE, Budget, Log, blocks, strongest
from assets.stage import progress


def cosine_similarities(log: Log, *, neighbours: int | None, budget: Budget) -> Any:
    """Compare all items with each other.

    Args:
        log: The train interactions.
        neighbours: Most similar items kept per item, equals in order of row; None: all.
        budget: What the sparse product is taken from: SPARSE for each two items of a user.

    Returns:
        (items, items) sparse float32, zero on the diagonal.

    Raises:
        TooLargeError: The budget is too small.
    """
    seen, fans = log.seen, log.fans
    budget.take(SPARSE * float((np.diff(seen.indptr).astype(float) ** 2).sum()))
    scale = (1 / np.sqrt(np.maximum(np.diff(fans.indptr), 1))).astype(np.float32)
    found = []
    for rows in progress([*blocks(log.n_items, log.n_items)], "fitting item KNN"):
        shared = (fans[rows] @ seen).tocsr()  # whole numbers: the order of users cannot show
        shared.data *= scale[shared.indices] * np.repeat(scale[rows], np.diff(shared.indptr))
        found.append(strongest(shared, rows.start, neighbours))
    return sparse.vstack(found, format="csr")
