"""How pages are made: templates whose every value is escaped, in one style."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import jinja2

import assets.collision_report


def environment() -> jinja2.Environment:
    """Return the templates of this package; the collision report's page lends its style."""
    folders = [Path(__file__).parent, Path(assets.collision_report.__path__[0])]
    found = jinja2.Environment(
        loader=jinja2.FileSystemLoader(folders),
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
