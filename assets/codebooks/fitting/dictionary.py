"""Atoms by mini-batch dictionary learning, and how strong each is at each level."""

from __future__ import annotations

import warnings

import numpy as np

from assets.codebooks.dictionary import Dictionary, pursue
from assets.codebooks.fitting.fit import Fitted, TrainingData
from assets.codebooks.fitting.kmeans import cluster, training_sample
from assets.codebooks.params import CodebooksParams
from assets.codebooks.quantizer import Vectors
from assets.codebooks.residual import unit_rows
from assets.stage import UserError


def fit_dictionary(data: TrainingData, params: CodebooksParams) -> Fitted:
    """Learn the atoms from the vectors or a sample of them, then their mean strengths.

    Raises:
        UserError: Levels of different sizes were asked for.
    """
    if len(set(params.sizes)) > 1:
        raise UserError(
            "params.yaml: `codebooks.quantizer` dictionary has one dictionary for all levels: "
            f"set `codebooks.codebook_size` to one number instead of {params.sizes}."
        )
    points = training_sample(data.vectors, params)
    atoms = _learn(points, params)
    codes, strengths = pursue(points, atoms, params.levels)
    codebooks = []
    for column, strength in zip(codes.T, strengths.T, strict=True):
        taken = np.bincount(column, minlength=len(atoms))
        mean = np.bincount(column, strength, minlength=len(atoms)) / np.maximum(taken, 1)
        mean[taken == 0] = strength.mean()
        codebooks.append((mean[:, None] * atoms).astype(np.float32))
    return Fitted(Dictionary(codebooks, atoms))


def _learn(points: Vectors, params: CodebooksParams) -> Vectors:
    """Return (codebook size, dim) atoms of length 1, started from k-means centroids."""
    from sklearn.decomposition import MiniBatchDictionaryLearning
    from sklearn.exceptions import ConvergenceWarning

    knobs = params.dictionary
    start = unit_rows(cluster(points, params.sizes[0], params))
    batch = min(knobs.batch_size, len(points))
    learner = MiniBatchDictionaryLearning(
        n_components=len(start),
        alpha=knobs.penalty,
        max_iter=max(1, knobs.steps * batch // len(points)),
        batch_size=batch,
        fit_algorithm="cd",
        positive_code=True,
        dict_init=start.astype(np.float64),
        random_state=params.seed,
    )
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", ConvergenceWarning)
        learner.fit(points.astype(np.float64))
    return unit_rows(learner.components_)
