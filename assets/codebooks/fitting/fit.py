"""What fitting a quantizer gets, and what it gives."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Protocol

import numpy as np
from numpy.typing import NDArray

from assets.codebooks.params import CodebooksParams
from assets.codebooks.quantizer import Quantizer, Vectors


@dataclass(frozen=True)
class TrainingData:
    """What quantizers learn from.

    Attributes:
        vectors: (items, dim) float32, finite, at least one, in order of item_id.
        item_ids: (items,) text, for who knows items by name; None: they have no names.
        pairs: Reads (pairs, 2) rows of items that occur together in train; None: not known.
        device: Where to compute: ``cpu``, ``cuda`` or ``auto``.
        checkpoints: Makes the folder from which a killed training goes on; it must be the same one
            for the same training alone. None: each training starts at the beginning.
    """

    vectors: Vectors
    item_ids: NDArray[np.object_] | None = None
    pairs: Callable[[], NDArray[np.int64]] | None = None
    device: str = "cpu"
    checkpoints: Callable[[], Path] | None = None


@dataclass(frozen=True)
class Fitted:
    """A quantizer, and what fitting it has to say for the report."""

    quantizer: Quantizer
    told: Mapping[str, Any] = field(default_factory=dict)


class Fit(Protocol):
    """Learns a quantizer."""

    def __call__(self, data: TrainingData, params: CodebooksParams) -> Fitted:
        """Learn from the data, as the stage's params say.

        Raises:
            UserError: It cannot be fitted; the text says what to change.
        """
        ...
