"""What a table of queries is like: leaks, variety, how hard it is for BM25."""

from __future__ import annotations

from collections.abc import Iterable

import numpy as np
import pandas as pd

from assets.evaluation import bootstrap, choose_by_hash, gains_of, recall
from assets.synthetic_queries.artifact import SearchTasks
from assets.synthetic_queries.words import holds, title_forms, words


def leak_share(made: pd.DataFrame, items: pd.DataFrame) -> float:
    """Return the share of made rows whose query holds a full title of their item.

    Args:
        made: query and item_id.
        items: item_id and title.
    """
    forms = {
        item: title_forms(title)
        for item, title in zip(items["item_id"], items["title"], strict=True)
        if isinstance(title, str)
    }
    leaks = [
        any(holds(words(query), form) for form in forms.get(item, ()))
        for query, item in zip(made["query"], made["item_id"], strict=True)
    ]
    return float(np.mean(leaks)) if leaks else 0.0


def distinct(texts: Iterable[str], size: int) -> float:
    """Return distinct-n: different runs of ``size`` words over all runs of them (Li et al. 2016).

    Args:
        texts: Queries.
        size: Words in a run.
    """
    runs = [
        tuple(split[start : start + size])
        for split in map(str.split, texts)
        for start in range(len(split) - size + 1)
    ]
    return len(set(runs)) / len(runs) if runs else 0.0


def bm25_recall(
    tasks: SearchTasks, items: pd.DataFrame, *, k: int, most: int, seed: int
) -> list[dict[str, float | str]]:
    """Return BM25's recall@k over the documents, overall and by kind, with bootstrap intervals.

    Where there are no queries, or no document holds a word, there is none.

    Args:
        tasks: Queries with their right answers.
        items: item_id and document.
        k: Cut-off.
        most: Most queries to measure on, chosen by hash.
        seed: Seed of the choice and the bootstrap.
    """
    import bm25s

    chosen = choose_by_hash(tasks.queries, most, seed)
    documents = [words(text) for text in items["document"]]
    if not chosen or not any(documents):
        return []
    index = bm25s.BM25()
    index.index(documents, show_progress=False)
    asked = [words(tasks.queries[place]) for place in chosen]
    rows, scores = index.retrieve(asked, k=min(k, len(items)), show_progress=False)
    rows = np.where(scores > 0, rows, -1)
    place_of = {item: place for place, item in enumerate(items["item_id"])}
    relevant = [np.array([place_of[item] for item in tasks.targets[place]]) for place in chosen]
    counts = np.array([len(group) for group in relevant])
    found = recall(gains_of(rows, relevant), counts, k)
    about = np.array([group.min() for group in relevant])
    kinds = np.array([tasks.kinds[place] for place in chosen])
    table: list[dict[str, float | str]] = []
    for kind in ["all", *sorted(set(kinds))]:
        of_kind = (kinds == kind) | (kind == "all")
        values = found[of_kind]
        interval = bootstrap(values, seed=seed, groups=about[of_kind])
        table.append(
            {
                "kind": kind,
                "queries": len(values),
                f"bm25_recall@{k}": interval.mean,
                "low": interval.low,
                "high": interval.high,
            }
        )
    return table
