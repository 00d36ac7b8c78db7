"""Vectors and params that the tests of the quantizers share."""

from __future__ import annotations

from typing import Any

import numpy as np

from assets.codebooks.fitting.fit import TrainingData
from assets.codebooks.fitting.fitters import fit_quantizer
from assets.codebooks.params import CodebooksParams
from assets.codebooks.quantizer import Quantizer
from assets.codebooks.quantizers import QUANTIZERS

FITTED = [name for name in QUANTIZERS if name != "external"]  # learn their codes from vectors
ADDITIVE = [name for name in FITTED if QUANTIZERS[name].additive]

QUICK: dict[str, dict[str, Any]] = {
    "rq_vae": {
        "hidden": [16],
        "latent_dim": 6,
        "epochs": 4,
        "plain_epochs": 1,
        "batch_size": 64,
        "on_collapse": "keep",
    },
    "residual_lfq": {"epochs": 4, "batch_size": 64},
    "dictionary": {"steps": 5, "batch_size": 32},
}


def clustered(items: int, dim: int = 16, seed: int = 0) -> np.ndarray:
    rng = np.random.default_rng(seed)
    centres = rng.normal(size=(12, dim))
    points = centres[rng.integers(12, size=items)] + 0.3 * rng.normal(size=(items, dim))
    return (points / np.linalg.norm(points, axis=1, keepdims=True)).astype(np.float32)


def small(quantizer: str = "rq_kmeans", **changes: Any) -> CodebooksParams:
    """Params of a quick fit; a section of knobs is laid over the quick ones."""
    sections = {
        name: knobs | changes.pop(name, {})
        for name, knobs in QUICK.items()
        if name == quantizer or name in changes
    }
    base = {"quantizer": quantizer, "levels": 3, "codebook_size": 8, "iterations": 10}
    return CodebooksParams(**base | sections | changes)


def fit(quantizer: str, vectors: np.ndarray, **changes: Any) -> Quantizer:
    return fit_quantizer(data_of(vectors), small(quantizer, **changes)).quantizer


def names_of(items: int) -> np.ndarray:
    return np.array([f"item {row:03}" for row in range(items)], object)


def data_of(vectors: np.ndarray, pairs: np.ndarray | None = None) -> TrainingData:
    none = np.empty((0, 2), np.int64)
    return TrainingData(vectors, names_of(len(vectors)), lambda: none if pairs is None else pairs)
