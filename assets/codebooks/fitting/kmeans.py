"""K-means, on faiss."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from assets.codebooks.params import CodebooksParams
from assets.codebooks.quantizer import Vectors


def training_sample(vectors: Vectors, params: CodebooksParams) -> Vectors:
    """Return all (n, dim) vectors, or a seeded sample of them in their order."""
    if len(vectors) <= params.most_points:
        return np.ascontiguousarray(vectors, np.float32)
    draw = np.random.default_rng(params.seed)
    rows = draw.choice(len(vectors), params.most_points, replace=False)
    return np.ascontiguousarray(vectors[np.sort(rows)], np.float32)


def cluster(
    points: Vectors, size: int, params: CodebooksParams, *, level: int = 0, device: str = "cpu"
) -> Vectors:
    """Return the (size, dim) centroids of (n, dim) points.

    With no more distinct points than codes each point is its own centroid, and the codes left over
    repeat them: the nearest code then never is a spare one, but a policy may use it as free room.

    Args:
        points: Finite float32.
        size: Number of centroids.
        params: Iterations, and how far from the mean centroids start.
        level: Each one starts from points of its own.
        device: ``cpu`` keeps k-means off the GPU that faiss may have.
    """
    import faiss

    seed = params.seed + level
    distinct = distinct_rows(points)
    if len(distinct) <= size:
        return np.resize(points[distinct], (size, points.shape[1]))
    kmeans = faiss.Kmeans(
        points.shape[1],
        size,
        niter=params.iterations,
        seed=seed,
        gpu=device_of_kmeans(device) == "cuda",
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


def device_of_kmeans(asked: str) -> str:
    """Return where :func:`cluster` computes, ``cpu`` or ``cuda``, when asked for a device."""
    import faiss

    on_gpu = asked != "cpu" and hasattr(faiss, "StandardGpuResources") and faiss.get_num_gpus()
    return "cuda" if on_gpu else "cpu"


def distinct_rows(points: Vectors) -> NDArray[np.int64]:
    """Return the row of the first of each set of equal (n, dim) points, ascending."""
    first: dict[bytes, int] = {}
    for row, point in enumerate(points):
        first.setdefault(point.tobytes(), row)
    return np.fromiter(first.values(), np.int64, len(first))
