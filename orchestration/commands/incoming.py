"""The commands for your own data: example, check."""

from __future__ import annotations

import os
import shutil
import sys
from functools import partial
from pathlib import Path
from typing import Annotated, Any

import typer

from orchestration.commands.options import AsJson, project_root
from orchestration.commands.terminal import cell, complain, console, print_json, print_table

PANEL = "Your data"
EXAMPLE = Path(__file__).with_name("example")
INCOMING = Path("data/incoming")
UNUSABLE, ROWS_REFUSED = 1, 3  # exit codes; 2 is a mistyped command
Folder = Annotated[Path | None, typer.Argument(help="Default: data/incoming.", show_default=False)]
commands = typer.Typer()


@commands.command(rich_help_panel=PANEL)
def example(folder: Folder = None) -> None:
    """Write three small valid files to start from: twelve books, who read them, queries."""
    from assets.stage import UserError

    folder = folder or project_root() / INCOMING
    files = sorted(file.relative_to(EXAMPLE) for file in EXAMPLE.glob("*/*.csv"))
    for table in (file.parent for file in files):
        there = [file for file in (folder / table).glob("**/[!.]*") if file.suffix != ".dvc"]
        if there:
            raise UserError(
                f"{there[0]} is there already: an example would mix with it. Name an empty folder, "
                f"such as `sidmill example my-data`."
            )
    for file in files:
        (folder / file).parent.mkdir(parents=True, exist_ok=True)
        shutil.copyfile(EXAMPLE / file, folder / file)
        print(f"wrote {folder / file}")
    print("next: `sidmill check` says what would come of them, `sidmill run` builds it")


@commands.command(rich_help_panel=PANEL)
def check(folder: Folder = None, as_json: AsJson = False) -> None:
    """Say what a run would make of the params and of the files in data/incoming.

    Nothing is changed.

    Exit code 0: all is well. 1: a run would fail. 3: it would run, without the rows that are
    refused.
    """
    from assets.bi_encoder.params import BiEncoderParams
    from assets.bi_encoder.token_caps import foresee_cuts
    from assets.final_fit.params import FinalFitParams
    from assets.interactions.check import foresee
    from assets.interactions.params import InteractionsParams
    from assets.machine import Machine
    from assets.stage import load_params
    from orchestration.commands.run_estimate import estimate
    from orchestration.project_params import require_valid_params

    folder = folder.resolve() if folder else INCOMING
    os.chdir(project_root())
    require_valid_params(Path())
    params = load_params("interactions", InteractionsParams)
    encoder = load_params("bi_encoder", BiEncoderParams)
    with console(sys.stderr).status("reading"):
        found = foresee(params, folder, Machine.here(), partial(foresee_cuts, encoder))
    if not found["problems"]:
        final = load_params("final_fit", FinalFitParams).enabled
        found["estimate"] = estimate(found, final=final)
    code = UNUSABLE if found["problems"] else ROWS_REFUSED if found["rejects"] else 0
    if as_json:
        print_json(found | {"exit_code": code})
    else:
        _print(found)
    raise typer.Exit(code)


def _print(found: dict[str, Any]) -> None:
    print(f"source: {found['source']}")
    if found["files"]:
        print_table(
            ["table", "file", "rows", "refused"],
            [[row[k] for k in ("table", "file", "rows", "rejected")] for row in found["files"]],
        )
    for entry in found["rejects"]:
        _line(f"refused {entry['rows']:,} {entry['table']}: {entry['reason']}")
        _line(f"  fix: {entry['fix']}")
        for row in entry["examples"]:
            _line(f"  {row['file']}, row {row['row']}: {row['content'] or ''}")
    for problem in found["problems"]:
        complain(problem)
    if found["problems"]:
        return
    splits = [
        [row["split"], *(row[k] or 0 for k in ("interactions", "users", "items", "queries"))]
        for row in found["splits"]
    ]
    print_table(["split", "interactions", "users", "items", "real queries"], splits)
    for line in found["remarks"]:
        if not line.startswith("refused "):
            _line(f"· {line}")
    guess = found["estimate"]
    minutes = guess["seconds"] / 60
    time = f"{minutes:.0f} minutes" if minutes < 120 else f"{minutes / 60:.0f} hours"
    doubt = "far beyond what was measured: a guess" if guess["extrapolated"] else "an estimate"
    print(
        f"a run takes about {time} on 2 cores without GPU, and {guess['memory_mb'] / 1000:.1f} GB "
        f"of memory ({doubt})"
    )


def _line(text: str) -> None:
    console().print(cell(text))
