from __future__ import annotations

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from sentence_transformers import SentenceTransformer
from sentence_transformers.sentence_transformer.losses import MultipleNegativesRankingLoss

from assets.bi_encoder.loss import SummedContrastiveLoss, Task
from assets.bi_encoder.vector_lookup import VectorLookup

TEXTS = 12


def model_of(seed):
    vectors = np.random.default_rng(seed).normal(size=(TEXTS, 5)).astype(np.float32)
    texts = [str(place) for place in range(TEXTS)]
    return SentenceTransformer(modules=[VectorLookup(texts, vectors)], device="cpu"), vectors


def features_of(model, ids):
    return [model.preprocess([str(place) for place in column]) for column in ids.T]


def task(columns, known=(), *, chance=None, uniform=0.0, weight=1.0, name="search"):
    chances = np.zeros(TEXTS) if chance is None else chance
    known = np.array(sorted(known), np.int64)
    return Task(name, weight, columns, known, TEXTS, np.float32(chances), uniform)


def slowly(vectors, ids, known, scale, chance, uniform):
    unit = vectors / np.linalg.norm(vectors, axis=1, keepdims=True)
    losses = []
    for own_place, row in enumerate(ids):
        terms = []
        for column in range(1, ids.shape[1]):
            for place, other in enumerate(ids):
                right = other[column]
                if (column > 1 or place != own_place) and row[0] * TEXTS + right in known:
                    continue
                offset = chance[right] if column == 1 else uniform
                terms.append(scale * unit[row[0]] @ unit[right] - offset)
        own = scale * unit[row[0]] @ unit[row[1]] - chance[row[1]]
        losses.append(np.log(np.exp(terms).sum()) - own)
    return np.mean(losses)


@given(st.integers(0, 1000), st.integers(2, 4), st.integers(1, 6))
@settings(max_examples=30, deadline=None)
def test_the_loss_is_what_a_loop_over_all_pairs_gives(seed, columns, batch):
    draw = np.random.default_rng(seed)
    model, vectors = model_of(seed)
    ids = draw.integers(0, TEXTS, (batch, columns))
    known = set(draw.integers(0, TEXTS * TEXTS, 40).tolist())
    chance = draw.normal(size=TEXTS)
    loss = SummedContrastiveLoss(model, [task(columns, known, chance=chance, uniform=-1.5)], 7.0)
    found = loss(features_of(model, ids), torch.from_numpy(ids))["search"]
    expected = slowly(vectors, ids, known, 7.0, chance, -1.5)
    assert float(found) == pytest.approx(expected, rel=1e-4)


@given(st.integers(0, 1000), st.integers(2, 4))
@settings(max_examples=15, deadline=None)
def test_without_known_pairs_and_correction_it_is_the_librarys_loss(seed, columns):
    model, _ = model_of(seed)
    ids = np.random.default_rng(seed).integers(0, TEXTS, (6, columns))
    labels, features = torch.from_numpy(ids), features_of(model, ids)
    ours = SummedContrastiveLoss(model, [task(columns)], 20.0)(features, labels)["search"]
    theirs = MultipleNegativesRankingLoss(model, scale=20.0)(features_of(model, ids), labels)
    assert float(ours) == pytest.approx(float(theirs), rel=1e-5)


def test_both_tasks_are_computed_on_their_own_columns_and_weighted():
    model, _ = model_of(0)
    ids = np.random.default_rng(1).integers(0, TEXTS, (6, 5))

    def losses(tasks, columns):
        loss = SummedContrastiveLoss(model, tasks, 20.0)
        return loss(features_of(model, ids[:, columns]), torch.from_numpy(ids[:, columns]))

    alone = losses([task(3)], slice(0, 3)) | losses([task(2, name="recommendation")], slice(3, 5))
    tasks = [task(3, weight=2.0), task(2, name="recommendation", weight=0.5)]
    both = losses(tasks, slice(0, 5))
    assert float(both["search"]) == pytest.approx(2 * float(alone["search"]))
    assert float(both["recommendation"]) == pytest.approx(0.5 * float(alone["recommendation"]))
