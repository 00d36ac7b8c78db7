"""CSV and JSON lines as streams of Arrow batches that know the line of each row.

DuckDB's CSV reader takes an unbalanced quote for data, and its JSON reader skips a bad line without
telling which; Python's strict CSV parser does tell, and DuckDB itself checks each JSON line later.
"""

from __future__ import annotations

import codecs
import csv
from collections.abc import Iterator
from itertools import islice
from pathlib import Path

import pyarrow as pa

from assets.interactions.contract import LONGEST
from assets.stage import UserError

BATCH = 50_000  # rows handed to DuckDB at once
BLOCK = 1 << 22  # bytes looked at together


def csv_header(file: Path) -> list[str]:
    """Return the column names of a CSV file with commas and double quotes.

    Raises:
        UserError: It is not UTF-8, has no header, a column stands twice in it, or no commas.
    """
    _require_utf8(file)
    csv.field_size_limit(LONGEST)
    with file.open(encoding="utf-8-sig", newline="") as stream:
        try:
            header = [name.strip() for name in next(csv.reader(stream, strict=True), [])]
        except csv.Error as error:
            raise UserError(
                f"{file}, line 1: the quotes of the header do not pair up ({error}): mend it."
            ) from error
    twice = [name for name in header if name and header.count(name) > 1]
    if not any(header) or twice:
        problem = f"the column `{twice[0]}` twice" if twice else "no column names"
        raise UserError(f"{file}: its first line holds {problem}: mend the header.")
    if len(header) == 1 and (other := [mark for mark in ";\t|" if mark in header[0]]):
        raise UserError(f"{file}: its columns are parted by {other[0]!r}: write commas.")
    return header


def csv_rows(file: Path, header: list[str]) -> pa.RecordBatchReader:
    """Read a CSV file: batches of row, fault, content, c0, c1, ... (text, one for each column)."""
    fields = [("row", pa.int64()), ("fault", pa.string()), ("content", pa.string())]
    schema = pa.schema(fields + [(f"c{i}", pa.string()) for i in range(len(header))])
    return pa.RecordBatchReader.from_batches(schema, _batches(_csv(file, header), schema))


def json_rows(file: Path) -> pa.RecordBatchReader:
    """Open a file of JSON lines: batches of row and content, blank lines left out.

    Raises:
        UserError: It is not UTF-8.
    """
    _require_utf8(file)
    schema = pa.schema([("row", pa.int64()), ("content", pa.string())])
    return pa.RecordBatchReader.from_batches(schema, _batches(_lines(file), schema))


def plain_rows(file: Path, width: int) -> int | None:
    """Return the number of rows of a CSV file each of whose lines may be one, else None.

    With quotes a row may have several lines; other line ends and zero bytes are left to the reader
    that goes row by row, and so are all lines if there are not as many commas as they need.
    """
    lines, commas, block = 0, 0, b"\n"
    with file.open("rb") as stream:
        while following := stream.read(BLOCK):
            block = following
            if any(mark in block for mark in (b'"', b"\r", b"\0")):
                return None
            lines += block.count(b"\n")
            commas += block.count(b",")
    lines += not block.endswith(b"\n")
    return lines - 1 if commas == lines * (width - 1) else None


def _require_utf8(file: Path) -> None:
    """Raise a UserError that names the first line which is not UTF-8."""
    decoder = codecs.getincrementaldecoder("utf-8")()
    try:
        with file.open("rb") as stream:
            while block := stream.read(BLOCK):
                decoder.decode(block)
            decoder.decode(b"", final=True)
    except UnicodeDecodeError:
        _name_line(file)


def _name_line(file: Path) -> None:
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
                fault = (
                    f"its quotes do not pair up, up to line {reader.line_num} ({error}): close "
                    f"them, and double those inside a text"
                )
                if "field limit" in str(error):  # which ends a quote left open, too
                    fault = (
                        f"a cell holds more than {LONGEST:,} bytes, up to line {reader.line_num}: "
                        f"shorten its text, or close its quotes"
                    )
                yield (line, fault, None, *blank)
                continue
            if len(fields) == width:
                yield (line, None, None, *fields)
            elif fields:
                fault = (
                    f"it has {len(fields)} fields where the header has {width}: put quotes around "
                    f"texts with commas"
                )
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
