from __future__ import annotations

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from assets.bi_encoder.validation import CUTS, pair_recall, query_recall


def unit(rows, dim, seed):
    vectors = np.random.default_rng(seed).normal(size=(rows, dim)).astype(np.float32)
    return vectors / np.linalg.norm(vectors, axis=1, keepdims=True)


@given(st.integers(0, 1000))
@settings(max_examples=15)
def test_recall_of_queries_is_what_a_full_sort_finds(seed):
    documents, queries = unit(40, 6, seed), unit(5, 6, seed + 1)
    ids = [f"i{number}" for number in range(40)]
    draw = np.random.default_rng(seed)
    targets = [[ids[row] for row in draw.choice(40, 3, replace=False)] for _ in queries]
    numbers = query_recall(queries, targets, documents, ids, seed=0)
    order = np.argsort(-(queries @ documents.T), axis=1)
    for k in CUTS:
        found = [
            len({ids[row] for row in ranked[:k]} & set(right)) / 3
            for ranked, right in zip(order, targets, strict=True)
        ]
        assert numbers[f"query_recall@{k}"] == pytest.approx(np.mean(found), abs=1e-6)


@given(st.integers(0, 1000))
@settings(max_examples=15)
def test_recall_of_pairs_leaves_the_item_itself_out(seed):
    documents = unit(40, 6, seed)
    documents[1] = documents[0]  # a copy, which may come before the item itself
    ids = [f"i{number}" for number in range(40)]
    draw = np.random.default_rng(seed)
    others = draw.choice(np.arange(4, 40), 6)
    pairs = pd.DataFrame(
        {"item_id": ids[:4] + ids[2:4], "other_item_id": [ids[row] for row in others]}
    )
    numbers = pair_recall(pairs, documents, ids, seed=0)
    for k in CUTS:
        hits = []
        for one, other in zip(pairs["item_id"], pairs["other_item_id"], strict=True):
            scores = documents @ documents[ids.index(one)]
            scores[ids.index(one)] = -np.inf
            hits.append(ids.index(other) in np.argsort(-scores, kind="stable")[:k])
        assert numbers[f"pair_recall@{k}"] == pytest.approx(np.mean(hits), abs=1e-6)
