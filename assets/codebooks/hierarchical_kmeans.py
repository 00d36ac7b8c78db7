"""Clusters inside clusters: each code names a cluster of those that share the codes before it.

A code means something only under its prefix, so no codebook of a level stands for all: policies
that walk residuals are not defined, others are (``none``, ``append_index``, ``random_n``). A
cluster that holds one distinct vector is not split: its items have code 0 from there on.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any, ClassVar, Self

import numpy as np
from numpy.typing import NDArray

from assets.codebooks.nearest import NearestCode
from assets.codebooks.quantizer import Codes, Quantizer, Vectors
from assets.codebooks.residual import levels_of


class HierarchicalKMeans(Quantizer):
    """A tree of k-means clusterings.

    Children are numbered alike under all parents: their offsets from the parent are matched, one to
    one and at least squared distance, to common directions of their level. So a code of a lower
    level has a meaning of its own, which ``codebooks`` holds: the mean offset it stands for.
    """

    name: ClassVar[str] = "hierarchical_kmeans"
    additive: ClassVar[bool] = False

    def __init__(
        self,
        codebooks: list[Vectors],
        centroids: list[Vectors],
        parents: list[NDArray[np.int32]],
        codes: list[NDArray[np.int32]],
    ) -> None:
        """Put a tree together.

        Args:
            codebooks: (codes of the level, dim) mean offsets per level.
            centroids: (nodes of the level, dim) per level.
            parents: (nodes of the level,) rows of the level above, ascending; 0 at the first.
            codes: (nodes of the level,) codes, ascending under each parent.
        """
        self._codebooks = codebooks
        self._centroids = centroids
        self._parents = parents
        self._codes = codes

    @property
    def codebooks(self) -> list[Vectors]:
        """One (codes of the level, dim) matrix of mean offsets per level."""
        return self._codebooks

    def latent(self, vectors: Vectors) -> Vectors:
        """Return the vectors: centroids live in their space."""
        return vectors

    def encode(self, vectors: Vectors) -> Codes:
        """Return the (n, levels) codes of (n, dim) vectors: the nearest child at each node."""
        vectors = np.ascontiguousarray(vectors, np.float32)
        codes = np.zeros((len(vectors), len(self._centroids)), np.int32)
        node = np.zeros(len(vectors), np.int64)
        for level, centroids in enumerate(self._centroids):
            child = np.full(len(vectors), -1)
            for parent, rows in groups_of(node):
                first, end = np.searchsorted(self._parents[level], [parent, parent + 1])
                if first < end:
                    child[rows] = first + NearestCode(centroids[first:end])(vectors[rows])
            reached = child >= 0
            codes[reached, level] = self._codes[level][child[reached]]
            node = child
        return codes

    def decode(self, codes: Codes) -> Vectors:
        """Return the (n, dim) centroids of the deepest clusters that (n, levels) codes name."""
        vectors = np.zeros((len(codes), self._centroids[0].shape[1]), np.float32)
        node = np.zeros(len(codes), np.int64)
        for level, column in enumerate(codes.T):
            if not len(self._centroids[level]):
                break
            size = len(self._codebooks[level])
            keys = self._parents[level].astype(np.int64) * size + self._codes[level]
            wanted = node * size + column
            place = np.searchsorted(keys, wanted)
            exists = node >= 0
            exists[exists] = keys[np.minimum(place, len(keys) - 1)][exists] == wanted[exists]
            node = np.where(exists, place, -1)
            vectors[exists] = self._centroids[level][node[exists]]
        return vectors

    def tensors(self) -> dict[str, NDArray[Any]]:
        """Return codebook, centroids, parents and codes of each level."""
        named: dict[str, list[Any]] = {
            "level": self._codebooks,
            "centroids": self._centroids,
            "parents": self._parents,
            "codes": self._codes,
        }
        return {
            f"{name}_{level}": tensor
            for name, tensors in named.items()
            for level, tensor in enumerate(tensors)
        }

    @classmethod
    def from_tensors(cls, tensors: dict[str, NDArray[Any]]) -> Self:
        """Rebuild the quantizer from :meth:`tensors`."""
        names = ("level_", "centroids_", "parents_", "codes_")
        return cls(*(levels_of(tensors, name) for name in names))


def groups_of(node: NDArray[np.int64]) -> Iterator[tuple[int, NDArray[np.int64]]]:
    """Yield each node that is not −1 with the rows that are in it."""
    order = np.argsort(node, kind="stable")
    starts = np.flatnonzero(np.diff(node[order], prepend=-2))
    for rows in np.split(order, starts[1:]):
        if len(rows) and node[rows[0]] >= 0:
            yield int(node[rows[0]]), rows
