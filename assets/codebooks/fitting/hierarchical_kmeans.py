"""A tree of k-means clusterings, level by level."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Self

import numpy as np
from numpy.typing import NDArray

from assets.codebooks.fitting.fit import Fitted, TrainingData
from assets.codebooks.fitting.kmeans import (
    cluster,
    device_of_kmeans,
    distinct_rows,
    training_sample,
)
from assets.codebooks.hierarchical_kmeans import HierarchicalKMeans, groups_of
from assets.codebooks.nearest import NearestCode
from assets.codebooks.params import CodebooksParams
from assets.codebooks.quantizer import Vectors


def fit_hierarchical_kmeans(data: TrainingData, params: CodebooksParams) -> Fitted:
    """Cluster the vectors or a sample of them, then each cluster, and so on."""
    points = training_sample(data.vectors, params)
    node = np.zeros(len(points), np.int64)  # of the level above; −1: not split further
    above = np.zeros((1, points.shape[1]), np.float32)
    books, centroids, parents, codes = [], [], [], []
    for level, size in enumerate(params.sizes):
        grown = _Level.grow(points, node, above, size, level, params, data.device)
        books.append(grown.codebook)
        centroids.append(grown.centroids)
        parents.append(grown.parents)
        codes.append(grown.codes)
        node, above = grown.node, grown.centroids
    told = {"device": device_of_kmeans(data.device)}
    return Fitted(HierarchicalKMeans(books, centroids, parents, codes), told)


@dataclass(frozen=True)
class _Level:
    """The nodes of one level, by parent and code, and the node that each point went to."""

    codebook: Vectors
    centroids: Vectors
    parents: NDArray[np.int32]
    codes: NDArray[np.int32]
    node: NDArray[np.int64]

    @classmethod
    def grow(
        cls,
        points: Vectors,
        node: NDArray[np.int64],
        above: Vectors,
        size: int,
        level: int,
        params: CodebooksParams,
        device: str,
    ) -> Self:
        """Split every node of the level above that holds more than one distinct point."""
        found: list[tuple[int, Vectors]] = []
        for parent, rows in groups_of(node):
            members = points[rows]
            count = min(size, len(distinct_rows(members)))
            if count > 1 or level == 0:
                centres = cluster(members, count, params, level=level, device=device)
                found.append((parent, centres))
        dim = points.shape[1]
        if not found:
            none = np.empty(0, np.int32)
            empty = np.empty((0, dim), np.float32)
            return cls(np.zeros((size, dim), np.float32), empty, none, none, np.full(len(node), -1))
        codes = _number([children - above[parent] for parent, children in found], size, params)
        order = [np.argsort(own) for own in codes]
        centroids = np.concatenate([c[o] for (_, c), o in zip(found, order, strict=True)])
        numbers = np.concatenate([c[o] for c, o in zip(codes, order, strict=True)])
        parents = np.repeat([p for p, _ in found], [len(c) for _, c in found]).astype(np.int32)

        child = np.full(len(node), -1)
        for parent, rows in groups_of(node):
            first, end = np.searchsorted(parents, [parent, parent + 1])
            if first < end:
                child[rows] = first + NearestCode(centroids[first:end])(points[rows])
        items = np.bincount(child[child >= 0], minlength=len(centroids))
        weights = np.bincount(numbers, items, minlength=size)
        codebook = np.zeros((size, dim))
        np.add.at(codebook, numbers, (centroids - above[parents]) * items[:, None])
        codebook /= np.maximum(weights, 1)[:, None]
        return cls(codebook.astype(np.float32), centroids, parents, numbers, child)


def _number(offsets: list[Vectors], size: int, params: CodebooksParams) -> list[NDArray[np.int32]]:
    """Return the code of each child, per parent, from their offsets to it."""
    from scipy.optimize import linear_sum_assignment
    from scipy.spatial.distance import cdist

    if len(offsets) == 1:
        return [np.arange(len(offsets[0]), dtype=np.int32)]
    everywhere = np.ascontiguousarray(np.concatenate(offsets))
    directions = cluster(training_sample(everywhere, params), size, params)
    return [
        linear_sum_assignment(cdist(own, directions, "sqeuclidean"))[1].astype(np.int32)
        for own in offsets
    ]
