"""How validation and the losses went over training: a table and a figure."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import pandas as pd
from matplotlib.figure import Figure

CURVE = "training.csv"
RECALLS = {
    "query_recall@10": ("search", "search_loss"),
    "pair_recall@10": ("recommendation", "recommendation_loss"),
}
LOSS, RECALL = "#8f9b6b", "#0b6e99"


def write_curve(checks: Sequence[dict[str, float]], best_step: int, folder: Path) -> None:
    """Write ``training.csv`` and, where there is a course to draw, ``training.png``.

    Args:
        checks: Rows with step, recalls and, after the first, losses.
        best_step: The step whose weights were kept.
        folder: Where to.
    """
    table = pd.DataFrame(list(checks))
    table.to_csv(folder / CURVE, index=False, float_format="%.6g", lineterminator="\n")
    panels = {name: panel for name, panel in RECALLS.items() if name in table}
    if not panels or len(table) < 2:
        return
    figure = Figure(figsize=(4.8 * len(panels), 3.2), layout="constrained")
    axes = figure.subplots(1, len(panels), squeeze=False)[0]
    for panel, (name, (title, loss)) in zip(axes, panels.items(), strict=True):
        panel.plot(table["step"], table[name], "o-", color=RECALL, label=f"{name}, validation")
        panel.axhline(table[name].iloc[0], color="0.6", linewidth=0.8, label="the base")
        panel.axvline(best_step, color="0.6", linewidth=0.8, linestyle=":", label="kept")
        panel.set(xlabel="step", ylabel=name, ylim=(0, None))
        panel.set_title(title, loc="left", fontsize=10, fontweight="bold")
        lines = panel.get_lines()
        if loss in table:
            right = panel.twinx()
            right.plot(table["step"], table[loss], color=LOSS, label="weighted loss, train")
            right.set(ylabel="loss, nats")
            right.spines["top"].set_visible(False)
            right.tick_params(labelsize=8)
            lines = [*lines, *right.get_lines()]
        labels = [str(line.get_label()) for line in lines]
        panel.legend(lines, labels, fontsize=7, frameon=False, loc="lower left")
        panel.spines["top"].set_visible(False)
        panel.tick_params(labelsize=8)
    figure.savefig(folder / "training.png", dpi=120, metadata={"Software": None})
