"""The pictures of the report."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable
from functools import partial
from typing import Any

import matplotlib.pyplot as plt
import numpy as np
from matplotlib.figure import Figure
from matplotlib.ticker import MaxNLocator, NullLocator, StrMethodFormatter
from numpy.typing import NDArray

from assets.collision_report.artifact import Counts, Numbers
from assets.collision_report.first_level import Prefix
from assets.collision_report.theme import DARK, LIGHT, PALETTE, Theme, drawing, png

LABELS = 16  # titles on the map at most; more would cover it


def draw_all(
    codes: NDArray[np.int32], sizes: list[int], numbers: Numbers, prefixes: list[Prefix]
) -> dict[str, tuple[bytes, bytes]]:
    """Draw the figures of a report.

    Args:
        codes: (items, levels).
        sizes: Number of codes of each level.
        numbers: The report.
        prefixes: The first-level codes.

    Returns:
        Name to PNG, light and dark.
    """
    drawn = {
        "code_usage": partial(code_usage, codes, sizes),
        "bucket_sizes": partial(bucket_sizes, numbers.bucket_sizes),
        "moved_items": partial(moved_items, numbers.moved_by_level, numbers.items),
        "first_level_map": partial(first_level_map, prefixes),
    }
    return {name: draw(figure) for name, figure in drawn.items()}


def draw(figure: Callable[[Theme], Figure]) -> tuple[bytes, bytes]:
    """Return a figure as PNG, in its light and its dark version."""
    pictures = []
    for theme in (LIGHT, DARK):
        with drawing(theme):
            drawn = figure(theme)
            pictures.append(png(drawn))
            plt.close(drawn)
    return pictures[0], pictures[1]


def code_usage(codes: NDArray[np.int32], sizes: list[int], theme: Theme) -> Figure:
    """Draw how many items use each code of each level, the commonest code first."""
    figure, axes = plt.subplots(1, len(sizes), figsize=(8.2, 2.7), sharey=True, squeeze=False)
    for level, (axis, size) in enumerate(zip(axes[0], sizes, strict=True)):
        counts = np.sort(np.bincount(codes[:, level], minlength=size))[::-1]
        axis.fill_between(np.arange(size) + 1, counts, step="mid", color=PALETTE[0], linewidth=0)
        axis.axhline(len(codes) / size, color=PALETTE[1], linestyle="--", linewidth=1.2)
        axis.set_title(f"Level {level + 1}")
        axis.set_xlabel("codes, commonest first")
        axis.set_xlim(0.5, size + 0.5)
        axis.set_yscale("log")
        axis.xaxis.set_major_locator(MaxNLocator(3, integer=True))
    axes[0][0].set_ylim(bottom=0.8)
    axes[0][0].set_ylabel("items")
    _plain_numbers(axes[0][0])
    even = axes[0][-1].annotate(
        "even use",
        (sizes[-1], len(codes) / sizes[-1]),
        (0, 2),
        textcoords="offset points",
        ha="right",
        color=PALETTE[1],
    )
    even.set_path_effects([_halo(theme)])
    return figure


def bucket_sizes(histogram: Counts, theme: Theme) -> Figure:
    """Draw how many SIDs hold how many items, before and after the policy."""
    figure, axis = plt.subplots(figsize=(8.2, 3.0))
    largest = max(row["items_per_sid"] for row in histogram)
    edges = _size_groups(largest)
    for shift, (name, colour) in enumerate((("before", PALETTE[1]), ("after", PALETTE[0]))):
        sids = [
            sum(row[f"sids_{name}"] for row in histogram if low <= row["items_per_sid"] <= high)
            for low, high in edges
        ]
        places = np.arange(len(edges)) + (shift - 0.5) * 0.4
        bars = axis.bar(places, sids, width=0.38, color=colour, label=f"{name} the policy")
        labels = [f"{count:,}" if count else "" for count in sids]
        axis.bar_label(bars, labels, padding=1, fontsize=7.5, color=theme.ink)
    axis.set_yscale("log")
    axis.set_ylim(bottom=0.7)
    axis.margins(y=0.15)
    names = [f"{low}" if low == high else f"{low} to {high}" for low, high in edges]
    axis.set_xticks(range(len(edges)), names)
    axis.set_xlabel("items under one Semantic ID")
    axis.set_ylabel("Semantic IDs")
    _plain_numbers(axis)
    axis.legend(loc="upper right")
    return figure


def moved_items(moved: Counts, items: int, theme: Theme) -> Figure:
    """Draw at which level the moved items left their nearest codes."""
    figure, axis = plt.subplots(figsize=(8.2, 0.4 + 0.36 * len(moved)))
    counts = [row["moved_items"] for row in moved]
    bars = axis.barh([f"Level {row['level']}" for row in moved], counts, color=PALETTE[0])
    labels = [f"{count:,}  ({count / items:.1%})" for count in counts]
    axis.bar_label(bars, labels, padding=4, color=theme.ink)
    axis.invert_yaxis()
    axis.grid(visible=False)
    axis.set_xticks([])
    axis.spines["bottom"].set_visible(False)
    axis.set_xlim(0, 1.25 * max(*counts, 1))
    return figure


def first_level_map(prefixes: list[Prefix], theme: Theme) -> Figure:
    """Draw the first-level codes on their principal plane: size by items, colour by category."""
    figure, axis = plt.subplots(figsize=(8.2, 6.2))
    known = Counter(prefix.category for prefix in prefixes if prefix.category)
    commonest = sorted(known, key=lambda word: (-known[word], word))[: len(PALETTE)]
    colours = dict(zip(commonest, PALETTE, strict=False))
    scale = 900 / max(prefix.items for prefix in prefixes)
    for name, colour in [*colours.items(), (None, theme.faint if colours else PALETTE[0])]:
        group = [prefix for prefix in prefixes if colours.get(prefix.category or "") == colour]
        if name is None:
            group = [prefix for prefix in prefixes if prefix.category not in colours]
        axis.scatter(
            [prefix.x for prefix in group],
            [prefix.y for prefix in group],
            s=[max(prefix.items * scale, 6) for prefix in group],
            color=colour,
            alpha=0.62,
            edgecolors=theme.paper,
            linewidths=0.8,
        )
        if name and group:
            axis.scatter([], [], s=60, color=colour, label=name)
    _label_largest(figure, axis, prefixes, theme)
    axis.grid(visible=False)
    axis.set_xticks([])
    axis.set_yticks([])
    axis.spines[:].set_visible(False)
    axis.margins(0.07)
    if colours:
        figure.legend(loc="outside lower center", ncols=4, fontsize=8.5, handletextpad=0.2)
    return figure


def _label_largest(figure: Figure, axis: Any, prefixes: list[Prefix], theme: Theme) -> None:
    """Write the most typical title beside the largest circles, where no label stands already."""
    figure.draw_without_rendering()
    placed: list[Any] = []
    for prefix in prefixes:
        if len(placed) == LABELS:
            return
        title = prefix.titles[0] if prefix.titles else ""
        text = axis.annotate(
            title if len(title) <= 30 else f"{title[:29]}…",
            (prefix.x, prefix.y),
            ha="center",
            va="center",
            fontsize=7.8,
            color=theme.ink,
        )
        text.set_path_effects([_halo(theme)])
        box = text.get_window_extent().padded(3)
        if any(box.overlaps(other) for other in placed):
            text.remove()
        else:
            placed.append(box)


def _plain_numbers(axis: Any) -> None:
    """Write 1, 10, 100 at a logarithmic axis, where powers would need formulas."""
    axis.yaxis.set_major_formatter(StrMethodFormatter("{x:,.0f}"))
    axis.yaxis.set_minor_locator(NullLocator())


def _halo(theme: Theme) -> Any:
    from matplotlib.patheffects import withStroke

    return withStroke(linewidth=2.2, foreground=theme.paper)


def _size_groups(largest: int) -> list[tuple[int, int]]:
    """Return 1 … 8 one by one, then doubling ranges: (9, 16), (17, 32) and so on."""
    groups = [(size, size) for size in range(1, min(largest, 8) + 1)]
    while groups[-1][1] < largest:
        groups.append((groups[-1][1] + 1, 2 * groups[-1][1]))
    return groups
