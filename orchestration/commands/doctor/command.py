"""The command: every line is *OK*, *slow* (it works, but not as well as it could) or *broken*.

Nothing is changed, and no secret is printed: of a variable that may hold one only that it is set.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import asdict
from pathlib import Path

import typer
from rich.text import Text

from orchestration.commands.doctor import machine, project, software
from orchestration.commands.doctor.finding import Finding, Found, short
from orchestration.commands.options import AsJson, find_project
from orchestration.commands.terminal import console, print_json

STYLES = {"OK": "green", "slow": "yellow", "broken": "bold red"}
PROBES: dict[str, Callable[[Path | None], Found]] = {
    "sidmill": software.sidmill_and_python,
    "system": machine.system,
    "cores": machine.cores,
    "memory": machine.memory,
    "disk": machine.disk,
    "processor": machine.processor,
    "bfloat16": project.precision,
    "torch": software.torch_build,
    "faiss": software.faiss_build,
    "packages": software.packages,
    "project": project.project_and_git,
    "params.yaml": project.params_file,
    "DVC": project.dvc_cache,
    "folders": project.folders,
    "ports": machine.ports,
    "variables": software.variables,
}
commands = typer.Typer()


@commands.command(rich_help_panel="This machine")
def doctor(as_json: AsJson = False) -> None:
    """Say what this machine is and what that means: paste it into a bug report.

    Each line is OK, slow or broken, with the fix. Exit code 1: something is broken.
    """
    findings = examine(find_project())
    broken = sum(finding.state == "broken" for finding in findings)
    if as_json:
        print_json({"findings": [asdict(finding) for finding in findings], "broken": broken})
    else:
        for finding in findings:
            line = Text(f"{finding.state:<6}", style=STYLES[finding.state])
            console().print(line.append(f" {finding.what:<16} {finding.said}", style="default"))
            if finding.fix:
                console().print(Text(f"{'':<24}fix: {finding.fix}"))
    raise typer.Exit(1 if broken else 0)


def examine(project: Path | None) -> list[Finding]:
    """Look at everything.

    Args:
        project: The project's folder; None outside of one.
    """
    findings = []
    for name, probe in PROBES.items():
        try:
            findings += list(probe(project))
        except Exception as error:  # noqa: BLE001  what breaks here is what is looked for
            said = f"{type(error).__name__}: {error}".splitlines()[0]
            fix = "if the other lines do not explain it, report it with all of them"
            findings.append(Finding(name, "broken", short(said), fix))
    return findings
