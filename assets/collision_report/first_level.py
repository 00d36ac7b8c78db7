"""What the first-level codes stand for: their items, their most typical one, where they lie."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from assets.collision_report.categories import Categories


@dataclass(frozen=True)
class Prefix:
    """One first-level code and its items.

    Attributes:
        code: The code.
        items: Number of items.
        titles: Some of their titles, the item nearest to the centroid first.
        category: The commonest word of their categories, if they have any.
        share: Share of the items in that category.
        x: First coordinate of the centroid on the map.
        y: Second coordinate.
    """

    code: int
    items: int
    titles: list[str]
    category: str | None
    share: float
    x: float
    y: float


def first_level(
    codes: NDArray[np.integer[Any]],
    distances: NDArray[np.float32],
    centroids: NDArray[np.float32],
    items: pd.DataFrame,
    categories: Categories,
    titles: int,
) -> list[Prefix]:
    """Return the occupied first-level codes, the largest first.

    Args:
        codes: (items,) first code of each item.
        distances: (items,) distance to that code's centroid.
        centroids: (codes, dim).
        items: item_id, title and text, in the order of the codes.
        categories: Of the same items.
        titles: Titles per code.
    """
    order = np.lexsort((np.arange(len(codes)), distances, codes))
    starts = np.flatnonzero(np.diff(codes[order], prepend=-1))
    places = _plane(centroids)
    prefixes = []
    for members in np.split(order, starts[1:]):
        code = int(codes[members[0]])
        category, share = categories.commonest(members)
        prefixes.append(
            Prefix(
                code=code,
                items=len(members),
                titles=_titles(items.iloc[members[:titles]]),
                category=category,
                share=share,
                x=float(places[code, 0]),
                y=float(places[code, 1]),
            )
        )
    return sorted(prefixes, key=lambda prefix: (-prefix.items, prefix.code))


def _plane(centroids: NDArray[np.float32]) -> NDArray[np.float64]:
    """Return (codes, 2) coordinates on the two first principal components."""
    centred = (centroids - centroids.mean(axis=0)).astype(np.float64)
    _, _, axes = np.linalg.svd(centred, full_matrices=False)
    axes = axes[:2]
    # an axis may come out either way round: its largest entry is made positive
    largest = np.abs(axes).argmax(axis=1)
    axes = axes * np.sign(axes[np.arange(len(axes)), largest])[:, None]
    places = centred @ axes.T
    return np.pad(places, ((0, 0), (0, 2 - places.shape[1])))


def _titles(items: pd.DataFrame) -> list[str]:
    """Return titles; where there is none the beginning of the text, and else the id."""
    names = items["title"].where(items["title"].fillna("") != "", items["text"].str.slice(0, 60))
    return [str(name) for name in names.where(names.fillna("") != "", items["item_id"])]
