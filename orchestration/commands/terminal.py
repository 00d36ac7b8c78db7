"""What the command line prints: tables on a terminal, JSON for machines, sentences for errors."""

from __future__ import annotations

import json
import sys
from collections.abc import Iterable, Mapping, Sequence
from typing import Any, Literal, TextIO

from rich import box
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
    table = Table(
        title=title or None,
        title_justify="left",
        title_style="bold",
        box=box.SIMPLE_HEAD,
        pad_edge=False,
        padding=(0, 1, 0, 0),
    )
    for place, name in enumerate(columns):
        numbers = all(isinstance(row[place], int | float | None) for row in cells)
        justify: Literal["left", "right"] = "right" if numbers else "left"
        table.add_column(name, justify=justify, overflow="fold", no_wrap=numbers)
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


def print_results(rows: Sequence[Mapping[str, Any]]) -> None:
    """Print the closing table of a run, one part per task, narrow enough for any terminal."""
    for task in dict.fromkeys(row["task"] for row in rows):
        part = [
            {k: v for k, v in row.items() if k != "task"} for row in rows if row["task"] == task
        ]
        names = [
            name.replace("recall@", "R@").replace("ndcg", "NDCG").replace("mrr", "MRR")
            for name in part[0]
        ]
        title = f"{task} on the test split (low, high: 95 % interval of R@10)"
        print_table(names, [list(row.values()) for row in part], title)


def complain(text: str) -> None:
    """Print an error on stderr."""
    console(sys.stderr).print(Text(f"error: {text}"), style="red")
