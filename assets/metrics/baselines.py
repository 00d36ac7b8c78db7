"""The methods any retriever has to stand beside, each ranking all items."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from assets.evaluation import Floats, Rows
from assets.interactions.artifact import Interactions
from assets.metrics.bm25 import BM25
from assets.metrics.catalogue import Catalogue, best
from assets.metrics.item_knn import ItemKNN
from assets.metrics.params import MetricsParams
from assets.stage import progress

CHUNK = 256  # questions scored at a time against all items; memory alone depends on it


def popularity(
    catalogue: Catalogue, questions: int, depth: int, excluded: Sequence[Rows] | None = None
) -> Rows:
    """Rank by the number of train interactions, the same for everybody but what is excluded.

    Args:
        catalogue: The items.
        questions: Number of questions.
        depth: Number of ranks.
        excluded: For each question the rows that may not be ranked, such as the user's history.

    Returns:
        (questions, depth) rows, -1 where there is none.
    """
    counts = catalogue.popularity.astype(np.float32)
    return _in_chunks(
        "ranking by popularity",
        lambda chunk: np.repeat(counts[None], chunk.stop - chunk.start, axis=0),
        questions,
        depth,
        excluded,
    )


def bm25(catalogue: Catalogue, queries: Sequence[str], params: MetricsParams) -> Rows:
    """Rank the documents by BM25.

    Returns:
        (queries, depth) rows.
    """
    index = BM25(
        catalogue.documents, k1=params.bm25_k1, b=params.bm25_b, stopwords=params.bm25_stopwords
    )
    return _in_chunks(
        "ranking by BM25", lambda chunk: index.scores(queries[chunk]), len(queries), params.depth
    )


def item_knn(
    catalogue: Catalogue, data: Interactions, histories: Sequence[Rows], params: MetricsParams
) -> Rows:
    """Rank by recency-weighted item KNN, fitted on the train split, history left out.

    Returns:
        (users, depth) rows.
    """
    train = data.interactions("train")
    users = train["user_id"].astype("category").cat.codes.to_numpy().astype(np.int64)
    knn = ItemKNN.fit(
        users,
        catalogue.rows(train["item_id"].to_numpy()),
        len(catalogue.item_ids),
        history=params.knn_history,
        decay=params.knn_decay,
        neighbours=params.knn_neighbours,
    )
    return _in_chunks(
        "ranking by item KNN",
        lambda chunk: knn.scores(histories[chunk]),
        len(histories),
        params.depth,
        histories,
    )


def _in_chunks(
    what: str,
    scores: Callable[[slice], NDArray[np.floating[Any]]],
    questions: int,
    depth: int,
    excluded: Sequence[Rows] | None = None,
) -> Rows:
    ranked = np.full((questions, depth), -1, dtype=np.int64)
    for start in progress(range(0, questions, CHUNK), what):
        chunk = slice(start, min(start + CHUNK, questions))
        values: Floats = scores(chunk)
        if excluded is not None:
            for row, items in enumerate(excluded[chunk]):
                values[row, items] = -np.inf
        ranked[chunk] = best(values, depth)
    return ranked
