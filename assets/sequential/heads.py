"""What a width of attention and its heads must be to each other, without importing torch."""

from __future__ import annotations


def require_equal_heads(hidden: int, heads: int) -> None:
    """Refuse heads that cannot share a width evenly.

    Args:
        hidden: Width of a model.
        heads: Attention heads per layer.

    Raises:
        ValueError: `heads` does not divide `hidden`.
    """
    if hidden % heads:
        raise ValueError(f"`heads` ({heads}) must divide `hidden` ({hidden})")
