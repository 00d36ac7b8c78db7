"""The command `sidmill`.

Heavy things are imported by the command that needs them, so that help and tables come at once.
"""

from __future__ import annotations

import os
import shutil
import signal
import socket
import sys
import time
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Annotated, Any, NoReturn

import typer
from rich.text import Text

from orchestration.terminal import complain, console, print_json, print_results, print_table

app = typer.Typer(
    name="sidmill",
    help="Semantic IDs from a catalogue and a log: built, proved, released, and used to search "
    "and recommend.",
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
    context_settings={"help_option_names": ["-h", "--help"]},
)

AsJson = Annotated[bool, typer.Option("--json", help="Print JSON for machines.")]
Count = Annotated[int, typer.Option("-k", min=1, max=1000, help="Number of items.")]
BUILD, USE = "Build and release", "Use the release"


def main(arguments: Sequence[str] | None = None) -> None:
    """Run the command line; mistakes of users end with a sentence on stderr and exit code 1."""
    try:
        app(args=arguments)
    except _user_error() as error:
        complain(str(error))
        raise SystemExit(1) from None


@app.command(rich_help_panel=BUILD)
def run(as_json: AsJson = False) -> None:
    """Bring every stage up to date, publish, and show what came of it."""
    from orchestration.full_run import build, still_answers, summary
    from orchestration.releases import PublishError, current, publish

    root, progress = _root(), console(sys.stderr if as_json else None)
    signal.signal(signal.SIGTERM, _stop)  # an exception, so that DVC is ended too
    done = build(root, progress)
    before = current(root)
    refusal = None
    try:
        release = publish(root)
        same = before is not None and before.name == release.name
        word = "unchanged, still" if same else "published"
        progress.print(f"✓ {'release':<18} {word} {release.name}")
    except PublishError as error:
        refusal = f"not published: {error} {still_answers(root)}"
    result = summary(root, done)
    if as_json:
        print_json(result | {"refusal": refusal})
    else:
        print_results(result["table"])
        for line in result["skipped"]:
            progress.print(f"skipped {line}")
        if result["report"]:
            progress.print(f"report: {result['report']}", soft_wrap=True)
        progress.print("UI:     make ui (or `sidmill ui`), then http://localhost:3000")
    if refusal:
        complain(refusal)
        raise typer.Exit(1)


@app.command(rich_help_panel=BUILD)
def publish(
    force: Annotated[
        bool, typer.Option("--force", help="Also what is worse than the current release.")
    ] = False,
    as_json: AsJson = False,
) -> None:
    """Copy the assets to a new release and make it the current one.

    Refused are assets that are out of date or do not fit together, and, without --force, those with
    which recall@10 of search or recommendation falls.
    """
    from orchestration import releases as store

    root = _root()
    before = store.current(root)
    release = store.publish(root, force=force)
    if as_json:
        print_json(_entry(release, release))
    elif before and before.name == release.name:
        print(f"nothing to do: {release.name} holds these very assets")
    else:
        print(f"published {release.name}: {release.folder}")


@app.command(rich_help_panel=BUILD)
def releases(as_json: AsJson = False) -> None:
    """List the releases, the oldest first."""
    from orchestration import releases as store

    root = _root()
    used = store.current(root)
    rows = [_entry(release, used) for release in store.releases(root)]
    if as_json:
        print_json(rows)
    elif not rows:
        print("nothing is released yet: `sidmill run` builds everything and publishes it")
    else:
        print_table(
            ["", "release", "published", *(f"{task}\nrecall@10" for task in store.RECALL)],
            [
                [
                    "current" if row["current"] else "",
                    row["name"],
                    row["created"],
                    *(row["metrics"].get(task) for task in store.RECALL),
                ]
                for row in rows
            ],
        )


@app.command(rich_help_panel=BUILD)
def rollback(
    name: Annotated[
        str | None, typer.Argument(help="Such as r3; default: the one before the current.")
    ] = None,
    as_json: AsJson = False,
) -> None:
    """Make an earlier release the current one (or a later one again)."""
    from orchestration import releases as store

    release = store.rollback(_root(), name)
    if as_json:
        print_json(_entry(release, release))
    else:
        print(f"current is now {release.name}, published {release.created}")


@app.command(rich_help_panel=BUILD)
def status(as_json: AsJson = False) -> None:
    """Say which assets are out of date and why, and what is released."""
    from orchestration.dvc_pipeline import Pipeline
    from orchestration.full_run import ready_for_dvc
    from orchestration.releases import current

    root = _root()
    ready_for_dvc(root, console(sys.stderr))
    pipeline, release = Pipeline.load(root), current(root)
    stale = pipeline.stale()
    made = {name: lock.output for name, lock in pipeline.lock().items()}
    released = release is not None and not stale and release.assets == made
    if as_json:
        entry = _entry(release, release) if release else None
        print_json({"stale": stale, "release": entry, "released": released})
        return
    rows = [
        [name, "out of date" if name in stale else "up to date", _reasons(stale.get(name, []))]
        for name in pipeline.stages
    ]
    print_table(["asset", "state", "why"], rows)
    if release is None:
        print("released: nothing yet")
    else:
        also = "these very assets" if released else "made of other assets than data/ holds now"
        print(f"released: {release.name}, published {release.created}; {also}")
    if stale:
        print("`sidmill run` brings everything up to date and publishes it")
    elif not released:
        print("`sidmill publish` releases what data/ holds")


@app.command(rich_help_panel=BUILD)
def ui(
    port: Annotated[int, typer.Option(min=1, max=65535, help="Port on this machine.")] = 3000,
) -> None:
    """Open Dagster on this machine: lineage, figures, checks, schedule and sensor."""
    from assets.stage import UserError
    from orchestration.full_run import ready_for_dvc

    root = _root()
    ready_for_dvc(root, console(sys.stderr))
    with socket.socket() as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind(("127.0.0.1", port))
        except OSError as error:
            raise UserError(f"port {port} is taken: try `sidmill ui --port {port + 1}`.") from error
    home = root / ".dagster"
    home.mkdir(exist_ok=True)
    shutil.copy(Path(__file__).with_name("dagster.yaml"), home / "dagster.yaml")
    print(f"Dagster will be on http://localhost:{port} (Ctrl-C ends it)", flush=True)
    command = [sys.executable, "-m", "dagster", "dev", "-m", "orchestration.definitions"]
    os.chdir(root)
    os.execve(  # noqa: S606  the command is ours
        sys.executable,
        [*command, "--host", "127.0.0.1", "--port", str(port)],
        {**os.environ, "DAGSTER_HOME": str(home)},
    )


@app.command(rich_help_panel=USE)
def search(
    query: Annotated[
        str | None, typer.Argument(help="Without one, a prompt that stays open.")
    ] = None,
    k: Count = 10,
    no_rerank: Annotated[
        bool, typer.Option("--no-rerank", help="The beam's own order, not the encoder's.")
    ] = False,
    as_json: AsJson = False,
) -> None:
    """Find items for a query, in the current release.

    From a pipe, each line of input is a query and, with --json, each line of output its answer.
    """
    from assets.stage import UserError
    from orchestration import answers

    release = answers.current_release(_root())
    rerank = False if no_rerank else None
    if query is not None and not query.strip():
        raise UserError("the query is empty: type a few words.")
    with console(sys.stderr).status(f"loading {release.name}"):
        retriever = answers.load_retriever(release, searches=True)
    for text in [query] if query is not None else _typed(release.name):
        started = time.perf_counter()
        rows = answers.search(retriever, text, k, rerank)
        took = time.perf_counter() - started
        if as_json:
            print_json(rows if query is not None else {"query": text, "results": rows})
        else:
            _print_results(rows, f"{release.name}, {took * 1000:.0f} ms")
        sys.stdout.flush()


@app.command(rich_help_panel=USE)
def recommend(
    user: Annotated[str | None, typer.Option(help="A user of the data, by id.")] = None,
    items: Annotated[
        str | None, typer.Option(help="Item ids with commas between, the oldest first.")
    ] = None,
    k: Count = 10,
    as_json: AsJson = False,
) -> None:
    """Recommend what comes next, after a user's history or after some items."""
    if (user is None) == (items is None):
        raise typer.BadParameter("give either --user ID or --items ID,ID")
    from orchestration import answers

    release = answers.current_release(_root())
    if user is not None:
        history = answers.history_of(release, user)
    else:
        history = [name.strip() for name in (items or "").split(",") if name.strip()]
    with console(sys.stderr).status(f"loading {release.name}"):
        retriever = answers.load_retriever(release, searches=False)
    started = time.perf_counter()
    rows = answers.recommend(retriever, history, k)
    took = time.perf_counter() - started
    if as_json:
        print_json(rows)
    else:
        after = f"after {len(history)} item{'s' if len(history) > 1 else ''}"
        _print_results(rows, f"{after}, {release.name}, {took * 1000:.0f} ms")


@app.command(rich_help_panel=USE)
def show(item: Annotated[str, typer.Argument(help="An item id.")], as_json: AsJson = False) -> None:
    """Show an item's Semantic ID and the items that share each prefix of it."""
    from orchestration import answers

    found = answers.show(answers.current_release(_root()), item)
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


def _user_error() -> type[Exception]:
    """Import the class only when something was raised: it costs more than showing the help."""
    from assets.stage import UserError

    return UserError


def _root() -> Path:
    """Return the nearest folder, from here upwards, that is a project."""
    from assets.stage import UserError

    here = Path.cwd()
    for folder in (here, *here.parents):
        if (folder / "params.yaml").is_file() and (folder / "dvc.yaml").is_file():
            return folder
    raise UserError(
        f"no project in {here} or above it: go to the folder with params.yaml and dvc.yaml."
    )


def _reasons(found: Sequence[str]) -> str:
    """Put reasons on one line, those that come from upstream together at the end."""
    own = [reason for reason in found if not reason.startswith("follows ")]
    after = [reason.removeprefix("follows ") for reason in found if reason not in own]
    return "; ".join([*own, *(["follows " + ", ".join(after)] if after else [])])


def _stop(*_: object) -> NoReturn:
    raise SystemExit(143)


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


def _entry(release: Any, used: Any) -> dict[str, Any]:
    """Return what is told of a release in JSON."""
    names = ("name", "number", "created", "sid_version", "metrics")
    entry = {name: getattr(release, name) for name in names}
    is_current = used is not None and used.name == release.name
    return {**entry, "folder": str(release.folder), "current": is_current}
