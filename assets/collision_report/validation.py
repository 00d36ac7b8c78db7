"""The three embedding hit rates on validation, with how much of the data they speak for."""

from __future__ import annotations

from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from assets.collision_report.hit_rates import Sought, hits, partner_recall, sample
from assets.interactions.artifact import Interactions

Vectors = NDArray[np.float32]


def embedding_hit_rates(
    interactions: Interactions,
    item_ids: NDArray[np.object_],
    raw: Vectors,
    rebuilt: Vectors,
    *,
    k: int,
    max_sessions: int,
    max_pair_items: int,
    seed: int,
) -> dict[str, Any]:
    """Return the hit rates of FORGE on validation sessions and pairs; None where there are none.

    Args:
        interactions: Whose validation split is read.
        item_ids: (items,) ids of the vectors' rows.
        raw: (items, dim) input vectors.
        rebuilt: (items, dim) vectors rebuilt from the final codes.
        k: Neighbours.
        max_sessions: Sessions to look at, at most.
        max_pair_items: Items whose pairs are looked at, at most.
        seed: Seed of the samples.

    Returns:
        The rates, and for each denominator its size and its share of all there are (sessions
        whose target is a repeat, or a source that has no vector, do not count); and the lift of
        the recall of pairs over that of k items drawn by chance.
    """
    rows_of = pd.Index(item_ids)
    draw = np.random.default_rng(seed)
    sessions = interactions.sessions("validation")
    targets = rows_of.get_indexer(pd.Index(sessions.targets, dtype=object))
    chosen = sample(np.flatnonzero(targets >= 0), max_sessions, draw)
    sources = [rows_of.get_indexer(pd.Index(sessions.histories[task])) for task in chosen]
    sought = Sought([rows[rows >= 0] for rows in sources], targets[chosen])

    pairs = interactions.pairs("validation")
    items = rows_of.get_indexer(pd.Index(pairs["item_id"]))
    others = rows_of.get_indexer(pd.Index(pairs["other_item_id"]))
    kept = (items >= 0) & (others >= 0) & (items != others)
    kept &= np.isin(items, sample(np.unique(items[kept]), max_pair_items, draw))

    some, recall = len(chosen) > 0, None
    if kept.any():
        recall = partner_recall(raw, items[kept], others[kept], k)
    chance = min(k / max(len(item_ids) - 1, 1), 1.0)
    return {
        "neighbours": k,
        "embedding_hitrate_raw": hits(raw, sought, k).mean() if some else None,
        "embedding_hitrate_reconstructed": hits(rebuilt, sought, k).mean() if some else None,
        "embedding_hitrate_sessions": len(chosen),
        "embedding_hitrate_coverage": (
            len(chosen) / (len(sessions.targets) + sessions.repeats) if some else None
        ),
        "embedding_recall_i2i": recall,
        "embedding_i2i_lift": recall / chance if recall is not None else None,
        "embedding_recall_i2i_pairs": int(kept.sum()),
        "embedding_recall_i2i_coverage": kept.mean() if kept.any() else None,
    }
