"""Figures of the report: recall@10 of every method with its interval."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.patches import Patch

LABELS = {  # one that is not here goes by its own name
    "answers": "answers",
    "retriever": "retriever",
    "item_head": "item head",
    "dense": "dense",
    "bm25": "BM25",
    "trigrams": "trigrams",
    "item_knn": "item KNN",
    "ease": "EASE",
    "slit": "SLIT",
    "sasrec": "SASRec",
    "graph": "graph",
    "markov": "Markov",
    "repurchase": "re-purchase",
    "popularity": "popularity",
}
COLOURS = dict(
    zip(
        LABELS,
        (
            *("#123a52", "#0b6e99", "#5fb0d3", "#d98c3f", "#e8bf7a", "#c2a14d"),
            *("#8f9b6b", "#5f7a8a", "#7d4f6d", "#3f7f5f", "#b5651d", "#a58fb8"),
            *("#4f8a7b", "#c9ccd1"),
        ),
        strict=True,
    )
)


def draw_methods(table: Sequence[dict[str, Any]], file: Path) -> None:
    """Draw recall@10 of every method, one panel per task.

    Args:
        table: Rows with task, method, recall@10, low and high.
        file: The PNG.
    """
    tasks = _distinct(table, "task")
    methods = [[row for row in table if row["task"] == task] for task in tasks]
    widths = [max(4.0, 0.68 * len(rows)) for rows in methods]  # so that labels stay apart
    figure = Figure(figsize=(sum(widths), 3.2), layout="constrained")
    axes = figure.subplots(1, len(tasks), squeeze=False, width_ratios=widths)
    for panel, task, rows in zip(axes[0], tasks, methods, strict=True):
        for place, row in enumerate(rows):
            _bar(panel, place, 0.7, row)
            panel.text(
                place, row["high"], f"{row['recall@10']:.3f}", ha="center", va="bottom", fontsize=8
            )
        panel.set_xticks(
            range(len(rows)),
            [_label(row["method"]).replace(", ", ",\n") for row in rows],
            fontsize=8,
        )
        panel.set_title(task, loc="left", fontsize=10, fontweight="bold")
        _tidy(panel, rows)
    figure.savefig(file, dpi=120, metadata={"Software": None})


def draw_groups(rows: Sequence[dict[str, Any]], file: Path) -> None:
    """Draw recall@10 of every method by group of questions, one panel per task.

    Args:
        rows: Rows with task, method, group, questions, recall@10, low and high.
        file: The PNG.
    """
    tasks = _distinct(rows, "task")
    figure = Figure(figsize=(5.4 * len(tasks), 3.4), layout="constrained")
    axes = figure.subplots(1, len(tasks), squeeze=False)
    for panel, task in zip(axes[0], tasks, strict=True):
        here = [row for row in rows if row["task"] == task]
        groups, methods = _distinct(here, "group"), _distinct(here, "method")
        width = 0.8 / len(methods)
        for row in here:
            member = methods.index(row["method"])
            place = groups.index(row["group"]) + (member - (len(methods) - 1) / 2) * width
            _bar(panel, place, width * 0.9, row)
        counts = {row["group"]: row["questions"] for row in here}
        panel.set_xticks(
            range(len(groups)), [f"{group}\n{counts[group]:,}" for group in groups], fontsize=8
        )
        panel.set_title(task, loc="left", fontsize=10, fontweight="bold")
        _tidy(panel, here)
    shown = _distinct(rows, "method")
    figure.legend(
        handles=[Patch(color=_colour(method), label=_label(method)) for method in shown],
        loc="outside lower center",
        ncols=len(shown) if len(tasks) > 1 else 3,
        fontsize=8,
        frameon=False,
    )
    figure.savefig(file, dpi=120, metadata={"Software": None})


def _label(method: str) -> str:
    return LABELS.get(method, method)


def _colour(method: str) -> str:
    return COLOURS.get(method, "#7a5c86")


def _bar(panel: Axes, place: float, width: float, row: dict[str, Any]) -> None:
    mean = row["recall@10"]
    spread = [[max(mean - row["low"], 0)], [max(row["high"] - mean, 0)]]
    panel.bar(
        place,
        mean,
        width,
        color=_colour(row["method"]),
        yerr=spread,
        capsize=2,
        error_kw={"elinewidth": 0.8, "ecolor": "#333333"},
    )


def _tidy(panel: Axes, rows: Sequence[dict[str, Any]]) -> None:
    panel.set_ylabel("recall@10", fontsize=8)
    panel.set_ylim(0, max(max(row["high"] for row in rows) * 1.15, 0.01))
    panel.tick_params(axis="y", labelsize=8)
    panel.spines[["top", "right"]].set_visible(False)


def _distinct(rows: Sequence[dict[str, Any]], key: str) -> list[str]:
    return list(dict.fromkeys(row[key] for row in rows))
