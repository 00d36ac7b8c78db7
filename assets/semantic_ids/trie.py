"""All Semantic IDs as a trie in a few flat arrays, so that a beam can look up children on tensors.

Three items under the SIDs (0, 5), (0, 7) and (3, 5); two of them share the last one's bucket::

    node 0 (root)                    node:          0  1  2  3  4  5
      +- 0 -> node 1                 code:          .  0  3  5  7  5
      |        +- 5 -> node 3        first_child:   1  3  5  6  6  6  6
      |        +- 7 -> node 4        depth starts:  0, 1, 3, 6
      +- 3 -> node 2
               +- 5 -> node 5        children of node n: first_child[n] ... first_child[n + 1] - 1

Nodes are numbered level by level in order of their prefixes, so the children of a node are
neighbours, and the last nodes are the leaves, in the order of the sorted SIDs.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor


@dataclass(frozen=True)
class Trie:
    """The trie; all tensors lie on one device.

    Attributes:
        code: (nodes,) int64, the code that leads to a node; 0 for the root.
        first_child: (nodes + 1,) int64.
        depth_starts: First node of each depth, then the number of nodes.
        widest: For each depth but the last, the most children a node of it has.
        paths: (leaves, levels + 1) int64, the nodes from the root to each leaf.
    """

    code: Tensor
    first_child: Tensor
    depth_starts: tuple[int, ...]
    widest: tuple[int, ...]
    paths: Tensor

    @classmethod
    def build(cls, sids: NDArray[np.integer[Any]], device: torch.device | str = "cpu") -> Trie:
        """Build the trie of (leaves, levels) distinct SIDs in ascending order."""
        leaves, levels = sids.shape
        is_new = np.zeros((leaves, levels + 1), dtype=bool)
        is_new[0] = True
        # (leaves, levels): whether the prefix up to this level differs from that of the row before
        is_new[1:, 1:] = np.logical_or.accumulate(sids[1:] != sids[:-1], axis=1)
        counts = is_new.sum(axis=0)
        depth_starts = np.concatenate([[0], np.cumsum(counts)])
        paths = np.cumsum(is_new, axis=0) - 1 + depth_starts[:-1]
        code, parents = [np.zeros(1, np.int64)], []
        for depth in range(1, levels + 1):
            rows = np.flatnonzero(is_new[:, depth])
            code.append(sids[rows, depth - 1].astype(np.int64))
            parents.append(paths[rows, depth - 1])
        degree = np.bincount(np.concatenate(parents), minlength=depth_starts[-1])
        return cls(
            code=torch.from_numpy(np.concatenate(code)).to(device),
            first_child=torch.from_numpy(np.concatenate([[1], 1 + np.cumsum(degree)])).to(device),
            depth_starts=tuple(depth_starts.tolist()),
            widest=tuple(
                int(degree[depth_starts[depth] : depth_starts[depth + 1]].max())
                for depth in range(levels)
            ),
            paths=torch.from_numpy(paths).to(device),
        )

    @property
    def levels(self) -> int:
        """Length of a SID."""
        return len(self.widest)

    def children(self, nodes: Tensor, depth: int) -> tuple[Tensor, Tensor]:
        """Return the children of nodes of one depth.

        Args:
            nodes: (...) int64.
            depth: Their depth, 0 for the root.

        Returns:
            (..., widest) int64 child nodes and (..., widest) bool, True where there is one; where
            there is none the node's number is a valid one that means nothing.
        """
        first = self.first_child[nodes].unsqueeze(-1)
        end = self.first_child[nodes + 1].unsqueeze(-1)
        child = first + torch.arange(self.widest[depth], device=nodes.device)
        exists = child < end
        return torch.where(exists, child, first), exists

    def log_probabilities(self, logits: Tensor, children: Tensor, exists: Tensor) -> Tensor:
        """Normalise a level's logits over the children of each node.

        Args:
            logits: (..., codes of the level) float.
            children: (..., widest) from :meth:`children`.
            exists: (..., widest) from :meth:`children`.

        Returns:
            (..., widest) float32 log probabilities, -inf where there is no child.
        """
        chosen = logits.float().gather(-1, self.code[children])
        return chosen.masked_fill(~exists, -torch.inf).log_softmax(-1)
