"""Real and made queries in one table."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Iterable

import pandas as pd

from assets.synthetic_queries.generator import MadeQuery

COLUMNS = ["query_id", "query", "item_id", "split", "kind"]


def join_queries(
    real: pd.DataFrame, made: Iterable[MadeQuery], split_of: Callable[[str], str]
) -> pd.DataFrame:
    """Return one row per (query, right answer), ordered by query_id and item_id.

    A text is one query with one id, split and kind, whoever it was made for; the kind of a text
    made as several is the first by alphabet. A made query with the text of a real one is dropped:
    people have judged what answers that text.

    Args:
        real: query_id, query, item_id and split of the real queries.
        made: The made queries.
        split_of: Tells the split of a made text.
    """
    rows = pd.DataFrame(
        [(m.query, m.item_id, m.kind) for m in made], columns=["query", "item_id", "kind"]
    )
    rows = rows.sort_values("kind", kind="stable")
    rows["kind"] = rows.groupby("query")["kind"].transform("first")
    texts = pd.Series(rows["query"].unique(), dtype=object)
    rows["query_id"] = rows["query"].map(dict(zip(texts, map(_query_id, texts), strict=True)))
    rows["split"] = rows["query"].map(dict(zip(texts, map(split_of, texts), strict=True)))

    rows = rows[~rows["query"].isin(real["query"])]
    table = pd.concat([real.assign(kind="real")[COLUMNS], rows[COLUMNS]])
    table = table.drop_duplicates(["query", "item_id"])
    return table.sort_values(["query_id", "item_id"], kind="stable").reset_index(drop=True)


def _query_id(text: str) -> str:
    return "made-" + hashlib.sha256(text.encode()).hexdigest()[:16]
