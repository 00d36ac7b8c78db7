"""What the stage tells about its queries."""

from __future__ import annotations

from typing import Any

import pandas as pd

from assets.synthetic_queries.artifact import SyntheticQueries
from assets.synthetic_queries.params import SyntheticQueriesParams
from assets.synthetic_queries.quality import bm25_recall, distinct, leak_share

SAMPLES = 20


def describe(
    queries: SyntheticQueries, items: pd.DataFrame, params: SyntheticQueriesParams
) -> dict[str, Any]:
    """Return the numbers and tables of the stage's report.

    Args:
        queries: All queries.
        items: The items table.
        params: The stage's params.
    """
    table = queries.table
    made = table[table["kind"] != "real"]
    answers = table.groupby("query_id").size()
    texts = made["query"].drop_duplicates()
    trained = table.loc[table["split"] == "train", "item_id"].nunique()
    counts = table.drop_duplicates("query_id").groupby(["kind", "split"]).size()
    bm25 = bm25_recall(
        queries.tasks("validation"), items, k=10, most=params.measured, seed=params.seed
    )
    spread = made.drop_duplicates("query_id").head(SAMPLES).sort_values(["kind", "query"])
    samples = spread.merge(items[["item_id", "document"]], on="item_id")
    return {
        "queries": len(answers),
        "rows": len(table),
        "made_queries": len(texts),
        "items_without_train_query": len(items) - trained,
        "right_answers_mean": answers.mean() if len(answers) else 0.0,
        "right_answers_most": answers.max() if len(answers) else 0,
        "leak_share": leak_share(made, items),
        "distinct_1": distinct(texts, 1),
        "distinct_2": distinct(texts, 2),
        "words_mean": texts.str.count(" ").mean() + 1 if len(texts) else 0.0,
        **({"bm25_recall@10": bm25[0]["bm25_recall@10"]} if bm25 else {}),
        "counts": counts.rename("queries").reset_index().to_dict("records"),
        "bm25": bm25,
        "samples": samples[["kind", "query", "document"]].to_dict("records"),
    }
