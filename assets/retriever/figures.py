"""Figures of the report."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import numpy as np
from matplotlib.figure import Figure

HEADS = {"sid": "", "item": "_item_head"}  # head: what its recalls are called by after the task
COLOURS = {"sid": "#0b6e99", "item": "#8f9b6b"}


def draw_training(
    tasks: Sequence[str],
    curve: Sequence[dict[str, float]],
    looks: Sequence[dict[str, float]],
    file: Path,
) -> None:
    """Draw each task's losses over the steps, and recall@10 of each head on validation.

    Args:
        tasks: What was learnt.
        curve: Rows with step and the losses.
        looks: Rows with step and what validation said.
        file: The PNG.
    """
    figure = Figure(figsize=(4.8 * len(tasks), 3.2), layout="constrained")
    steps = np.array([row["step"] for row in curve])
    for panel, task in zip(figure.subplots(1, len(tasks), squeeze=False)[0], tasks, strict=True):
        right = panel.twinx()
        for head, named in HEADS.items():
            values = np.array(
                [row[f"{task}_{head}_loss"] for row in curve if f"{task}_{head}_loss" in row]
            )
            if not len(values):
                continue
            colour = COLOURS[head]
            panel.plot(steps, values, color=colour, alpha=0.25, linewidth=0.8)
            panel.plot(steps, _smooth(values), color=colour, label=f"{head} loss (smoothed)")
            name = f"{task}{named}_recall@10"
            points = [(row["step"], row[name]) for row in looks if name in row]
            right.plot(*np.array(points).reshape(-1, 2).T, "o--", color=colour, label=name)
        panel.set(xlabel="step", ylabel="training loss, nats per item")
        panel.set_title(task, loc="left", fontsize=10, fontweight="bold")
        right.set(ylabel="on validation", ylim=(0, None))
        lines = [*panel.get_lines()[1::2], *right.get_lines()]
        right.legend(lines, [str(line.get_label()) for line in lines], fontsize=7, frameon=False)
        for axes in (panel, right):
            axes.spines["top"].set_visible(False)
            axes.tick_params(labelsize=8)
    figure.savefig(file, dpi=120, metadata={"Software": None})


def _smooth(values: np.ndarray, width: int = 25) -> np.ndarray:
    """Mean of each value and those before it, at most `width`."""
    total = np.concatenate([[0.0], np.cumsum(values)])
    end = np.arange(1, len(values) + 1)
    begin = np.maximum(0, end - width)
    return np.asarray((total[end] - total[begin]) / (end - begin))
