"""How fast pairs are counted, on one thread. Run: python benchmarks/interactions.py.

A million interactions with MovieLens's own history lengths and item popularity; the items of
a history are drawn, since copies of real histories would meet in the same few pairs.
"""

from __future__ import annotations

import time

import duckdb
import numpy as np
import pyarrow as pa

from assets.interactions.packaged import movielens_small
from assets.interactions.pairs import make_pairs
from assets.interactions.params import InteractionsParams
from assets.interactions.splits import make_timeline

INTERACTIONS = 1_000_000
ROUNDS = 5


def synthetic_log() -> pa.Table:
    draw = np.random.default_rng(0)
    _, log = movielens_small()
    lengths = log["user_id"].value_counts(sort=False).to_numpy()
    lengths = np.tile(lengths, -(-INTERACTIONS // len(log)))
    users = np.repeat(np.arange(len(lengths)), lengths)[:INTERACTIONS]
    items = log["item_id"].to_numpy(dtype=object)[draw.integers(len(log), size=INTERACTIONS)]
    return pa.table(
        {
            "user_id": pa.array(users).cast(pa.string()),
            "item_id": items,
            "timestamp": np.arange(INTERACTIONS, dtype=np.float64),
            "event": pa.nulls(INTERACTIONS, pa.string()),
            "weight": pa.nulls(INTERACTIONS, pa.float64()),
            "basket": pa.nulls(INTERACTIONS, pa.string()),
        }
    )


def main() -> None:
    params = InteractionsParams()
    with duckdb.connect(config={"threads": 1}) as db:
        db.register("log", synthetic_log())
        db.execute("CREATE TEMP TABLE positives AS FROM log")
        db.execute("CREATE TEMP TABLE catalogue AS SELECT DISTINCT item_id FROM log")
        splitting = time.process_time()
        make_timeline(db, params.seed)
        splitting = time.process_time() - splitting
        seconds = []
        for _ in range(ROUNDS):
            started = time.process_time()
            make_pairs(
                db,
                window=params.pair_window,
                per_user=params.max_pairs_per_user,
                per_item=params.max_pairs_per_item,
                seed=0,
            )
            seconds.append(time.process_time() - started)
        pairs = db.execute("SELECT count(*) FROM pairs").fetchall()[0][0]
    print(
        f"interactions per core-second, of {INTERACTIONS:,}: "
        f"splits {INTERACTIONS / splitting:,.0f}, pairs {INTERACTIONS / min(seconds):,.0f} "
        f"(window {params.pair_window}, {pairs:,} pairs, best of {ROUNDS})"
    )


if __name__ == "__main__":
    main()
