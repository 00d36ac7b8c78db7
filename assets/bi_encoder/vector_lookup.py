"""Vectors computed once, in the place of the model that made them."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from sentence_transformers.base.modules import InputModule
from torch import Tensor


class VectorLookup(InputModule):
    """The first module of a model whose base is frozen: looks texts up instead of encoding them.

    With it sentence-transformers' own trainer trains a head at the cost of the head alone. It is
    never saved: the base takes its place in the model that is handed over.

    Args:
        texts: Distinct texts.
        vectors: (texts, dim) what the base makes of them.
    """

    def __init__(self, texts: Sequence[str], vectors: NDArray[np.float32]) -> None:
        super().__init__()
        self._rows = {text: row for row, text in enumerate(texts)}
        self._vectors = torch.from_numpy(vectors)

    def preprocess(
        self, inputs: Sequence[str], prompt: str | None = None, **_: Any
    ) -> dict[str, Tensor]:
        """Return the vectors of texts, (texts, dim)."""
        rows = [self._rows[(prompt or "") + text] for text in inputs]
        return {"sentence_embedding": self._vectors[rows]}

    def forward(self, features: dict[str, Tensor], **_: Any) -> dict[str, Tensor]:
        """Hand the vectors on."""
        return features

    def get_embedding_dimension(self) -> int:
        """Length of a vector."""
        return int(self._vectors.shape[1])

    def save(self, *_: Any, **__: Any) -> None:
        """Nothing to save."""
