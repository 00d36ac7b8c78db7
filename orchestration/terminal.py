"""What the command line prints: tables on a terminal, JSON for machines, sentences for errors."""

from __future__ import annotations

import json
import sys
from collections.abc import Iterable, Mapping, Sequence
from typing import Any, TextIO

from rich.console import Console
from rich.table import Table
from rich.text import Text

PIPE_WIDTH = 160


def console(stream: TextIO | None = None) -> Console:
    """Return a console on a stream (default stdout); pipes get lines of a fixed width."""
    stream = stream or sys.stdout
    width = None if stream.isatty() else PIPE_WIDTH
    return Console(file=stream, width=width, highlight=False, soft_wrap=not stream.isatty())


def print_json(content: Any) -> None:
    """Print JSON on stdout, and nothing else."""
    print(json.dumps(content, ensure_ascii=False, default=str))


def print_table(columns: Sequence[str], rows: Iterable[Sequence[Any]], title: str = "") -> None:
    """Print a table; numbers stand to the right, anything else is text and never markup."""
    cells = [list(row) for row in rows]
    table = Table(title=title or None, title_justify="left", title_style="bold")
    for place, name in enumerate(columns):
        numbers = all(isinstance(row[place], int | float | None) for row in cells)
        table.add_column(name, justify="right" if numbers else "left", overflow="fold")
    for row in cells:
        table.add_row(*map(cell, row))
    console().print(table)


def cell(value: Any) -> Text:
    """Turn a value into text without control characters, which could steer the terminal."""
    if value is None:
        return Text("")
    if isinstance(value, float):
        return Text(f"{value:.4f}")
    return Text("".join(char if char.isprintable() else " " for char in str(value)))


def print_rows(rows: Sequence[Mapping[str, Any]], title: str = "") -> None:
    """Print rows that all have the same keys as a table."""
    if rows:
        print_table(list(rows[0]), [list(row.values()) for row in rows], title)


def complain(text: str) -> None:
    """Print an error on stderr."""
    console(sys.stderr).print(Text(f"error: {text}"), style="red")
