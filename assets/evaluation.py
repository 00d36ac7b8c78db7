"""How good a ranking is: one definition of every measure for all stages that measure.

A ranking is reduced to its **gains**: ``gains[q, p]`` is what the item at rank ``p`` (from 0) is
worth to query ``q``: 1 for a right answer, 0 for a wrong one, and 1/g for each of the g places over
which a group of g tied items holding one right answer is spread. Every measure follows from them.
"""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.floating[Any]]
Rows = NDArray[np.integer[Any]]


@dataclass(frozen=True)
class Interval:
    """A mean with the bounds of its bootstrap interval."""

    mean: float
    low: float
    high: float


def choose_by_hash(keys: Sequence[str], most: int | None, seed: int) -> list[int]:
    """Return the places of at most ``most`` keys, ascending; their hashes alone decide which.

    Args:
        keys: Distinct keys.
        most: Number of places wanted; None: all.
        seed: Seed of the hashes.
    """
    if most is None or len(keys) <= most:
        return list(range(len(keys)))
    digests = [hashlib.sha256(f"{seed}\0{key}".encode()).digest() for key in keys]
    return sorted(sorted(range(len(keys)), key=digests.__getitem__)[:most])


def gains_of(ranked: Rows, relevant: Sequence[Rows]) -> Floats:
    """Return the gains of rankings without ties.

    Args:
        ranked: (queries, k) ids of the ranked items, best first, -1 where there is none.
        relevant: For each query the ids of its right answers, each once.

    Returns:
        (queries, k) float32, 1 where the item is a right answer.
    """
    counts = np.fromiter(map(len, relevant), dtype=np.int64, count=len(relevant))
    answers = np.concatenate([*relevant, np.empty(0, np.int64)]).astype(np.int64)
    width = int(max(ranked.max(initial=0), answers.max(initial=0))) + 2
    keys = np.repeat(np.arange(len(relevant)), counts) * width + answers + 1
    asked = np.arange(len(ranked))[:, None] * width + ranked + 1
    return (np.isin(asked, keys) & (ranked >= 0)).astype(np.float32)


def recall(gains: Floats, relevant: Rows, k: int) -> Floats:
    """Return recall@k of each query: the share of its right answers among the first k.

    Args:
        gains: (queries, at least k).
        relevant: (queries,) how many right answers each query has, at least 1.
        k: Cut-off.
    """
    return np.asarray(gains[:, :k].sum(axis=1) / relevant)


def ndcg(gains: Floats, relevant: Rows, k: int) -> Floats:
    """Return NDCG@k of each query against the ideal ranking that has all right answers first."""
    discounts = 1 / np.log2(np.arange(2, gains.shape[1] + 2))
    ideal = np.cumsum(1 / np.log2(np.arange(2, k + 2)))
    return np.asarray(
        (gains[:, :k] * discounts[:k]).sum(axis=1) / ideal[np.minimum(relevant, k) - 1]
    )


def reciprocal_rank(gains: Floats) -> Floats:
    """Return 1 / (rank of the first right answer) of each query, 0 where none was ranked.

    Places share a chance of 1 from the top: gains of a tied group with one right answer give the
    mean over all orders of the group, and so does any row of chances that the first right answer
    stands at each place.
    """
    before = np.cumsum(gains, axis=1, dtype=np.float64) - gains
    chance = np.clip(1 - before, 0, gains)
    return np.asarray((chance / np.arange(1, gains.shape[1] + 1)).sum(axis=1))


def bootstrap(
    values: Floats,
    *,
    seed: int,
    samples: int = 1000,
    level: float = 0.95,
    groups: Sequence[str] | NDArray[Any] | None = None,
) -> Interval:
    """Return the mean of per-query values with its percentile bootstrap interval.

    Pass the difference of two methods' values on the same queries for a paired interval.

    Args:
        values: (queries,).
        seed: Seed of the resampling.
        samples: Number of resamples.
        level: Coverage of the interval.
        groups: (queries,) what each query is about. Queries of one group are drawn together: where
            several ask for one item they succeed and fail together, and counting each as evidence
            of its own would make the interval too narrow. None: every query stands for itself.
    """
    if not len(values):
        return Interval(float("nan"), float("nan"), float("nan"))
    draw = np.random.default_rng(seed)
    if groups is None:
        sums: Floats = np.asarray(values, dtype=np.float64)
        counts: Floats = np.ones(len(values))
    else:
        _, group = np.unique(np.asarray(groups), return_inverse=True)
        sums = np.asarray(np.bincount(group, weights=values), dtype=np.float64)
        counts = np.asarray(np.bincount(group), dtype=np.float64)
    means = np.empty(samples)
    for sample in range(samples):
        drawn = draw.integers(len(sums), size=len(sums))
        means[sample] = sums[drawn].sum() / counts[drawn].sum()
    low, high = np.quantile(means, [(1 - level) / 2, (1 + level) / 2])
    return Interval(float(np.mean(values)), float(low), float(high))


def nearest(queries: Floats, vectors: Floats, k: int, *, device: str = "cpu") -> Rows:
    """Return the k vectors with the largest inner product, exactly.

    Args:
        queries: (queries, dim) float32.
        vectors: (items, dim) float32.
        k: Neighbours per query.
        device: ``cuda`` uses faiss's GPU index where this faiss has one.

    Returns:
        (queries, min(k, items)) rows of ``vectors``, best first.
    """
    import faiss

    index: Any = faiss.IndexFlatIP(vectors.shape[1])
    if device == "cuda" and hasattr(faiss, "StandardGpuResources"):
        index = faiss.index_cpu_to_gpu(faiss.StandardGpuResources(), 0, index)
    index.add(np.ascontiguousarray(vectors, dtype=np.float32))
    _, rows = index.search(
        np.ascontiguousarray(queries, dtype=np.float32), min(k, vectors.shape[0])
    )
    return np.asarray(rows)
