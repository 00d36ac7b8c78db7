"""How the learning rate goes over a training."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from torch.optim import Optimizer


def warmup_cosine(step: int, warmup_steps: int, steps: int) -> float:
    """Return a step's share of the peak: up in a line, then down along a cosine.

    The first step already learns: its share is 1 / `warmup_steps`. The last step of the warm-up is
    at the peak, and what would follow the last of all is 0.

    Args:
        step: Steps done before, from 0.
        warmup_steps: Steps on the way up; 0 starts at the peak.
        steps: All steps.
    """
    if step < warmup_steps:
        return (step + 1) / warmup_steps
    done = (step - warmup_steps) / max(1, steps - warmup_steps)
    return 0.5 * (1 + math.cos(math.pi * min(done, 1.0)))


def set_learning_rate(optimiser: Optimizer, rate: float) -> None:
    """Give all groups of weights one learning rate."""
    for group in optimiser.param_groups:
        group["lr"] = rate
