"""What the commands of `sidmill` have in common: the project they work in and their options."""

from __future__ import annotations

import socket
from pathlib import Path
from typing import Annotated

import typer

AsJson = Annotated[bool, typer.Option("--json", help="Print JSON for machines.")]


def find_project() -> Path | None:
    """Return the nearest folder, from here upwards, that is a project; None: there is none."""
    here = Path.cwd()
    for folder in (here, *here.parents):
        if (folder / "params.yaml").is_file() and (folder / "dvc.yaml").is_file():
            return folder
    return None


def project_root() -> Path:
    """Return the nearest folder, from here upwards, that is a project.

    Raises:
        UserError: There is none.
    """
    from assets.stage import UserError

    project = find_project()
    if project is None:
        raise UserError(
            f"no project in {Path.cwd()} or above it: go to the folder with params.yaml and "
            "dvc.yaml."
        )
    return project


def port_is_free(port: int) -> bool:
    """Tell whether nobody listens on a port of this machine."""
    with socket.socket() as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind(("127.0.0.1", port))
        except OSError:
            return False
    return True


def require_free_port(port: int, command: str) -> None:
    """Let pass only a port of this machine that nobody listens on.

    Raises:
        UserError: It is taken; the text names the command with another.
    """
    from assets.stage import UserError

    if not port_is_free(port):
        raise UserError(f"port {port} is taken: try `{command} --port {port + 1}`.")
