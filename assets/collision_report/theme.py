"""How the figures look: one style, in a light and a dark version for the page."""

from __future__ import annotations

import io
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import matplotlib as mpl

mpl.use("Agg")

if TYPE_CHECKING:
    from matplotlib.figure import Figure

PALETTE = ["#4c78a8", "#f58518", "#54a24b", "#e45756", "#72b7b2", "#b279a2", "#eeca3b", "#9d755d"]


@dataclass(frozen=True)
class Theme:
    """Colours of what surrounds the data.

    Attributes:
        paper: Background.
        ink: Text.
        faint: Axes, grid and what is less important.
    """

    paper: str
    ink: str
    faint: str


LIGHT = Theme(paper="#ffffff", ink="#1d2430", faint="#c9d0da")
DARK = Theme(paper="#161b22", ink="#e3e8ef", faint="#3c4654")


@contextmanager
def drawing(theme: Theme) -> Iterator[None]:
    """Draw in a theme."""
    style: dict[Any, Any] = {
        "figure.facecolor": theme.paper,
        "axes.facecolor": theme.paper,
        "savefig.facecolor": theme.paper,
        "text.color": theme.ink,
        "axes.labelcolor": theme.ink,
        "xtick.color": theme.ink,
        "ytick.color": theme.ink,
        "axes.edgecolor": theme.faint,
        "grid.color": theme.faint,
        "axes.grid": True,
        "axes.grid.axis": "y",
        "grid.linewidth": 0.6,
        "grid.alpha": 0.6,
        "axes.axisbelow": True,
        "axes.spines.top": False,
        "axes.spines.right": False,
        "axes.spines.left": False,
        "axes.titlelocation": "left",
        "axes.titlesize": 11,
        "axes.titleweight": "bold",
        "xtick.major.size": 0,
        "ytick.major.size": 0,
        "font.family": "DejaVu Sans",
        "font.size": 9,
        "legend.frameon": False,
        "text.parse_math": False,  # a dollar sign in a title is no formula
        "figure.constrained_layout.use": True,
    }
    with mpl.rc_context(style):
        yield


def png(figure: Figure) -> bytes:
    """Return the picture, the same bytes for the same figure."""
    stream = io.BytesIO()
    figure.savefig(stream, format="png", dpi=130, metadata={"Software": None})
    return stream.getvalue()
