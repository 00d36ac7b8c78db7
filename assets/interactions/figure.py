"""A picture of the log: how interactions spread over items and users."""

from __future__ import annotations

from pathlib import Path

import duckdb
import numpy as np


def draw(db: duckdb.DuckDBPyConnection, file: Path) -> None:
    """Draw train interactions per item and per user, most first, on logarithmic axes.

    Args:
        db: Has ``timeline``, not empty.
        file: The PNG.
    """
    from matplotlib.figure import Figure

    figure = Figure(figsize=(8, 3.2), layout="constrained")
    panels = figure.subplots(1, 2)
    for axes, (column, noun) in zip(
        panels, [("item_id", "items"), ("user_id", "users")], strict=True
    ):
        rows = db.execute(
            f"SELECT count(*) AS n FROM timeline WHERE split = 'train' "  # noqa: S608  own names
            f"GROUP BY {column} ORDER BY n DESC"
        ).fetchnumpy()
        counts = np.asarray(rows["n"])
        rank = np.arange(1, len(counts) + 1)
        axes.loglog(rank, counts, color="#2a6f97", linewidth=2)
        half = int(np.searchsorted(np.cumsum(counts), counts.sum() / 2)) + 1
        axes.axvspan(1, half, color="#2a6f97", alpha=0.12, linewidth=0)
        axes.set_title(f"{half:,} of {len(counts):,} {noun} have half of them", fontsize=10)
        axes.set_xlabel(f"{noun}, most active first")
        axes.set_ylabel("train interactions")
        axes.spines[["top", "right"]].set_visible(False)
    figure.savefig(file, dpi=110, metadata={"Software": None})
