"""Item KNN: items go along with those that the same users had.

The strong simple baseline: exact cosine similarity between the columns of the binary user × item
matrix of the train split.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from scipy import sparse

from assets.rankers.log import Log, blocks, refuse_beyond, strongest
from assets.stage import progress


def cosine_similarities(log: Log, *, neighbours: int | None, most_products: float) -> Any:
    """Compare all items with each other.

    Args:
        log: The train interactions.
        neighbours: Most similar items kept per item, equals in order of row; None: all.
        most_products: Products of two numbers that are allowed: one for each two items of a user.

    Returns:
        (items, items) sparse float32, zero on the diagonal.

    Raises:
        TooLargeError: It takes more products.
    """
    seen, fans = log.seen, log.fans
    refuse_beyond(most_products, float((np.diff(seen.indptr).astype(float) ** 2).sum()))
    scale = (1 / np.sqrt(np.maximum(np.diff(fans.indptr), 1))).astype(np.float32)
    found = []
    for rows in progress([*blocks(log.n_items, log.n_items)], "fitting item KNN"):
        shared = (fans[rows] @ seen).tocsr()  # whole numbers: the order of users cannot show
        shared.data *= scale[shared.indices] * np.repeat(scale[rows], np.diff(shared.indptr))
        found.append(strongest(shared, rows.start, neighbours))
    return sparse.vstack(found, format="csr")
