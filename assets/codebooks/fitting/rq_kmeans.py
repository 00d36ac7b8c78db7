"""RQ-KMeans: each level clusters what the levels before left over."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from assets.codebooks.fitting.fit import Fitted, TrainingData
from assets.codebooks.fitting.kmeans import cluster, device_of_kmeans, training_sample
from assets.codebooks.nearest import NearestCode
from assets.codebooks.params import CodebooksParams
from assets.codebooks.quantizer import Vectors
from assets.codebooks.residual import unit_rows
from assets.codebooks.rq_kmeans import RQKMeans
from assets.stage import progress


def fit_rq_kmeans(data: TrainingData, params: CodebooksParams) -> Fitted:
    """Learn one codebook per level from the vectors or a sample of them."""
    residuals = training_sample(data.vectors, params)
    codebooks: list[Vectors] = []
    directions: list[Vectors] = []
    for level, size in enumerate(progress(params.sizes, "fitting levels")):
        by_direction = params.rq_kmeans.normalise_residuals
        points = unit_rows(residuals) if by_direction else residuals
        codebook = cluster(points, size, params, level=level, device=data.device)
        codebooks.append(codebook)
        if not by_direction and level + 1 == params.levels:
            break
        codes = NearestCode(codebook)(points)
        if by_direction:
            directions.append(codebook)
            codebooks[-1] = _means(residuals, codes, size)
        residuals = residuals - codebooks[-1][codes]
    told = {"device": device_of_kmeans(data.device)}
    return Fitted(RQKMeans(codebooks, directions), told)


def _means(rows: Vectors, codes: NDArray[np.int64], size: int) -> Vectors:
    sums = np.zeros((size, rows.shape[1]))
    np.add.at(sums, codes, rows)
    items = np.bincount(codes, minlength=size)[:, None]
    return (sums / np.maximum(items, 1)).astype(np.float32)
