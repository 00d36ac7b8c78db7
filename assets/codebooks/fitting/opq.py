"""OPQ: a rotation and its product quantizer are learnt together, on faiss."""

from __future__ import annotations

import numpy as np

from assets.codebooks.fitting.fit import Fitted, TrainingData
from assets.codebooks.fitting.kmeans import cluster, device_of_kmeans, training_sample
from assets.codebooks.linear import linear
from assets.codebooks.opq import OPQ
from assets.codebooks.params import CodebooksParams
from assets.codebooks.quantizer import Vectors


def fit_opq(data: TrainingData, params: CodebooksParams) -> Fitted:
    """Learn the rotation, then each part's codebook by k-means."""
    levels, dim = params.levels, data.vectors.shape[1]
    part = -(-dim // levels)
    points = training_sample(data.vectors, params)
    padded = np.pad(points, ((0, 0), (0, part * levels - dim)))
    rotation = _rotation(padded, levels, max(params.sizes))
    latent = linear(padded, rotation)
    variance = latent.var(axis=0).reshape(levels, part).sum(axis=1)
    order = np.argsort(-variance, kind="stable")
    rotation = rotation.reshape(levels, part, -1)[order].reshape(levels * part, -1)
    latent = linear(padded, rotation)
    codebooks = []
    for level, size in enumerate(params.sizes):
        own = slice(level * part, (level + 1) * part)
        codebook = np.zeros((size, levels * part), np.float32)
        points = np.ascontiguousarray(latent[:, own])
        codebook[:, own] = cluster(points, size, params, level=level, device=data.device)
        codebooks.append(codebook)
    told = {"device": device_of_kmeans(data.device)}
    return Fitted(OPQ(codebooks, np.ascontiguousarray(rotation[:, :dim])), told)


def _rotation(vectors: Vectors, parts: int, size: int) -> Vectors:
    """Return the (dim, dim) rotation; with no more vectors than codes there is none to learn.

    Nor with fewer vectors than dimensions: faiss would write past the end of its memory.
    """
    import faiss

    dim = vectors.shape[1]
    bits = int(np.log2(max(2, size)))
    if len(vectors) <= 2**bits or len(vectors) < dim:
        return np.eye(dim, dtype=np.float32)
    matrix = faiss.OPQMatrix(dim, parts)
    quantizer = faiss.ProductQuantizer(dim, parts, bits)
    quantizer.cp.min_points_per_centroid = 1
    matrix.pq = quantizer
    matrix.train(vectors)
    return np.asarray(faiss.vector_to_array(matrix.A).reshape(dim, dim))
