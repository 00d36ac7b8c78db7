"""How pages are made: templates whose every value is escaped, in one style."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import jinja2

import assets.collision_report


def environment(folder: Path) -> jinja2.Environment:
    """Return the templates of a folder; the collision report's page lends its style.

    Args:
        folder: Where the page's own template lies.
    """
    found = jinja2.Environment(
        loader=jinja2.FileSystemLoader([folder, Path(assets.collision_report.__path__[0])]),
        autoescape=True,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    found.filters |= {"count": _count, "share": _share, "decimal": _fixed, "fixed": _fixed}
    return found


def _count(value: Any) -> str:
    return f"{value:,}" if isinstance(value, int) else "n/a"


def _share(value: Any) -> str:
    return f"{value:.1%}" if isinstance(value, int | float) else "n/a"


def _fixed(value: Any, digits: int = 4) -> str:
    return f"{value:.{digits}f}" if isinstance(value, int | float) else "n/a"
