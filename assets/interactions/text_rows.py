"""CSV and JSON lines as streams of Arrow batches that know the line of each row.

DuckDB's CSV reader takes an unbalanced quote for data, and its JSON reader skips a bad line without
telling which; Python's strict CSV parser does tell, and DuckDB itself checks each JSON line later.
"""

from __future__ import annotations

import csv
from collections.abc import Iterator
from itertools import islice
from pathlib import Path

import pyarrow as pa

from assets.stage import UserError

BATCH = 50_000  # rows handed to DuckDB at once
LONGEST_FIELD = 1 << 24  # characters: a quote left open does not swallow more


def csv_rows(file: Path) -> tuple[list[str], pa.RecordBatchReader]:
    """Open a CSV file with a header, commas and double quotes.

    Returns:
        The header, and batches of row, fault, content, c0, c1, ... (text, one for each column).

    Raises:
        UserError: It is not UTF-8, has no header, a column stands twice in it, or no commas.
    """
    require_utf8(file)
    csv.field_size_limit(LONGEST_FIELD)
    with file.open(encoding="utf-8-sig", newline="") as stream:
        header = [name.strip() for name in next(csv.reader(stream), [])]
    twice = [name for name in header if name and header.count(name) > 1]
    if not any(header) or twice:
        problem = f"the column `{twice[0]}` twice" if twice else "no column names"
        raise UserError(f"{file}: its first line holds {problem}: mend the header.")
    if len(header) == 1 and (other := [mark for mark in ";\t|" if mark in header[0]]):
        raise UserError(f"{file}: its columns are parted by {other[0]!r}: write commas.")
    fields = [("row", pa.int64()), ("fault", pa.string()), ("content", pa.string())]
    schema = pa.schema(fields + [(f"c{i}", pa.string()) for i in range(len(header))])
    return header, pa.RecordBatchReader.from_batches(schema, _batches(_csv(file, header), schema))


def json_rows(file: Path) -> pa.RecordBatchReader:
    """Open a file of JSON lines: batches of row and content, blank lines left out.

    Raises:
        UserError: It is not UTF-8.
    """
    require_utf8(file)
    schema = pa.schema([("row", pa.int64()), ("content", pa.string())])
    return pa.RecordBatchReader.from_batches(schema, _batches(_lines(file), schema))


def require_utf8(file: Path) -> None:
    """Raise a UserError that names the first line which is not UTF-8."""
    with file.open("rb") as stream:
        for number, line in enumerate(stream, 1):
            try:
                line.decode()
            except UnicodeDecodeError as error:
                raise UserError(
                    f"{file}, line {number}: byte {line[error.start : error.start + 1]!r} is not "
                    f"UTF-8 (perhaps Latin-1): convert the file, such as with "
                    f"`iconv -f latin1 -t utf8`."
                ) from error


def _csv(file: Path, header: list[str]) -> Iterator[tuple[int | str | None, ...]]:
    width = len(header)
    blank = (None,) * width
    with file.open(encoding="utf-8-sig", newline="") as stream:
        reader = csv.reader(stream, strict=True)
        next(reader)
        while True:
            line = reader.line_num + 1
            try:
                fields = next(reader)
            except StopIteration:
                return
            except csv.Error as error:
                fault = f"its quotes do not pair up, up to line {reader.line_num} ({error})"
                yield (line, fault, None, *blank)
                continue
            if len(fields) == width:
                yield (line, None, None, *fields)
            elif fields:
                fault = f"it has {len(fields)} fields where the header has {width}"
                yield (line, fault, ",".join(fields)[:500], *blank)


def _lines(file: Path) -> Iterator[tuple[int, str]]:
    with file.open(encoding="utf-8-sig", newline="\n") as stream:
        for number, line in enumerate(stream, 1):
            if line.strip():
                yield number, line.rstrip("\r\n")


def _batches(
    rows: Iterator[tuple[int | str | None, ...]], schema: pa.Schema
) -> Iterator[pa.RecordBatch]:
    while chunk := list(islice(rows, BATCH)):
        columns = zip(*chunk, strict=True)
        arrays = [
            pa.array(column, kind) for column, kind in zip(columns, schema.types, strict=True)
        ]
        yield pa.record_batch(arrays, schema=schema)
