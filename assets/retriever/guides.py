"""What the items under a node of the trie are worth to a question, before any of them is written.

A SID says only roughly where an item lies, so a beam that judges inner nodes by codes alone
leaves the right branch early. Where a ranking of items is at hand, a node is worth what the best
item under it is worth there; otherwise what the best item under one of its children can be expected
to be worth, from the mean and the spread of the vectors there: a matrix and a column of numbers per
table of IDs.
"""

from __future__ import annotations

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from assets.ranking import Ranked
from assets.retriever.beam_search import Guide
from assets.semantic_ids.buckets import Buckets
from assets.semantic_ids.trie import Trie

SPREADS = 2.5  # vectors scatter more towards a query than evenly: 2 to 3 was best on validation
MULTIPLIED = 1 << 16  # nodes of a level, 256 * 256, up to which queries meet them all at once


def list_guide(trie: Trie, leaf_of: Tensor, ranked: Ranked, weight: float) -> Guide:
    """Guide by a ranking of items.

    Args:
        trie: All SIDs.
        leaf_of: (items,) leaf of each item.
        ranked: One ranking per row of the search. An item that stands in none is worth as much as
            the last of its row's.
        weight: Of a unit of score.
    """
    device, nodes = leaf_of.device, trie.depth_starts[-1]
    rows = torch.from_numpy(ranked.rows).to(device)
    worth = torch.from_numpy(ranked.scores).to(device)
    there = rows >= 0
    least = worth.masked_fill(~there, torch.inf).amin(1, keepdim=True) if rows.shape[1] else worth
    least = torch.where(there.any(1, keepdim=True), least, 0.0)
    row = torch.arange(len(rows), device=device)[:, None].expand_as(rows)[there]
    paths = trie.paths[leaf_of[rows[there]]]
    keys, place = torch.unique(row[:, None] * nodes + paths, return_inverse=True)
    best = torch.full((len(keys),), -torch.inf, device=device).scatter_reduce(
        0, place.flatten(), worth[there].repeat_interleave(paths.shape[1]), "amax"
    )

    def guide(_: int, asked: Tensor) -> Tensor:
        if not len(keys):
            return torch.zeros(asked.shape, device=device)
        key = torch.arange(len(asked), device=device)[:, None] * nodes + asked
        at = torch.searchsorted(keys, key).clamp(max=len(keys) - 1)
        return weight * torch.where(keys[at] == key, best[at], least)

    return guide


class NodeVectors:
    """Mean and spread of the vectors under every node, of which a search expects the best item.

    The best of n similarities that scatter normally about their mean with deviation s lies about
    s * sqrt(2 ln n) above it; ``SPREADS`` times that is added to the similarity of the mean vector.
    Judged by the mean alone, a node of many items would lose to one of few whose best item is
    worse. A node is worth what the best of its children can be expected to hold: they lie closer
    together than all that is under the node, so less is left to expect.
    """

    def __init__(self, trie: Trie, buckets: Buckets, vectors: NDArray[np.float32]) -> None:
        """Take mean and spread of every node.

        Args:
            trie: All SIDs.
            buckets: The items under each.
            vectors: (items, dim) float32, in order of item_id.
        """
        nodes, dim = trie.depth_starts[-1], vectors.shape[1]
        means = np.zeros((nodes, dim), dtype=np.float32)
        above = np.zeros(nodes, dtype=np.float32)
        ordered = vectors[buckets.items]
        lengths = np.einsum("nd,nd->n", ordered, ordered)
        for depth in range(trie.levels + 1):
            node = np.repeat(trie.paths[:, depth].cpu().numpy(), buckets.sizes)
            first = np.flatnonzero(np.diff(node, prepend=-1))
            counts = np.diff(first, append=len(node))
            mean = np.add.reduceat(ordered, first, axis=0) / counts[:, None]
            spread = np.add.reduceat(lengths, first) / counts - np.einsum("nd,nd->n", mean, mean)
            means[node[first]] = mean
            deviation = np.sqrt(np.maximum(spread, 0) / dim)
            above[node[first]] = SPREADS * deviation * np.sqrt(2 * np.log(counts))
        self._means = torch.from_numpy(means).to(trie.code.device)
        self._above = torch.from_numpy(above).to(trie.code.device)
        self._trie = trie

    def guide(self, queries: Tensor, weight: float) -> Guide:
        """Guide by the similarity of queries to the best that a node can be expected to hold.

        Nodes do not look ahead to a level of more than ``MULTIPLIED`` nodes, and of that level only
        those are read that are asked for: time and memory stay bounded however many items there
        are.

        Args:
            queries: (rows, dim) float32.
            weight: Of a unit of similarity.
        """
        starts = self._trie.depth_starts
        known: dict[int, Tensor] = {}

        def small(depth: int) -> bool:
            return depth <= self._trie.levels and starts[depth + 1] - starts[depth] <= MULTIPLIED

        def expected(depth: int) -> Tensor:
            """Return (rows, nodes of the depth), by each node's own mean and spread."""
            if depth not in known:
                level = slice(*starts[depth : depth + 2])
                known[depth] = queries @ self._means[level].T + self._above[level]
            return known[depth]

        def guide(depth: int, asked: Tensor) -> Tensor:
            if small(depth + 1):
                worth = self._best_child(depth, expected(depth + 1))
            elif small(depth):
                worth = expected(depth)
            else:
                # row by row: what all rows ask for may be many times the matrix
                rows = zip(asked, queries, strict=True)
                near = torch.stack([self._means[nodes] @ query for nodes, query in rows])
                return weight * (near + self._above[asked])
            return weight * worth.gather(1, asked - starts[depth])

        return guide

    def _best_child(self, depth: int, worth: Tensor) -> Tensor:
        """Return (rows, nodes of a depth) the largest of (rows, nodes of the next)."""
        first, end = self._trie.depth_starts[depth : depth + 2]
        children = self._trie.first_child[first : end + 1].diff()
        parent = torch.arange(end - first, device=worth.device).repeat_interleave(children)
        best = torch.full((len(worth), end - first), -torch.inf, device=worth.device)
        return best.scatter_reduce(1, parent.expand(len(worth), -1), worth, "amax")
