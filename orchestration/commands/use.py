"""The commands that use the current release: search, recommend, show, export, serve.

Heavy things are imported by the command that needs them, so that help and tables come at once.
"""

from __future__ import annotations

import contextlib
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Annotated, Any, Literal

import typer
from rich.text import Text

from orchestration.commands.options import AsJson, project_root, require_free_port
from orchestration.commands.terminal import console, print_json, print_table

PANEL = "Use the release"
Count = Annotated[int, typer.Option("-k", min=1, max=1000, help="Number of items.")]
By = Annotated[
    str | None,
    typer.Option(help="One part alone, such as dense, bm25, retriever, item_knn.", metavar="PART"),
]
Explain = Annotated[
    bool,
    typer.Option("--explain", help="Say why: each part's rank, the ID's path, what it goes with."),
]
commands = typer.Typer()


@commands.command(rich_help_panel=PANEL)
def search(
    query: Annotated[
        str | None, typer.Argument(help="Without one, a prompt that stays open.")
    ] = None,
    k: Count = 10,
    by: By = None,
    explain: Explain = False,
    as_json: AsJson = False,
) -> None:
    """Find items for a query, in the current release.

    From a pipe, each line of input is a query and, with --json, each line of output its answer.
    """
    from assets.stage import UserError
    from orchestration.releases import answering

    release = answering.current_release(project_root())
    if query is not None and not query.strip():
        raise UserError("the query is empty: type a few words.")
    with console(sys.stderr).status(f"loading {release.name}"):
        answers = answering.load_answers(release.folder, searches=True)
        catalogue = answering.ReleasedItems.load(release) if explain else None
    for text in [query] if query is not None else _typed(release.name):
        started = time.perf_counter()
        if catalogue:
            rows = answering.explained(catalogue, answers, text, k, by)
        else:
            rows = answering.rows_of(answers.search(text, k, by))
        took = time.perf_counter() - started
        if as_json:
            print_json(rows if query is not None else {"query": text, "results": rows})
        else:
            _print_results(rows, f"{release.name}, {took * 1000:.0f} ms")
        sys.stdout.flush()


@commands.command(rich_help_panel=PANEL)
def recommend(
    user: Annotated[str | None, typer.Option(help="A user of the data, by id.")] = None,
    items: Annotated[
        str | None, typer.Option(help="Item ids with commas between, the oldest first.")
    ] = None,
    k: Count = 10,
    by: By = None,
    explain: Explain = False,
    as_json: AsJson = False,
) -> None:
    """Recommend what comes next, after a user's history or after some items."""
    if (user is None) == (items is None):
        raise typer.BadParameter("give either --user ID or --items ID,ID")
    from assets.stage import UserError
    from orchestration.releases import answering

    release = answering.current_release(project_root())
    named = [name.strip() for name in (items or "").split(",") if name.strip()]
    if user is None and not named:
        raise UserError("no items given: `--items 1,260` takes item ids, the oldest first.")
    with console(sys.stderr).status(f"loading {release.name}"):
        answers = answering.load_answers(release.folder, searches=False)
        catalogue = answering.ReleasedItems.load(release) if explain else None
    history = named if user is None else answering.history_of(release, answers, user)
    started = time.perf_counter()
    if catalogue:
        rows = answering.explained(catalogue, answers, history, k, by)
    else:
        rows = answering.rows_of(answers.recommend(history, k, by))
    took = time.perf_counter() - started
    if as_json:
        print_json(rows)
    else:
        after = f"after {len(history)} item{'s' if len(history) > 1 else ''}"
        _print_results(rows, f"{after}, {release.name}, {took * 1000:.0f} ms")


@commands.command(rich_help_panel=PANEL)
def show(item: Annotated[str, typer.Argument(help="An item id.")], as_json: AsJson = False) -> None:
    """Show an item's Semantic ID and the items that share each prefix of it."""
    from orchestration.releases import answering

    found = answering.show(answering.current_release(project_root()), item)
    if as_json:
        print_json(found)
        return
    lines = [f"{found['item_id']}  {found['title'] or ''}", found["category"] or ""]
    moved = (
        "" if found["sid"].startswith(found["raw_sid"]) else f"  (moved from {found['raw_sid']})"
    )
    for line in (*lines, found["sid"] + moved):
        console().print(Text(line))
    print_table(
        ["prefix", "items", "labels", "also here, most popular first"],
        [
            [
                row["prefix"],
                row["items"],
                ", ".join(f"{label['label']} {label['share']:.0%}" for label in row["labels"]),
                "; ".join(str(other["title"] or other["item_id"]) for other in row["others"]),
            ]
            for row in found["prefixes"]
        ],
    )


@commands.command(rich_help_panel=PANEL)
def export(
    what: Annotated[
        Literal["ids", "recommendations", "training"], typer.Argument(help="What to write.")
    ] = "ids",
    to: Annotated[
        Path | None,
        typer.Option(help="Folder to write to. Default: data/exports/RELEASE.", show_default=False),
    ] = None,
    k: Annotated[int, typer.Option("-k", min=1, max=1000, help="Recommendations per user.")] = 10,
    as_json: AsJson = False,
) -> None:
    """Write the current release's IDs, recommendations or training pairs for other programs.

    ids: every item with its Semantic ID, as Parquet and CSV. recommendations: what comes next for
    every user, as Parquet. training: queries and co-occurrence pairs with the columns anchor and
    positive, as sentence-transformers and datasets.load_dataset take them.
    """
    from assets.stage import UserError
    from orchestration.commands import exports
    from orchestration.releases.answering import current_release

    root = project_root()
    release = current_release(root)
    folder = to or root / "data" / "exports" / release.name
    try:
        with contextlib.redirect_stdout(sys.stderr):  # progress is no result
            if what == "ids":
                files = exports.export_ids(release, folder)
            elif what == "recommendations":
                files = exports.export_recommendations(release, folder, k)
            else:
                files = exports.export_training(release, folder)
    except (FileExistsError, NotADirectoryError, PermissionError, IsADirectoryError) as error:
        raise UserError(f"{error.filename}: {error.strerror}: choose another folder.") from error
    if as_json:
        print_json({"release": release.name, "files": [str(file) for file in files]})
    for file in () if as_json else files:
        print(f"wrote {file}")


@commands.command(rich_help_panel=PANEL)
def serve(
    port: Annotated[int, typer.Option(min=1, max=65535, help="Port on this machine.")] = 8000,
) -> None:
    """Answer over HTTP on this machine: /search, /recommend, /items/ID, /health, /docs.

    Follows the current release: after a publication or a rollback the other one answers, without a
    gap.
    """
    root = project_root()
    require_free_port(port, "sidmill serve")
    with console(sys.stderr).status("loading the current release"):
        from orchestration.web.app import build_app, run
        from orchestration.web.serving import Serving

        serving = Serving(root)
    name = serving.loaded.release.name
    print(f"{name} answers on http://localhost:{port} (Ctrl-C ends it)", flush=True)
    run(build_app(serving), port)


def _typed(release: str) -> Iterator[str]:
    """Yield what is typed, or each line of a pipe, until it ends."""
    asks = sys.stdin.isatty()
    if asks:
        print(f"{release} answers; an empty line ends.", file=sys.stderr)
    while True:
        try:
            line = input("search> ") if asks else next(sys.stdin)
        except (EOFError, KeyboardInterrupt, StopIteration):
            return
        if line.strip():
            yield line.strip()
        elif asks:
            return


def _print_results(rows: list[dict[str, Any]], title: str) -> None:
    columns = ["rank", "item_id", "title", "sid", "score"]
    print_table(columns, [[row[name] for name in columns] for row in rows], title)
    if not any("why" in row for row in rows):
        return
    parts = [*rows[0]["why"]["parts"]]
    ranks = [
        [row["rank"], row["title"], *(_standing(row["why"]["parts"][part]) for part in parts)]
        for row in rows
    ]
    print_table(["rank", "title", *parts], ranks, "rank by each part, and its score")
    for row in rows:
        steps = [
            f"{step['prefix']} ({step['items']} item{'s' * (step['items'] > 1)}: "
            + ", ".join(f"{label['label']} {label['share']:.0%}" for label in step["labels"])
            + ")"
            for step in row["why"]["path"]
        ]
        goes = [f"{other['title']} {other['share']:.0%}" for other in row["why"]["goes_with"]]
        console().print(Text(f"{row['rank']}. {row['title']}: " + " > ".join(steps)))
        if goes:
            console().print(Text(f"   goes with {', '.join(goes)}"))


def _standing(standing: dict[str, Any]) -> str:
    return "" if standing["rank"] is None else f"{standing['rank']} ({standing['score']:.3g})"
