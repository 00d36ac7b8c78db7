"""Beam search that can only walk the trie: an ID that no item has cannot come out.

A node whose items are all in the user's history is dead and leaves the search where it would enter
it, so beams are never spent on what may not be recommended. A **guide** says beforehand what the
items under each node are worth to the question; see ``guides.py``.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING

import torch
from torch import Tensor

from assets.semantic_ids.trie import Trie

if TYPE_CHECKING:
    from assets.retriever.model import CompactModel

Guide = Callable[[int, Tensor], Tensor]
"""(depth, (rows, nodes) nodes of that depth) to (rows, nodes) what the items under them are worth,
weighted; of a node's ancestors nothing counts any more."""


@torch.inference_mode()
def beam_search(
    model: CompactModel,
    trie: Trie,
    states: Tensor,
    beams: int,
    *,
    guide: Guide | None = None,
    dead: Tensor | None = None,
) -> tuple[Tensor, Tensor, Tensor]:
    """Find the leaves with the largest log probability plus guide.

    Args:
        model: The model.
        trie: All SIDs.
        states: (rows, hidden) what SIDs are written from.
        beams: Prefixes kept per row and level.
        guide: Added to the log probability of a prefix.
        dead: Sorted ``row * nodes + node`` of the nodes that must not be entered.

    Returns:
        (rows, beams) int64 leaves, -1 where there are fewer than `beams`; (rows, beams) float32 log
        probabilities plus guide, best first, -inf where there is no leaf; and (rows, beams, levels)
        int64, the codes of each beam as the model wrote them, -1 where there is no leaf. Equal
        scores come in the order of SIDs.
    """
    rows = len(states)
    device = states.device
    nodes = torch.zeros(rows, 1, dtype=torch.int64, device=device)
    likely = torch.zeros(rows, 1, device=device)
    written = torch.empty(rows, 1, 0, dtype=torch.int64, device=device)
    past: list[Tensor] = []
    scores = likely
    for level in range(trie.levels):
        width = nodes.shape[1]
        last = written[..., -1].flatten() if level else nodes.flatten()
        logits, past = model.write(level, states, last, past)
        children, exists = trie.children(nodes, level)
        found = likely[..., None] + trie.log_probabilities(
            logits.view(rows, width, -1), children, exists
        )
        found, children = found.flatten(1), children.flatten(1)
        if dead is not None:
            found = found.masked_fill(_is_dead(children, dead, trie), -torch.inf)
        judged = found if guide is None else found + guide(level + 1, children)
        keep = min(
            beams, found.shape[1], trie.depth_starts[level + 2] - trie.depth_starts[level + 1]
        )
        scores, chosen = judged.sort(dim=1, descending=True, stable=True)
        scores, chosen = scores[:, :keep], chosen[:, :keep]
        nodes, likely = children.gather(1, chosen), found.gather(1, chosen)
        parent = chosen // trie.widest[level]
        before = written.gather(1, parent[..., None].expand(-1, -1, level))
        written = torch.cat([before, trie.code[nodes][..., None]], dim=2)
        place = (torch.arange(rows, device=device)[:, None] * width + parent).flatten()
        past = [seen[:, place] for seen in past]

    gone = scores.isneginf()
    leaves = (nodes - trie.depth_starts[trie.levels]).masked_fill(gone, -1)
    missing = (0, beams - leaves.shape[1])
    return (
        torch.nn.functional.pad(leaves, missing, value=-1),
        torch.nn.functional.pad(scores, missing, value=-torch.inf),
        torch.nn.functional.pad(
            written.masked_fill(gone[..., None], -1), (0, 0, *missing), value=-1
        ),
    )


def dead_nodes(
    trie: Trie, bucket_sizes: Tensor, leaf_of: Tensor, row: Tensor, item: Tensor
) -> Tensor:
    """Find the nodes under which every item is excluded.

    Args:
        trie: All SIDs.
        bucket_sizes: (leaves,) items of each leaf.
        leaf_of: (items,) leaf of each item.
        row: (exclusions,) int64, the row of the search ...
        item: ... and the item it must not find; a pair may stand several times.

    Returns:
        Sorted ``row * nodes + node``.
    """
    nodes = trie.depth_starts[-1]
    pairs = torch.unique(row * len(leaf_of) + item)
    row, item = pairs // len(leaf_of), pairs % len(leaf_of)
    items_under = torch.zeros(nodes, dtype=torch.int64, device=trie.code.device)
    items_under.index_add_(0, trie.paths.flatten(), bucket_sizes.repeat_interleave(trie.levels + 1))
    keys = (row[:, None] * nodes + trie.paths[leaf_of[item]]).flatten()
    keys, excluded = torch.unique(keys, return_counts=True)
    return keys[excluded == items_under[keys % nodes]]


def _is_dead(children: Tensor, dead: Tensor, trie: Trie) -> Tensor:
    if not len(dead):
        return torch.zeros_like(children, dtype=torch.bool)
    row = torch.arange(len(children), device=children.device)[:, None]
    keys = row * trie.depth_starts[-1] + children
    place = torch.searchsorted(dead, keys).clamp(max=len(dead) - 1)
    return dead[place] == keys
