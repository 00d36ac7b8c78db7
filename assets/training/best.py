"""The best moment of a training is what is kept."""

from __future__ import annotations

import math
from typing import Any

from torch import Tensor, nn


class BestMoment:
    """Holds a copy of a model's weights at its best look at validation.

    Attributes:
        step: Steps done at that look.
        score: What it scored.
    """

    def __init__(self, model: nn.Module) -> None:
        """Start with the weights as they are, which any look beats."""
        self._model = model
        self.step = 0
        self.score = -math.inf
        self._weights = _copy(model)

    def look(self, step: int, score: float) -> None:
        """Take over the model's weights where they score at least as well as those held.

        Args:
            step: Steps done.
            score: On validation; higher is better. One that is no number is never the best.
        """
        if score >= self.score:
            self.step, self.score, self._weights = step, score, _copy(self._model)

    def put_back(self) -> None:
        """Make the weights of the best moment the model's."""
        self._model.load_state_dict(self._weights)

    def state(self) -> dict[str, Any]:
        """Return what :meth:`restore` takes, for a checkpoint."""
        return {"step": self.step, "score": self.score, "weights": self._weights}

    def restore(self, state: dict[str, Any]) -> None:
        """Go on from a checkpoint."""
        self.step, self.score, self._weights = state["step"], state["score"], state["weights"]


def _copy(model: nn.Module) -> dict[str, Tensor]:
    return {name: tensor.detach().clone() for name, tensor in model.state_dict().items()}
