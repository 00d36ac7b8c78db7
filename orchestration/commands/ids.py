"""The commands that compare ways to build IDs: ids compare, study.

Heavy things are imported by the command that needs them, so that help and tables come at once.
"""

from __future__ import annotations

import os
import sys
from pathlib import Path
from typing import Annotated

import typer

from orchestration.commands.options import AsJson, project_root
from orchestration.commands.terminal import console, print_json, print_table
from orchestration.studies.ranking import Ranking

PANEL = "Compare"
commands = typer.Typer()
ids = typer.Typer(no_args_is_help=True)
commands.add_typer(ids, name="ids", help="Compare builds by their IDs.", rich_help_panel=PANEL)


@ids.callback()
def _ids() -> None:
    """Compare builds by their IDs."""


@ids.command()
def compare(
    builds: Annotated[
        list[str] | None,
        typer.Argument(
            help="Releases (r3, current), DVC experiments, folders; default: releases and data/."
        ),
    ] = None,
    page: Annotated[
        Path | None, typer.Option(help="Where to write the page; default: data/ids_compare.html.")
    ] = None,
    as_json: AsJson = False,
) -> None:
    """Compare builds: a row each, the best value marked, what changed in words."""
    from orchestration.studies.comparison import compare as compare_builds

    root = project_root()
    ranking = compare_builds(root, builds or [])
    file = page or root / "data" / "ids_compare.html"
    file.parent.mkdir(parents=True, exist_ok=True)
    names = " ".join(builds or [])
    foot = f"Made by `sidmill ids compare{' ' + names if names else ''}`."
    ranking.write_page(file, "Builds of Semantic IDs beside each other", [], foot)
    if as_json:
        print_json({"rows": ranking.content(), "page": str(file)})
        return
    print_ranking(ranking)
    print(f"page: {file}")


@commands.command(rich_help_panel=PANEL)
def study(
    name: Annotated[str, typer.Argument(help="One of studies/<name>.yaml.")],
    jobs: Annotated[
        int, typer.Option(min=1, help="Experiments at a time; they share the machine's threads.")
    ] = min(os.cpu_count() or 1, 4),
    again: Annotated[
        bool, typer.Option("--again", help="Try also what failed before on the same inputs.")
    ] = False,
    only_table: Annotated[
        bool, typer.Option("--table", help="Run nothing: the table of what there is.")
    ] = False,
    as_json: AsJson = False,
) -> None:
    """Run a list of DVC experiments, skip those already there, and put them into one table.

    A variant that fails is a row with its reason. Ctrl-C stops it; called again, it goes on.
    """
    from orchestration.commands.full_run import get_ready
    from orchestration.studies.running import run_study
    from orchestration.studies.table import study_table, write_study

    root, progress = project_root(), console(sys.stderr)
    get_ready(root, progress)
    if not only_table:
        run_study(root, name, progress.out, side_by_side=jobs, again=again)
    ranking = study_table(root, name)
    page = write_study(root, name, ranking)
    if as_json:
        print_json({"study": name, "rows": ranking.content(), "page": str(page)})
        return
    print_ranking(ranking)
    print(f"page:  {page}\ntable: {page.with_name('table.csv')}")


def print_ranking(ranking: Ranking) -> None:
    """Print a table per group of columns, the best values with a star, then the words."""
    seeds = any(row.ends for row in ranking.rows)
    for group, columns in ranking.groups().items():
        headings, lines = ranking.printed(columns)
        title = f"{group} (* best{'; in brackets least and most of the seeds' if seeds else ''})"
        print_table([heading.replace(" ", "\n") for heading in headings], lines, title)
    for row in ranking.rows:
        for note in row.notes:
            console().print(f"{row.name}: {note}", markup=False)
