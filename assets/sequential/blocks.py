"""Transformer blocks, pre-norm, for short sequences."""

from __future__ import annotations

import torch
from torch import Tensor, nn
from torch.nn import functional


class Block(nn.Module):
    """Causal self-attention and a feed-forward layer, each after a norm and around a residual.

    Attention is written out: on a CPU torch's fused one is no faster at such lengths, and far
    slower in bfloat16.
    """

    def __init__(self, hidden: int, heads: int, feed_forward: int, dropout: float) -> None:
        """Draw the weights from torch's generator."""
        super().__init__()
        self.heads = heads
        self.attention_norm = nn.LayerNorm(hidden)
        self.attend = nn.Linear(hidden, 3 * hidden)
        self.join = nn.Linear(hidden, hidden)
        self.feed_norm = nn.LayerNorm(hidden)
        self.widen = nn.Linear(hidden, feed_forward)
        self.narrow = nn.Linear(feed_forward, hidden)
        self.dropout = nn.Dropout(dropout)

    def forward(self, x: Tensor, past: Tensor | None = None) -> tuple[Tensor, Tensor]:
        """Read a piece of sequences.

        Args:
            x: (rows, length, hidden).
            past: (2, rows, heads, places before, hidden / heads), what this block returned when it
                read what stands before; None at the start.

        Returns:
            (rows, length, hidden), and the past for what comes after.
        """
        rows, length, hidden = x.shape
        parts = self.attend(self.attention_norm(x)).view(rows, length, 3, self.heads, -1)
        query, *read = parts.permute(2, 0, 3, 1, 4)
        seen = torch.stack(read)
        if past is not None:
            seen = torch.cat([past, seen], dim=3)
        keys, values = seen
        scores = query @ keys.transpose(-1, -2) / keys.shape[-1] ** 0.5
        places = keys.shape[2]
        future = torch.ones(length, places, dtype=torch.bool, device=x.device).triu(
            places - length + 1
        )
        weights = scores.float().masked_fill(future, -torch.inf).softmax(-1).to(values.dtype)
        mixed = (weights @ values).transpose(1, 2).reshape(rows, length, hidden)
        x = x + self.dropout(self.join(mixed))
        fed = self.narrow(functional.gelu(self.widen(self.feed_norm(x))))
        return x + self.dropout(fed), seen
