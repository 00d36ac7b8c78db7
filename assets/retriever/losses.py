"""The losses of the two heads, both mean negative log likelihoods in nats."""

from __future__ import annotations

import math

import numpy as np
import torch
from torch import Tensor
from torch.nn import functional

from assets.retriever.model import CompactModel
from assets.semantic_ids.trie import Trie


def sid_loss(
    model: CompactModel, trie: Trie, leaf_of: Tensor, states: Tensor, items: Tensor
) -> Tensor:
    """Return how unlikely the decoder finds the SIDs of the right items, summed over their levels.

    Args:
        model: The model.
        trie: All SIDs; a code is told from those that the trie allows after its prefix.
        leaf_of: (items,) leaf of each item of the catalogue.
        states: (n, hidden).
        items: (n,) the row of the right item.
    """
    paths = trie.paths[leaf_of[items]]
    total = torch.zeros(len(items), device=states.device)
    for level, logits in enumerate(model.sid_logits(states, model.item_codes[items])):
        children, exists = trie.children(paths[:, level], level)
        right = paths[:, level + 1, None] - children[:, :1]
        total = total - trie.log_probabilities(logits, children, exists).gather(1, right)[:, 0]
    return total.mean()


def item_loss(
    model: CompactModel,
    states: Tensor,
    items: Tensor,
    negatives: int,
    rng: np.random.Generator,
    dropped: Tensor | None = None,
) -> Tensor:
    """Return how unlikely the item head finds the right items among all, estimated from a sample.

    Negatives are drawn evenly and shared by the batch; each stands for catalogue / negatives items
    (sampled softmax with the correction of Jean et al., arXiv 1412.2007), so the estimate does not
    depend on their number but for noise. In a catalogue no larger than that it is exact.

    Args:
        model: The model.
        states: (n, hidden).
        items: (n,) the row of the right item.
        negatives: Items that are drawn.
        rng: Source of randomness.
        dropped: (items,) bool, whose own vector is left out.
    """
    catalogue = len(model.item_codes)
    if catalogue <= negatives:
        return functional.cross_entropy(
            (states @ model.item_vectors(None, dropped).T).float(), items
        )
    drawn = torch.from_numpy(rng.integers(catalogue, size=negatives)).to(states.device)
    against = (states @ model.item_vectors(drawn, dropped).T).float()
    against = against + math.log((catalogue - 1) / negatives)
    against = against.masked_fill(drawn == items[:, None], -torch.inf)
    right = (states * model.item_vectors(items, dropped)).sum(1, dtype=torch.float32)
    return (torch.cat([right[:, None], against], dim=1).logsumexp(1) - right).mean()
