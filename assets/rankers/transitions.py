"""What comes after what: a Markov chain, and a graph of it walked in two hops.

T holds counts of item -> later item in train histories, plus a share of their transpose (who had
one next to the other may want either after either), rows brought to sum 1. One hop, forward alone
and to the next item alone, is the first-order Markov chain; ``T + two_hop * T @ T`` reaches what
came after what came after, as random-walk recommenders do (Cooper et al., WWW 2014).
"""

from __future__ import annotations

from typing import Any

import numpy as np
from scipy import sparse

from assets.rankers.log import SPARSE, Budget, Log, blocks, strongest
from assets.sequential.spectral import transitions
from assets.stage import progress


def walks(
    log: Log,
    *,
    reach: int,
    backward: float,
    two_hop: float,
    neighbours: int | None,
    budget: Budget,
) -> Any:
    """Weigh the items that walks of one and of two hops lead to.

    Args:
        log: The train interactions.
        reach: Most places between the two items of a transition; see
            :func:`assets.sequential.spectral.transitions`.
        backward: Weight of a transition taken backward.
        two_hop: Weight of two hops beside one.
        neighbours: Strongest entries kept per item, equals in order of row; None: all.
        budget: What two hops are taken from: SPARSE for each walk.

    Returns:
        (items, items) sparse float32, zero on the diagonal.

    Raises:
        TooLargeError: The budget is too small for them.
    """
    hop = transitions(log.users, log.items, log.n_items, reach)
    if backward:
        hop = (hop + np.float32(backward) * hop.T).tocsr()
    sums = np.asarray(hop.sum(axis=1)).ravel()
    hop.data /= np.repeat(np.where(sums > 0, sums, 1).astype(np.float32), np.diff(hop.indptr))
    if two_hop:
        # each entry i -> j meets all entries of row j
        budget.take(SPARSE * float(np.diff(hop.indptr)[hop.indices].sum()))
    found = []
    for rows in progress([*blocks(log.n_items, log.n_items)], "walking the graph"):
        reached = hop[rows]
        if two_hop:
            reached = (reached + np.float32(two_hop) * (reached @ hop)).tocsr()
        found.append(strongest(reached, rows.start, neighbours))
    return sparse.vstack(found, format="csr")
