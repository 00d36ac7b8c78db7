"""The command `sidmill`: its commands stand in the modules that are added to it here."""

from __future__ import annotations

from collections.abc import Sequence

import typer

from orchestration.commands import build as build_commands
from orchestration.commands import ids as id_commands
from orchestration.commands import incoming as incoming_commands
from orchestration.commands import use as use_commands
from orchestration.commands.doctor import command as doctor_command
from orchestration.commands.terminal import complain

app = typer.Typer(
    name="sidmill",
    help="Semantic IDs from a catalogue and a log: built, proved, released, and used to search "
    "and recommend.",
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
    context_settings={"help_option_names": ["-h", "--help"]},
)
app.add_typer(build_commands.commands)
app.add_typer(incoming_commands.commands)
app.add_typer(id_commands.commands)
app.add_typer(use_commands.commands)
app.add_typer(doctor_command.commands)


def main(arguments: Sequence[str] | None = None) -> None:
    """Run the command line; mistakes of users end with a sentence on stderr and exit code 1."""
    try:
        app(args=arguments)
    except _user_error() as error:
        complain(str(error))
        raise SystemExit(1) from None


def _user_error() -> type[Exception]:
    """Import the class only when something was raised: it costs more than showing the help."""
    from assets.stage import UserError

    return UserError
