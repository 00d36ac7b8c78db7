"""Residual quantisation by k-means: each level clusters what the levels before left over.

    r_1 = x,   c_l = argmin_c ‖r_l − e_{l,c}‖²,   r_{l+1} = r_l − e_{l,c_l},   x ≈ Σ_l e_{l,c_l}

The nearest code is taken at every level (beam 1), as the papers on Semantic IDs mean it; faiss's
own ``ResidualQuantizer`` searches with beam 5 by default, which gives other codes.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, ClassVar, Self

import numpy as np
from numpy.typing import NDArray

from assets.codebooks.quantizer import Codes, Vectors

if TYPE_CHECKING:
    from assets.codebooks.params import CodebooksParams


class RQKMeans:
    """A residual quantizer whose levels are k-means codebooks."""

    name: ClassVar[str] = "rq_kmeans"
    additive: ClassVar[bool] = True

    def __init__(self, codebooks: list[Vectors]) -> None:
        self._codebooks = codebooks

    @property
    def codebooks(self) -> list[Vectors]:
        """One (codes of the level, dim) matrix per level."""
        return self._codebooks

    @classmethod
    def fit(cls, vectors: Vectors, params: CodebooksParams, *, device: str = "cpu") -> Self:
        """Learn one codebook per level.

        Args:
            vectors: (items, dim) float32, finite.
            params: Levels, codebook size, iterations, sampling and seed.
            device: ``cpu`` keeps k-means off the GPU that faiss may have.
        """
        residuals = _sample(vectors, params)
        codebooks: list[Vectors] = []
        for level in range(params.levels):
            codebook = _cluster(residuals, params, seed=params.seed + level, device=device)
            residuals = residuals - codebook[_nearest(residuals, codebook)]
            codebooks.append(codebook)
        return cls(codebooks)

    def latent(self, vectors: Vectors) -> Vectors:
        """Return the vectors: codebooks live in their space."""
        return vectors

    def encode(self, vectors: Vectors) -> Codes:
        """Return the (n, levels) codes of (n, dim) vectors: the nearest one at each level."""
        residuals = vectors
        codes = np.empty((len(vectors), len(self._codebooks)), np.int32)
        for level, codebook in enumerate(self._codebooks):
            codes[:, level] = _nearest(residuals, codebook)
            residuals = residuals - codebook[codes[:, level]]
        return codes

    def decode(self, codes: Codes) -> Vectors:
        """Return the (n, dim) sums of the codes' rows; fewer columns rebuild from fewer levels."""
        vectors = np.zeros((len(codes), self._codebooks[0].shape[1]), np.float32)
        for codebook, column in zip(self._codebooks, codes.T, strict=False):
            vectors += codebook[column]
        return vectors

    def tensors(self) -> dict[str, NDArray[Any]]:
        """Return one tensor per level: ``level_0``, ``level_1`` and so on."""
        return {f"level_{level}": book for level, book in enumerate(self._codebooks)}

    @classmethod
    def from_tensors(cls, tensors: dict[str, NDArray[Any]]) -> Self:
        """Rebuild the quantizer from :meth:`tensors`."""
        return cls([tensors[f"level_{level}"] for level in range(len(tensors))])


def _sample(vectors: Vectors, params: CodebooksParams) -> Vectors:
    limit = params.codebook_size * params.max_points_per_code
    if len(vectors) <= limit:
        return np.ascontiguousarray(vectors, np.float32)
    rows = np.random.default_rng(params.seed).choice(len(vectors), limit, replace=False)
    return np.ascontiguousarray(vectors[np.sort(rows)], np.float32)


def _cluster(points: Vectors, params: CodebooksParams, *, seed: int, device: str) -> Vectors:
    """Return the (codebook_size, dim) centroids of (n, dim) points.

    With no more distinct points than codes each point is its own centroid, and the codes left over
    repeat them: the nearest code then never is a spare one, but a policy may use it as free room.
    """
    import faiss

    size = params.codebook_size
    first = {row.tobytes(): index for index, row in reversed(list(enumerate(points)))}
    if len(first) <= size:
        return np.resize(points[sorted(first.values())], (size, points.shape[1]))
    on_gpu = device != "cpu" and hasattr(faiss, "StandardGpuResources") and faiss.get_num_gpus()
    kmeans = faiss.Kmeans(
        points.shape[1],
        size,
        niter=params.iterations,
        seed=seed,
        gpu=bool(on_gpu),
        # faiss warns below the first and samples above the second; sampling was done before
        min_points_per_centroid=1,
        max_points_per_centroid=len(points),
    )
    # In many dimensions a point is nearer to the mean than to almost any other point: started from
    # points as they are, k-means ends with one code in the middle and many that hold one item.
    rows = np.random.default_rng(seed).choice(len(points), size, replace=False)
    mean = points.mean(axis=0)
    start = mean + params.start_spread * (points[np.sort(rows)] - mean)
    kmeans.train(points, init_centroids=start.astype(np.float32))
    return np.asarray(kmeans.centroids, np.float32)


def _nearest(points: Vectors, codebook: Vectors) -> NDArray[np.int64]:
    import faiss

    index = faiss.IndexFlatL2(codebook.shape[1])
    index.add(codebook)
    _, nearest = index.search(np.ascontiguousarray(points, np.float32), 1)
    return np.asarray(nearest[:, 0])
