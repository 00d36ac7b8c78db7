"""The three embedding hit rates on validation, with how much of the data they speak for."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from assets.collision_report.hit_rates import (
    Rows,
    Sought,
    bounded,
    hits,
    partner_recall,
    sample,
)
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
    max_history_items: int,
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
        max_history_items: Different items in their histories; where there are more, fewer sessions
            are looked at.
        max_pair_items: Items whose pairs are looked at, at most.
        seed: Seed of the samples.

    Returns:
        The rates, and for each denominator its size and its share of all there are (sessions
        whose every target is a repeat or has no vector do not count, nor pairs of items without
        one); and the lift of the recall of pairs over that of k items drawn by chance.
    """
    rows_of = pd.Index(item_ids)
    draw = np.random.default_rng(seed)
    sessions = interactions.sessions("validation")
    targets = _known(rows_of, sessions.targets)
    chosen = sample(np.flatnonzero([len(rows) for rows in targets]), max_sessions, draw)
    sources = _known(rows_of, [sessions.histories[task] for task in chosen])

    pairs = interactions.pairs("validation")
    items = rows_of.get_indexer(pd.Index(pairs["item_id"]))
    others = rows_of.get_indexer(pd.Index(pairs["other_item_id"]))
    kept = (items >= 0) & (others >= 0) & (items != others)
    kept &= np.isin(items, sample(np.unique(items[kept]), max_pair_items, draw))

    fitting = bounded(sources, max_history_items, draw)
    sources, chosen = [sources[place] for place in fitting], chosen[fitting]
    sought = Sought(sources, [targets[task] for task in chosen])
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


def _known(rows_of: pd.Index[str], lists: Sequence[Sequence[str]]) -> list[Rows]:
    """Return the rows of each list's items, without those that have no vector."""
    rows = rows_of.get_indexer(pd.Index([item for some in lists for item in some], dtype=object))
    parts = np.split(rows, np.cumsum([len(some) for some in lists], dtype=np.int64))[:-1]
    return [part[part >= 0] for part in parts]
