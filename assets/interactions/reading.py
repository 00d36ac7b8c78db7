"""Rows of one file as the DuckDB table ``staged``, each with its place in the file.

Parquet goes through DuckDB's reader. CSV and JSON lines are split into rows by ``text_rows``.
``row`` is the line that a person's editor shows (a CSV's header is line 1); for Parquet the record,
from 1.
"""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path

import duckdb
import pyarrow as pa
import pyarrow.parquet as pq

from assets.interactions.contract import TABLES
from assets.interactions.incoming import Source, unreadable
from assets.interactions.sql_text import identifier, member, quoted, value
from assets.interactions.text_rows import csv_header, csv_rows, json_rows, plain_rows
from assets.stage import UserError

IDS = ("item_id", "user_id", "query_id", "basket")
SPACE = " \\t\\r\\n"


@dataclass(frozen=True)
class Records:
    """SQL for the rows of a file.

    Attributes:
        relation: What to select from.
        row: Place in the file.
        fault: Why it is no row at all, else NULL.
        content: Its raw text then.
        text: The file's columns -> the value as text.
        others: Makes a JSON object of all columns but the given ones.
        nested: The columns that may hold lists or objects -> whether a row's does.
    """

    relation: str
    row: str
    fault: str
    content: str
    text: dict[str, str]
    others: Callable[[set[str]], str]
    nested: dict[str, str] = field(default_factory=dict)


def stage(db: duckdb.DuckDBPyConnection, source: Source, columns: Mapping[str, str]) -> None:
    """Make the temporary table ``staged``: row, fault, content and the contract's columns as text.

    Text is trimmed, empty text is NULL. For items, ``attributes`` holds all other columns as a JSON
    object without nulls.

    Args:
        db: The warehouse's connection.
        source: The file.
        columns: The user's column names -> the contract's.

    Raises:
        UserError: The file cannot be read, or lacks a column.
    """
    try:
        records = _records(db, source)
        chosen = _choose(list(records.text), source, columns)
        fault = _fault(records, chosen)
        fields = [
            f"{_trimmed(records.text.get(chosen.get(name, ''), 'NULL'))} AS {name}"
            for name in TABLES[source.table].columns
        ]
        if source.table == "items":
            others = records.others(set(chosen.values()))
            # patching an empty object leaves the nulls out
            fields.append(f"json_merge_patch('{{}}', {others})::VARCHAR AS attributes")
        db.execute(
            f"CREATE OR REPLACE TEMP TABLE staged AS SELECT {records.row} AS row, "  # noqa: S608
            f"{fault} AS fault, {records.content} AS content, {', '.join(fields)} "
            f"FROM {records.relation}"
        )
    except OSError as error:
        raise unreadable(source.file, error) from error
    except duckdb.Error as error:
        if source.form != "parquet":
            raise
        raise _no_parquet(source, error) from error


def _trimmed(text: str) -> str:
    """Return SQL for a text without white space around it; to look first halves the time."""
    look = f"regexp_matches({text}, '^[{SPACE}]|[{SPACE}]$')"
    return f"nullif(CASE WHEN {look} THEN trim({text}, E'{SPACE}') ELSE {text} END, '')"


def _fault(records: Records, chosen: Mapping[str, str]) -> str:
    """Return SQL for why a row is none: its own fault, or an id that is no single value."""
    branches = [
        f"WHEN {records.nested[chosen[name]]} THEN '{name} is a list or an object: write one text "
        f"or number'"
        for name in IDS
        if chosen.get(name) in records.nested
    ]
    return f"CASE WHEN {records.fault} IS NOT NULL THEN {records.fault} {' '.join(branches)} END"


def _choose(present: list[str], source: Source, columns: Mapping[str, str]) -> dict[str, str]:
    """Return the contract's columns -> the file's columns that hold them."""
    table = TABLES[source.table]
    chosen = {name: name for name in table.columns if name in present}
    mapped: dict[str, str] = {}
    for theirs, ours in columns.items():
        if theirs in present and ours in table.columns:
            if ours in mapped:
                raise UserError(
                    f"{source.file}: `interactions.columns` of params.yaml takes both "
                    f"`{mapped[ours]}` and `{theirs}` for `{ours}`: keep one."
                )
            mapped[ours] = theirs
    chosen |= mapped
    missing = [f"`{name}`" for name in table.required if name not in chosen]
    if table.one_of and not any(name in chosen for name in table.one_of):
        missing.append(" or ".join(f"`{name}`" for name in table.one_of))
    if missing:
        raise UserError(
            f"{source.file} has no column {missing[0]} (it has {', '.join(present) or 'none'}): "
            f"rename one, or name it in `interactions.columns` of params.yaml."
        )
    return chosen


def _records(db: duckdb.DuckDBPyConnection, source: Source) -> Records:
    if source.read is not None:
        rows = source.read()
        db.register("packaged_rows", rows.append_column("row", pa.array(range(1, len(rows) + 1))))
        return _typed(db, "packaged_rows", "row", "row")
    if source.form == "parquet":
        _require_distinct(source)
        options = "file_row_number = true, binary_as_string = true"
        relation = f"read_parquet({quoted(_literally(source.file))}, {options})"
        return _typed(db, relation, "file_row_number", "file_row_number + 1")
    if source.form == "csv":
        return _csv(db, source)
    return _jsonl(db, source)


def _typed(db: duckdb.DuckDBPyConnection, relation: str, place: str, row: str) -> Records:
    """Return the rows of a relation whose columns have types."""
    described = db.execute(f"DESCRIBE SELECT * FROM {relation}").fetchall()  # noqa: S608  quoted
    types = {
        name: kind
        for name, kind, *_ in described
        if name != place and not name.startswith("__index_level_")  # pandas' row numbers
    }

    def text(name: str) -> str:
        column = identifier(name)
        if types[name] in {"FLOAT", "DOUBLE"}:  # pandas makes floats of integers with gaps
            whole = f"{column} = trunc({column}) AND abs({column}) < 9e15"
            number = f"CASE WHEN {whole} THEN {column}::BIGINT::VARCHAR ELSE {column}::VARCHAR END"
            return f"CASE WHEN NOT isnan({column}) THEN {number} END"
        if types[name].endswith("[]"):
            return f"array_to_string({column}::VARCHAR[], ', ')"
        return f"{column}::VARCHAR"

    def others(used: set[str]) -> str:
        pairs = []
        for name in types.keys() - used:
            column = identifier(name)
            if types[name] in {"FLOAT", "DOUBLE"}:
                column = f"CASE WHEN isfinite({column}) THEN {column} END"
            pairs.append(f"{quoted(name)}, {column}")
        return f"json_object({', '.join(sorted(pairs))})"

    nested = {
        name: f"{identifier(name)} IS NOT NULL"
        for name, kind in types.items()
        if kind.endswith("]") or kind.startswith(("STRUCT", "MAP"))
    }
    texts = {name: text(name) for name in types}
    return Records(relation, row, "NULL", "NULL", texts, others, nested)


def _require_distinct(source: Source) -> None:
    """Raise a UserError if a column stands twice, which DuckDB would call something else."""
    try:
        names = pq.read_schema(source.file).names
    except pa.ArrowException as error:
        raise _no_parquet(source, error) from error
    twice = [name for name in names if names.count(name) > 1]
    if twice:
        raise UserError(f"{source.file} has the column `{twice[0]}` twice: take one out.")


def _no_parquet(source: Source, error: Exception) -> UserError:
    return UserError(
        f"{source.file} is no readable Parquet file, perhaps half-written or not UTF-8: write it "
        f"again ({str(error).splitlines()[0]})."
    )


def _csv(db: duckdb.DuckDBPyConnection, source: Source) -> Records:
    file = Path(source.file)
    header = csv_header(file)
    relation = _plain_csv(db, file, header)
    if relation is None:
        relation = "csv_rows"
        db.register(relation, csv_rows(file, header))
    text = {name: f"c{number}" for number, name in enumerate(header) if name}

    def others(used: set[str]) -> str:
        pairs = [
            f"{quoted(name)}, nullif(trim({column}), '')"
            for name, column in sorted(text.items())
            if name not in used
        ]
        return f"json_object({', '.join(pairs)})"

    return Records(relation, "row", "fault", "content", text, others)


def _plain_csv(db: duckdb.DuckDBPyConnection, file: Path, header: list[str]) -> str | None:
    """Let DuckDB read a CSV file, several times as fast, if each of its lines is one good row.

    Returns:
        The relation; None if the file has quotes, or lines that are no rows.
    """
    expected = plain_rows(file, len(header))
    if expected is None:
        return None
    columns = ", ".join(f"'c{number}': 'VARCHAR'" for number in range(len(header)))
    # a line of another width, or a gigantic one, is left out, and so are blank lines
    options = (
        "header = false, skip = 1, auto_detect = false, strict_mode = true, ignore_errors = true, "
        "delim = ',', quote = '', escape = '', new_line = '\\n'"
    )
    # the window without an order numbers rows as they stand in the file
    db.execute(
        f"CREATE OR REPLACE TEMP TABLE plain_rows AS SELECT 1 + row_number() OVER () AS row, "  # noqa: S608
        f"NULL::VARCHAR AS fault, NULL::VARCHAR AS content, * "
        f"FROM read_csv({quoted(_literally(file.as_posix()))}, {options}, columns = {{{columns}}})"
    )
    rows = db.execute("SELECT count(*) FROM plain_rows").fetchall()[0][0]
    return "plain_rows" if rows == expected else None


def _literally(name: str) -> str:
    """Return a file's name as a pattern that means itself, with its brackets and stars."""
    return re.sub(r"([*?\[])", r"[\1]", name)


def _jsonl(db: duckdb.DuckDBPyConnection, source: Source) -> Records:
    db.register("json_rows", json_rows(Path(source.file)))
    db.execute(
        """
        CREATE OR REPLACE TEMP TABLE documents AS
        SELECT row, fault, CASE WHEN fault IS NOT NULL THEN content[:500] END AS content,
            CASE WHEN fault IS NULL THEN content END::JSON AS document
        FROM (
            SELECT row, content, CASE
                WHEN NOT json_valid(content)
                    THEN 'this line is no valid JSON: write one object on it, in UTF-8'
                WHEN json_type(content) <> 'OBJECT'
                    THEN 'this line is no JSON object: write one, such as {"item_id": "a"}'
                WHEN len(json_keys(content)) > list_unique(json_keys(content))
                    THEN 'a key stands twice in this object: keep one'
                END AS fault
            FROM json_rows
        )
        """
    )
    keys = db.execute(
        "SELECT DISTINCT unnest(json_keys(document)) AS key FROM documents ORDER BY key"
    ).fetchall()
    if not keys:
        raise UserError(
            f"{source.file} holds no JSON object: write one object a line, without a list around "
            f"them."
        )

    def others(used: set[str]) -> str:
        return f"json_merge_patch(document, {quoted(json.dumps(dict.fromkeys(sorted(used))))})"

    text = {key: member("document", key) for (key,) in keys}
    nested = {key: f"json_type({value('document', key)}) IN ('ARRAY', 'OBJECT')" for (key,) in keys}
    return Records("documents", "row", "fault", "content", text, others, nested)
