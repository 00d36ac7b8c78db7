"""The report as one page that needs nothing beside it."""

from __future__ import annotations

import base64
from collections.abc import Mapping
from pathlib import Path

import jinja2

from assets.collision_report.artifact import Numbers
from assets.collision_report.first_level import Prefix
from assets.collision_report.params import CollisionReportParams


def write_page(
    file: Path,
    numbers: Numbers,
    figures: Mapping[str, tuple[bytes, bytes]],
    examples: list[Prefix],
    params: CollisionReportParams,
) -> None:
    """Write the page.

    Args:
        file: Where to.
        numbers: The report.
        figures: Name to PNG, light and dark.
        examples: First-level codes whose items are shown.
        params: What it was made with.
    """
    environment = jinja2.Environment(
        loader=jinja2.FileSystemLoader(Path(__file__).parent),
        autoescape=True,
        undefined=jinja2.StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    environment.filters["share"] = lambda value: "" if value is None else f"{value:.1%}"
    environment.filters["fixed"] = lambda value, digits: (
        "" if value is None else f"{value:.{digits}f}"
    )
    environment.filters["count"] = lambda value: f"{value:,}"
    pictures = {
        name: [base64.b64encode(png).decode() for png in versions]
        for name, versions in figures.items()
    }
    page = environment.get_template("page.html.j2").render(
        numbers=numbers, figures=pictures, examples=examples, params=params
    )
    file.write_text(page, encoding="utf-8")
