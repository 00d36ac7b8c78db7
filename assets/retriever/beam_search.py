"""Beam search that can only walk the trie: an ID that no item has cannot come out.

All beams of a query are positions of **one** sequence, and a mask says which earlier positions each
may see: the prompt, its own ancestors, itself. So nothing is copied or reordered between steps, the
prompt is read once, and no loop runs over beams or queries::

    prompt          level a       level b             mask of the second beam of level b:
    [p p p p p]  [ a1 a2 a3 ]  [ b1 b2 b3 ]            p p p p p   . a2 .   . b2 .
                                (b2 is a child of a2)

A node whose items are all in the user's history is dead and leaves the search where it would enter
it, so beams are never spent on what may not be recommended.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import torch
from torch import Tensor
from transformers import DynamicCache

from assets.semantic_ids.trie import Trie

if TYPE_CHECKING:
    from assets.retriever.model import RetrieverModel


@torch.inference_mode()
def beam_search(
    model: RetrieverModel,
    trie: Trie,
    prompt: Tensor,
    beams: int,
    *,
    prompt_mask: Tensor | None = None,
    latent: Tensor | None = None,
    similarity_weight: float = 0.0,
    dead: Tensor | None = None,
) -> tuple[Tensor, Tensor, Tensor]:
    """Find the most probable leaves.

    Args:
        model: The model.
        trie: All SIDs.
        prompt: (rows, length, hidden) embedded prompts; shorter ones padded on the left.
        beams: Prefixes kept per row and level.
        prompt_mask: (rows, length) bool, False where padded.
        latent: (rows, latent dim) query vectors for the guide.
        similarity_weight: What a unit of similarity between the query and the item as its SID
            rebuilds it adds to the score. Log probabilities alone say nothing where a node has a
            single child: it follows for certain, however little it suits the query.
        dead: Sorted ``row * nodes + node`` of the nodes that must not be entered.

    Returns:
        (rows, beams) int64 leaves, -1 where there are fewer than `beams`; (rows, beams) float32 log
        probabilities plus weighted similarities, best first, -inf where there is no leaf; and
        (rows, beams, levels) int64, the tokens of each beam as they were read back by the model, -1
        where there is no leaf. Equal scores come in the order of SIDs.
    """
    rows, length, _ = prompt.shape
    device = prompt.device
    cache = DynamicCache(config=model.lm.config)
    if prompt_mask is None:
        prompt_mask = torch.ones(rows, length, dtype=torch.bool, device=device)
    causal = torch.ones(length, length, dtype=torch.bool, device=device).tril()
    # a padded position sees itself: a row of the mask without any True would turn into NaN
    itself = torch.eye(length, dtype=torch.bool, device=device)
    sees = (causal & prompt_mask[:, None]) | itself
    place = torch.arange(length, device=device).expand(rows, -1)
    hidden = _forward(model, prompt, sees, place, cache)[:, -1:]

    nodes = torch.zeros(rows, 1, dtype=torch.int64, device=device)
    scores = torch.zeros(rows, 1, device=device)
    seen = prompt_mask[:, None]  # (rows, nodes kept, positions so far)
    written = torch.empty(rows, 1, 0, dtype=torch.int64, device=device)
    for level in range(trie.levels):
        if level:
            width = nodes.shape[1]
            own = torch.eye(width, dtype=torch.bool, device=device).expand(rows, -1, -1)
            seen = torch.cat([seen, own], dim=2)
            place = torch.full((rows, width), length + level - 1, device=device)
            hidden = _forward(model, model.embed(written[..., -1]), seen, place, cache)
        children, exists = trie.children(nodes, level)
        similarity = model.similarity(latent, level)
        if similarity is not None:
            similarity = similarity[:, None]  # the same for all beams of a row
        logits = model.logits(hidden, level, similarity)
        found = scores[..., None] + trie.log_probabilities(logits, children, exists)
        if similarity is not None:
            nearness = similarity.expand_as(logits).gather(2, trie.code[children])
            found = found + similarity_weight * nearness
        found, children = found.flatten(1), children.flatten(1)
        if dead is not None:
            found = found.masked_fill(_is_dead(children, dead, trie), -torch.inf)
        keep = min(
            beams, found.shape[1], trie.depth_starts[level + 2] - trie.depth_starts[level + 1]
        )
        scores, chosen = found.sort(dim=1, descending=True, stable=True)
        scores, chosen = scores[:, :keep], chosen[:, :keep]
        nodes = children.gather(1, chosen)
        parent = (chosen // trie.widest[level])[..., None]
        seen = seen.gather(1, parent.expand(-1, -1, seen.shape[2]))
        tokens = trie.code[nodes] + model.vocabulary.first[level]
        before = written.gather(1, parent.expand(-1, -1, level))
        written = torch.cat([before, tokens[..., None]], dim=2)

    leaves = (nodes - trie.depth_starts[trie.levels]).masked_fill(scores.isneginf(), -1)
    missing = (0, beams - leaves.shape[1])
    return (
        torch.nn.functional.pad(leaves, missing, value=-1),
        torch.nn.functional.pad(scores, missing, value=-torch.inf),
        torch.nn.functional.pad(
            written.masked_fill(scores.isneginf()[..., None], -1), (0, 0, *missing), value=-1
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


def _forward(
    model: RetrieverModel, embedded: Tensor, sees: Tensor, place: Tensor, cache: DynamicCache
) -> Tensor:
    return model.lm.model(
        inputs_embeds=embedded,
        attention_mask=sees[:, None],
        position_ids=place,
        cache=cache,
        use_cache=True,
    ).last_hidden_state
