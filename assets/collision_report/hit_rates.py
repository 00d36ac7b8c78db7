"""What lies near what, in the space of the vectors: next to what people took, and before and after.

The hit rates are measures of FORGE that need no generator. All searches are exact and by inner
product.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from assets.evaluation import nearest

Vectors = NDArray[np.float32]
Rows = NDArray[np.integer[Any]]


@dataclass(frozen=True)
class Sought:
    """What is looked for: from some items to one target or several, rows of the vectors.

    Attributes:
        sources: For each task the rows from which its targets may be found.
        targets: For each task its targets' rows, at least one.
    """

    sources: Sequence[Rows]
    targets: Sequence[Rows]


def neighbours(vectors: Vectors, rows: Rows, k: int) -> Rows:
    """Return the k nearest other items of some items.

    Args:
        vectors: (items, dim).
        rows: (n,) rows to search for.
        k: Neighbours, the item itself not counted.

    Returns:
        (n, at most k) rows of ``vectors``, best first.
    """
    found = nearest(vectors[rows], vectors, k + 1)
    other = found != rows[:, None]
    # with many equal vectors an item may not be among its own nearest: then the last one goes
    other[other.all(axis=1), -1] = False
    return np.asarray(found[other].reshape(len(rows), found.shape[1] - 1))


def hits(vectors: Vectors, sought: Sought, k: int) -> NDArray[np.float64]:
    """Return for each task the share of its targets among the k nearest of any of its sources.

    Args:
        vectors: (items, dim).
        sought: The tasks.
        k: Neighbours of each source, itself excluded.
    """
    sources = np.concatenate([*sought.sources, np.empty(0, np.int64)]).astype(np.int64)
    distinct, place = np.unique(sources, return_inverse=True)
    near = neighbours(vectors, distinct, k)
    places = np.split(place, np.cumsum([len(rows) for rows in sought.sources], dtype=np.int64))[:-1]
    found = [
        np.isin(targets, near[rows]).mean()
        for targets, rows in zip(sought.targets, places, strict=True)
    ]
    return np.array(found, np.float64)


def bounded(sources: Sequence[Rows], most: int, draw: np.random.Generator) -> NDArray[np.int64]:
    """Return tasks that together have at most so many distinct sources, but one at the least.

    Long histories name most of a catalogue, and what :func:`hits` costs grows with the sources.

    Args:
        sources: For each task its sources.
        most: Distinct sources of the returned tasks.
        draw: Tasks are taken in its order until the next one's sources are too many.

    Returns:
        Places of the tasks, ascending.
    """
    order = draw.permutation(len(sources))
    rows = np.concatenate([np.empty(0, np.int64), *(sources[task] for task in order)])
    _, first = np.unique(rows, return_index=True)
    ends = np.cumsum([len(sources[task]) for task in order], dtype=np.int64)
    distinct = np.searchsorted(np.sort(first), ends)
    return np.sort(order[: max(int((distinct <= most).sum()), 1)])


def partner_recall(vectors: Vectors, items: Rows, others: Rows, k: int) -> float:
    """Return the mean over items of the share of their co-occurring items among their k nearest.

    Args:
        vectors: (items, dim).
        items: (pairs,) rows.
        others: (pairs,) rows of the items that co-occur with them.
        k: Neighbours.
    """
    distinct, place = np.unique(items, return_inverse=True)
    found = (neighbours(vectors, distinct, k)[place] == others[:, None]).any(axis=1)
    return float((np.bincount(place, weights=found) / np.bincount(place)).mean())


def neighbour_overlap(
    raw: Vectors, rebuilt: Vectors, *, k: int, most: int, seed: int
) -> dict[str, Any]:
    """Return how many of an item's nearest stay its nearest when codes stand for the vectors.

    Args:
        raw: (items, dim) input vectors.
        rebuilt: (items, dim) vectors rebuilt from the codes.
        k: Neighbours of each item, among all items.
        most: Items to look at; of more, a seeded sample is taken.
        seed: Seed of the sample.

    Returns:
        The mean share of common neighbours, None for a single item, and of how many items and
        neighbours.
    """
    rows = sample(np.arange(len(raw)), most, np.random.default_rng(seed))
    before, after = neighbours(raw, rows, k), neighbours(rebuilt, rows, k)
    common = (before[:, :, None] == after[:, None, :]).any(axis=2)
    return {
        "neighbour_overlap": common.mean() if common.size else None,
        "neighbour_overlap_items": len(rows),
        "overlap_neighbours": k,
    }


def sample(values: NDArray[Any], most: int, draw: np.random.Generator) -> NDArray[Any]:
    """Return at most so many of the values, in their order."""
    if len(values) <= most:
        return values
    return np.sort(draw.choice(values, most, replace=False))
