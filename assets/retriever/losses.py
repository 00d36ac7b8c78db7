"""The loss of writing SIDs; the item head's is the sampled softmax that other rankers share."""

from __future__ import annotations

import torch
from torch import Tensor

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
