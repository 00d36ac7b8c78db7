"""The softmax over a whole catalogue, estimated from a sample of it."""

from __future__ import annotations

import math
from collections.abc import Callable

import numpy as np
import torch
from torch import Tensor
from torch.nn import functional


def sampled_softmax_loss(
    states: Tensor,
    items: Tensor,
    vectors: Callable[[Tensor | None], Tensor],
    catalogue: int,
    negatives: int,
    rng: np.random.Generator,
) -> Tensor:
    """Return how unlikely the right items are found among all, in nats, estimated from a sample.

    Negatives are drawn evenly and shared by the batch; each stands for catalogue / negatives items
    (sampled softmax with the correction of Jean et al., arXiv 1412.2007), so the estimate does not
    depend on their number but for noise. In a catalogue no larger than that it is exact.

    Args:
        states: (n, hidden); an item scores the product of its vector and the state.
        items: (n,) the row of the right item.
        vectors: Returns the (k, hidden) vectors of (k,) rows, or of all items for None.
        catalogue: Number of items.
        negatives: Items that are drawn.
        rng: Source of randomness.

    Returns:
        The mean over the batch, a scalar.
    """
    if catalogue <= negatives:
        return functional.cross_entropy((states @ vectors(None).T).float(), items)
    drawn = torch.from_numpy(rng.integers(catalogue, size=negatives)).to(states.device)
    against = (states @ vectors(drawn).T).float()
    against = against + math.log((catalogue - 1) / negatives)
    against = against.masked_fill(drawn == items[:, None], -torch.inf)
    right = (states * vectors(items)).sum(1, dtype=torch.float32)
    return (torch.cat([right[:, None], against], dim=1).logsumexp(1) - right).mean()
