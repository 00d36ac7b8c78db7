"""The commands that build and release: run, refresh, rebuild, publish and what goes with them.

Heavy things are imported by the command that needs them, so that help and tables come at once.
"""

from __future__ import annotations

import os
import shutil
import signal
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Annotated, Any, NoReturn

import typer

from orchestration.commands.options import AsJson, project_root, require_free_port
from orchestration.commands.terminal import (
    complain,
    console,
    print_json,
    print_results,
    print_table,
)

PANEL = "Build and release"
Final = Annotated[
    bool,
    typer.Option(
        "--final",
        help="Once all is measured, let what is released learn once more, from validation and test "
        "too. Without it `final_fit.enabled` in params.yaml decides.",
    ),
]
commands = typer.Typer()


@commands.command(rich_help_panel=PANEL)
def run(final: Final = False, as_json: AsJson = False) -> None:
    """Bring every stage up to date, publish, and show what came of it."""
    _run(project_root(), final, as_json)


@commands.command(rich_help_panel=PANEL)
def refresh(
    name: Annotated[
        str | None, typer.Argument(help="Such as r3; default: the current release.")
    ] = None,
    final: Final = False,
    as_json: AsJson = False,
) -> None:
    """Keep encoder, codebooks and IDs of a release, give new items IDs beside them, and run."""
    from orchestration.growth import set_base
    from orchestration.project_params import require_valid_params
    from orchestration.releases import store

    root = project_root()
    require_valid_params(root)
    release = store.find(root, name)
    if name is None and _is_built(root, release):
        said = f"nothing to grow: {release.name} holds all there is; data/base.yaml stays as it is"
        console(sys.stderr if as_json else None).print(said)
    else:
        set_base(root, release.name, final)
    _run(root, final, as_json)


@commands.command(rich_help_panel=PANEL)
def rebuild(final: Final = False, as_json: AsJson = False) -> None:
    """Learn everything anew, encoder, codebooks and IDs, and run."""
    from orchestration.growth import set_base
    from orchestration.project_params import require_valid_params

    root = project_root()
    require_valid_params(root)
    set_base(root, None, final)
    _run(root, final, as_json)


def _is_built(root: Path, release: Any) -> bool:
    """Tell whether what the project asks for now is what a release holds."""
    from orchestration.commands.full_run import get_ready
    from orchestration.dvc_pipeline import Pipeline

    get_ready(root, console(sys.stderr))
    pipeline = Pipeline.load(root)
    made = {stage: lock.output for stage, lock in pipeline.lock().items()}
    return release.assets == made and not pipeline.stale()


def _run(root: Path, final: bool, as_json: bool) -> None:
    from orchestration.commands.full_run import build, still_answers, summary
    from orchestration.releases.publishing import publish
    from orchestration.releases.store import FINAL_FIT, PublishError, current

    progress = console(sys.stderr if as_json else None)
    signal.signal(signal.SIGTERM, _stop)  # an exception, so that DVC is ended too
    done = build(root, progress, final=final)
    before = current(root)
    refusal = None
    try:
        with progress.status("publishing"):
            release = publish(root)
        same = before is not None and before.name == release.name
        word = "unchanged, still" if same else "published"
        progress.print(f"✓ {'release':<18} {word} {release.name}")
        for note in () if same else release.notes:
            progress.print(f"  {note}", soft_wrap=True)
    except PublishError as error:
        refusal = f"not published: {error} {still_answers(root)}"
    result = summary(root, done)
    if as_json:
        print_json(result | {"refusal": refusal})
    else:
        print_results(result["table"])
        for line in result["answered_by"]:
            progress.print(line)
        if result["final_fit"] and not refusal:
            progress.print(f"{result['release']}: {FINAL_FIT}")
        for line in result["skipped"]:
            progress.print(f"skipped {line}")
        if result["report"]:
            progress.print(f"report: {result['report']}", soft_wrap=True)
        progress.print("UI:     make ui (or `sidmill ui`), then http://localhost:3000")
    if refusal:
        complain(refusal)
        raise typer.Exit(1)


@commands.command(rich_help_panel=PANEL)
def publish(
    force: Annotated[
        bool, typer.Option("--force", help="Also what something speaks against; see above.")
    ] = False,
    as_json: AsJson = False,
) -> None:
    """Copy the assets to a new release and make it the current one.

    Refused are assets that are out of date or do not fit together, and, without --force, those with
    which recall@10 of search or recommendation falls by more than chance, many items vanish, many
    rows were refused, popular items are not found by their titles, or IDs of no item are written.
    Told is the smallest fall that would show.
    """
    from orchestration.releases import store
    from orchestration.releases.publishing import publish

    root = project_root()
    before = store.current(root)
    release = publish(root, force=force)
    if as_json:
        print_json(_entry(release, release))
    elif before and before.name == release.name:
        print(f"nothing to do: {release.name} holds these very assets")
    else:
        print(f"published {release.name}: {release.folder}")
        for note in (*release.notes, *(f"forced although {why}" for why in release.accepted)):
            print(note)
        if release.final_fit:
            print(store.FINAL_FIT)


@commands.command(rich_help_panel=PANEL)
def releases(as_json: AsJson = False) -> None:
    """List the releases, the oldest first."""
    from orchestration.releases import store
    from orchestration.releases.checks import RECALL

    root = project_root()
    used = store.current(root)
    rows = [_entry(release, used) for release in store.releases(root)]
    if as_json:
        print_json(rows)
    elif not rows:
        print("nothing is released yet: `sidmill run` builds everything and publishes it")
    else:
        print_table(
            ["", "release", "published", *(f"{task}\nrecall@10" for task in RECALL), "final\nfit"],
            [
                [
                    "current" if row["current"] else "",
                    row["name"],
                    row["created"],
                    *(row["metrics"].get(task) for task in RECALL),
                    "yes" if row["final_fit"] else "",
                ]
                for row in rows
            ],
        )


@commands.command(rich_help_panel=PANEL)
def rollback(
    name: Annotated[
        str | None, typer.Argument(help="Such as r3; default: the one before the current.")
    ] = None,
    as_json: AsJson = False,
) -> None:
    """Make an earlier release the current one (or a later one again)."""
    from orchestration.releases import store

    release = store.rollback(project_root(), name)
    if as_json:
        print_json(_entry(release, release))
    else:
        print(f"current is now {release.name}, published {release.created}")


@commands.command(rich_help_panel=PANEL)
def status(as_json: AsJson = False) -> None:
    """Say which assets are out of date and why, and what is released."""
    from orchestration.commands.full_run import get_ready
    from orchestration.dvc_pipeline import Pipeline
    from orchestration.growth import base_name
    from orchestration.releases.store import current

    root = project_root()
    get_ready(root, console(sys.stderr))
    pipeline, release = Pipeline.load(root), current(root)
    stale = pipeline.stale()
    made = {name: lock.output for name, lock in pipeline.lock().items()}
    released = release is not None and not stale and release.assets == made
    if as_json:
        entry = _entry(release, release) if release else None
        print_json(
            {"stale": stale, "release": entry, "released": released, "base": base_name(root)}
        )
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
    if grown := base_name(root):
        print(f"grows from {grown}; `sidmill rebuild` learns everything anew")
    if stale:
        print("`sidmill run` brings everything up to date and publishes it")
    elif not released:
        print("`sidmill publish` releases what data/ holds")


@commands.command(rich_help_panel=PANEL)
def ui(
    port: Annotated[int, typer.Option(min=1, max=65535, help="Port on this machine.")] = 3000,
) -> None:
    """Open Dagster on this machine: lineage, figures, checks, schedule and sensor."""
    from orchestration.commands.full_run import get_ready

    root = project_root()
    get_ready(root, console(sys.stderr))
    require_free_port(port, "sidmill ui")
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


def _reasons(found: Sequence[str]) -> str:
    """Put reasons on one line, those that come from upstream together at the end."""
    own = [reason for reason in found if not reason.startswith("follows ")]
    after = [reason.removeprefix("follows ") for reason in found if reason not in own]
    return "; ".join([*own, *(["follows " + ", ".join(after)] if after else [])])


def _stop(*_: object) -> NoReturn:
    raise SystemExit(143)


def _entry(release: Any, used: Any) -> dict[str, Any]:
    """Return what is told of a release in JSON."""
    names = ["name", "number", "created", "sid_version", "metrics"]
    names += ["comparisons", "notes", "accepted", "final_fit"]
    entry = {name: getattr(release, name) for name in names}
    is_current = used is not None and used.name == release.name
    return {**entry, "folder": str(release.folder), "current": is_current}
