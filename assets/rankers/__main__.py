"""Fit the rankers: ``python -m assets.rankers``."""

from __future__ import annotations

import numpy as np

from assets.embeddings.artifact import Embeddings
from assets.interactions.artifact import Interactions
from assets.interactions.catalogue import Catalogue
from assets.rankers.artifact import Rankers
from assets.rankers.bm25 import BM25
from assets.rankers.dense import Dense
from assets.rankers.item_knn import ItemKNN
from assets.rankers.params import RankersParams
from assets.rankers.popularity import Popularity
from assets.stage import Run, run_stage


def main(run: Run[RankersParams]) -> None:
    """Fit on documents and on the train split; nothing else is looked at."""
    params = run.params
    data = Interactions.load(run.input("interactions"))
    embeddings = Embeddings.load(run.input("embeddings"))
    catalogue = Catalogue.of(data)
    ties = catalogue.by_popularity

    train = data.interactions("train")
    item_knn = None
    if len(train):
        item_knn = ItemKNN.fit(
            train["user_id"].astype("category").cat.codes.to_numpy().astype(np.int64),
            catalogue.rows(train["item_id"].to_numpy()),
            ties,
            history=params.knn_history,
            decay=params.knn_decay,
            neighbours=params.knn_neighbours,
        )
    bm25 = BM25.fit(
        catalogue.documents,
        ties,
        k1=params.bm25_k1,
        b=params.bm25_b,
        stopwords=params.bm25_stopwords,
    )
    rankers = Rankers(
        Dense(embeddings.text, ties), bm25, Popularity(catalogue.popularity, ties), item_knn
    )
    rankers.save(run.folder)
    run.report(
        {
            "items": len(ties),
            "words": len(bm25.words),
            "similar_pairs": item_knn.similarity.nnz if item_knn else 0,
            "search": list(rankers.search),
            "recommendation": list(rankers.recommendation),
        }
    )


if __name__ == "__main__":
    run_stage("rankers", RankersParams, main)
