"""A table of builds or variants, one row each, with the best value of each column marked."""

from __future__ import annotations

import csv
import io
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal

Best = Literal["lowest", "highest"]
Form = Literal["number", "share", "count", "seconds"]
FORMS = {"number": "{:.4f}", "share": "{:.1%}", "count": "{:,.0f}", "seconds": "{:.1f}"}


@dataclass(frozen=True)
class Column:
    """One measure.

    Attributes:
        key: Where it comes from, ``<stage>.<number of its report>``.
        name: Heading.
        group: Columns of one group stand together.
        best: Which value is the best one, None where none is better than another.
        form: How it is written.
        words: What it is.
    """

    key: str
    name: str
    group: str
    best: Best | None = None
    form: Form = "number"
    words: str = ""

    def text(self, value: float | None) -> str:
        """Write a value."""
        return "" if value is None else FORMS[self.form].format(value)


@dataclass(frozen=True)
class Row:
    """One build or variant.

    Attributes:
        name: What it is called.
        values: Column key to value; what was not measured is left out.
        spread: Column key to standard deviation, where several seeds were run.
        notes: What is to be said of it, in sentences.
        sound: Whether it may be the best one; a build that the gate refused may not.
        labels: More about it, such as its quantizer and its policy.
        ends: Column key to the least and the most value, where several seeds were run.
    """

    name: str
    values: Mapping[str, float]
    spread: Mapping[str, float] = field(default_factory=dict)
    notes: Sequence[str] = ()
    sound: bool = True
    labels: Mapping[str, Any] = field(default_factory=dict)
    ends: Mapping[str, tuple[float, float]] = field(default_factory=dict)

    def between(self, column: Column) -> str:
        """Write a column's least and most value in brackets; nothing where they read the same."""
        ends = [column.text(value) for value in self.ends.get(column.key, ())]
        return f"({'-'.join(ends)})" if len(set(ends)) > 1 else ""


@dataclass(frozen=True)
class Ranking:
    """Rows under columns.

    Attributes:
        rows: In the order they are shown.
        columns: Those that some row has a value for.
    """

    rows: list[Row]
    columns: list[Column]

    @classmethod
    def of(cls, rows: Iterable[Row], columns: Iterable[Column]) -> Ranking:
        """Leave out the columns that nobody has a value for."""
        listed = list(rows)
        used = [c for c in columns if any(c.key in row.values for row in listed)]
        return cls(listed, used)

    def groups(self) -> dict[str, list[Column]]:
        """Return the columns by group."""
        names = dict.fromkeys(column.group for column in self.columns)
        return {name: [c for c in self.columns if c.group == name] for name in names}

    def best(self, column: Column) -> float | None:
        """Return the best value of a column, None where there is none or all are the same."""
        values = [row.values[column.key] for row in self.rows if column.key in row.values]
        sound = [r.values[column.key] for r in self.rows if r.sound and column.key in r.values]
        if column.best is None or not sound or len({column.text(value) for value in values}) < 2:
            return None
        return min(sound) if column.best == "lowest" else max(sound)

    def is_best(self, row: Row, column: Column) -> bool:
        """Return whether a row has a column's best value, as far as it is written."""
        best, value = self.best(column), row.values.get(column.key)
        if best is None or value is None or not row.sound:
            return False
        return column.text(best) == column.text(value)

    def printed(self, columns: Sequence[Column]) -> tuple[list[str], list[list[str]]]:
        """Return some columns as a terminal's table.

        A cell is a value, the best of its column with a *, then the least and the most of several
        seeds. The table lies on its side, a line per column, where it has more columns than rows.

        Returns:
            The headings, and the lines, each with its name before its cells.
        """
        names, headings = [row.name for row in self.rows], [column.name for column in columns]
        cells = [
            [
                (
                    column.text(row.values.get(column.key))
                    + ("*" if self.is_best(row, column) else " "),
                    row.between(column),
                )
                for column in columns
            ]
            for row in self.rows
        ]
        if len(columns) > len(self.rows):
            names, headings = headings, names
            cells = [list(line) for line in zip(*cells, strict=True)]
        upright = [_aligned(list(line)) for line in zip(*cells, strict=True)]
        lines = zip(names, *upright, strict=True)
        return ["", *headings], [list(line) for line in lines]

    def content(self) -> list[dict[str, Any]]:
        """Return the rows as plain objects."""
        return [
            {
                "name": row.name,
                **row.labels,
                **{c.key: row.values.get(c.key) for c in self.columns},
                **{f"{key} spread": value for key, value in row.spread.items()},
                **{f"{key} least": least for key, (least, _) in row.ends.items()},
                **{f"{key} most": most for key, (_, most) in row.ends.items()},
                "best": [c.key for c in self.columns if self.is_best(row, c)],
                "sound": row.sound,
                "notes": list(row.notes),
            }
            for row in self.rows
        ]

    def csv(self) -> str:
        """Return the table as CSV, spreads beside their values."""
        spread = dict.fromkeys(key for row in self.rows for key in row.spread)
        labels = dict.fromkeys(key for row in self.rows for key in row.labels)
        names = ["name", *labels]
        for column in self.columns:
            names += [column.key, *([f"{column.key} spread"] if column.key in spread else [])]
        stream = io.StringIO()
        writer = csv.DictWriter(stream, [*names, "sound", "notes"], extrasaction="ignore")
        writer.writeheader()
        for line in self.content():
            writer.writerow(line | {"notes": " ".join(line["notes"])})
        return stream.getvalue()

    def markdown(self, columns: Sequence[Column]) -> str:
        """Return some columns as a Markdown table, the best values bold."""
        lines = [["", *(column.name for column in columns)], ["---", *["---:"] * len(columns)]]
        for row in self.rows:
            cells = []
            for column in columns:
                text = column.text(row.values.get(column.key))
                text = f"**{text}**" if self.is_best(row, column) else text
                cells.append(f"{text} {row.between(column)}".rstrip())
            lines.append([row.name.replace("|", "\\|"), *cells])
        return "\n".join("| " + " | ".join(line) + " |" for line in lines)

    def write_page(self, file: Path, title: str, about: Sequence[str], foot: str) -> None:
        """Write the table as a page that needs nothing beside it.

        Args:
            file: Where to.
            title: Heading.
            about: Paragraphs under it.
            foot: Last line.
        """
        from orchestration.releases.templates import environment

        page = environment(Path(__file__).parent).get_template("ranking.html.j2")
        text = page.render(ranking=self, title=title, about=about, foot=foot)
        file.write_text(text, encoding="utf-8")


def _aligned(cells: Sequence[tuple[str, str]]) -> list[str]:
    """Write values under each other, to the right, and to the left what is in brackets."""
    values, brackets = (max(map(len, texts)) for texts in zip(*cells, strict=True))
    return [f"{value.rjust(values)} {between.ljust(brackets)}".rstrip() for value, between in cells]
