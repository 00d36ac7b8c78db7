"""A DuckDB file that remembers which files were read, and what was in them.

It is a cache: whoever deletes it loses time and nothing else, and one that is damaged or was made
by another version of this code is built anew. Rows keep their file and their place in it, so a file
that vanished or changed takes its rows along.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path

import duckdb

from assets.interactions.contract import TABLES
from assets.interactions.incoming import Source, require_unchanged
from assets.interactions.reading import stage
from assets.interactions.sql_text import READABLE
from assets.machine import Machine
from assets.stage import UserError

LONGEST_REJECT, SHOWN = 10_000, 500  # bytes of a refused row; characters kept of a longer one
# the modules that decide which rows are stored, and how
WRITERS = ("complete_journey", "contract", "incoming", "packaged", "reading", "sql_text",
           "text_rows", "warehouse")  # fmt: skip

SCHEMA = """
    CREATE TABLE made_by (signature VARCHAR);
    CREATE TABLE loads (
        "table" VARCHAR, file VARCHAR, sha256 VARCHAR, rows BIGINT, rejected BIGINT,
        PRIMARY KEY ("table", file)
    );
    CREATE TABLE rejects (
        "table" VARCHAR, file VARCHAR, row BIGINT, reason VARCHAR, content VARCHAR
    );
    CREATE TABLE items (
        file VARCHAR, row BIGINT, item_id VARCHAR, title VARCHAR, text VARCHAR, category VARCHAR,
        brand VARCHAR, attributes VARCHAR
    );
    CREATE TABLE interactions (
        file VARCHAR, row BIGINT, user_id VARCHAR, item_id VARCHAR, timestamp DOUBLE,
        event VARCHAR, weight DOUBLE, basket VARCHAR
    );
    CREATE TABLE queries (
        file VARCHAR, row BIGINT, query_id VARCHAR, query VARCHAR, item_id VARCHAR,
        relevance DOUBLE, split VARCHAR
    );
"""


@contextmanager
def opened(
    file: Path, machine: Machine, columns: Mapping[str, str]
) -> Iterator[duckdb.DuckDBPyConnection]:
    """Open the warehouse, made anew if it is missing, damaged or of another version.

    Args:
        file: The DuckDB file.
        machine: Memory limit, threads and where to spill.
        columns: The user's column names; another mapping reads the files anew.

    Raises:
        UserError: Another program has the file open.
    """
    signature = _signature(columns)
    db = _connect(file, machine)
    try:
        known = db.execute("SELECT signature FROM made_by").fetchall() == [(signature,)]
    except duckdb.Error:
        known = False
    if not known:
        db.close()
        forget(file)
        db = _connect(file, machine)
        db.execute(SCHEMA)
        db.execute("INSERT INTO made_by VALUES (?)", [signature])
    db.execute(READABLE)
    try:
        yield db
    finally:
        db.close()


def forget(file: Path) -> None:
    """Delete the warehouse."""
    for part in (file, file.with_name(file.name + ".wal")):
        part.unlink(missing_ok=True)


def bring_up_to_date(
    db: duckdb.DuckDBPyConnection,
    sources: list[Source],
    columns: Mapping[str, str],
    say: Callable[[str], None],
) -> None:
    """Read the files that are new or changed, take out what is gone; all or nothing.

    Args:
        db: The warehouse.
        sources: All there is to know.
        columns: The user's column names -> the contract's.
        say: Told what was read.

    Raises:
        UserError: A file as a whole cannot be used; the warehouse stays as it was.
    """
    loads = db.execute('SELECT "table", file, sha256 FROM loads').fetchall()
    wanted = {(source.table, source.file, source.sha256) for source in sources}
    db.begin()
    try:
        for table, file, _ in set(loads) - wanted:
            for name in (table, "loads", "rejects"):
                where = "file = ?" if name == table else 'file = ? AND "table" = ?'
                given = [file] if name == table else [file, table]
                db.execute(f"DELETE FROM {name} WHERE {where}", given)  # noqa: S608  own names
        new = [s for s in sources if (s.table, s.file, s.sha256) not in set(loads)]
        for source in new:
            rows, rejected = _load(db, source, columns)
            refused = f", {rejected:,} refused" if rejected else ""
            say(f"read {rows:,} rows of {source.table} from {source.file}{refused}")
        db.commit()
    except BaseException:
        db.rollback()
        raise
    gone = {load[:2] for load in loads} - {key[:2] for key in wanted}
    say(f"{len(new)} files read, {len(sources) - len(new)} known already, {len(gone)} taken out")


def _load(
    db: duckdb.DuckDBPyConnection, source: Source, columns: Mapping[str, str]
) -> tuple[int, int]:
    """Read one file; return how many rows it has and how many were refused."""
    stage(db, source, columns)
    require_unchanged(source)
    table = TABLES[source.table]
    db.execute(f"CREATE OR REPLACE TEMP TABLE checked AS {table.checked_sql}")
    row_text = ", ".join(f"{name} := {name}" for name in table.columns)
    db.execute(
        f"INSERT INTO rejects SELECT ?, ?, row, reason, "  # noqa: S608  names of the contract
        f"if(strlen(whole) > {LONGEST_REJECT}, whole[:{SHOWN}] || ' ...', whole) FROM ("
        f"SELECT *, coalesce(content, to_json(struct_pack({row_text}))::VARCHAR) AS whole "
        f"FROM checked WHERE reason IS NOT NULL)",
        [source.table, source.file],
    )
    db.execute(
        f"INSERT INTO {source.table} SELECT ?, row, {', '.join(table.kept)} "  # noqa: S608
        f"FROM checked WHERE reason IS NULL",
        [source.file],
    )
    rows, rejected = db.execute("SELECT count(*), count(reason) FROM checked").fetchall()[0]
    if rows and rows == rejected:
        row, reason = db.execute("SELECT row, reason FROM checked ORDER BY row LIMIT 1").fetchall()[
            0
        ]
        raise UserError(
            f"{source.file}: all of its {rows:,} rows are refused; row {row}: {reason}."
        )
    db.execute(
        "INSERT INTO loads VALUES (?, ?, ?, ?, ?)",
        [source.table, source.file, source.sha256, rows, rejected],
    )
    return rows, rejected


def _connect(file: Path, machine: Machine) -> duckdb.DuckDBPyConnection:
    settings: dict[str, str | bool | int | float | list[str]] = {
        "memory_limit": machine.memory_limit,
        "temp_directory": str(machine.spill_folder()),
        "threads": machine.threads,
        "autoinstall_known_extensions": False,
        "TimeZone": "UTC",
    }
    if file.is_dir():
        raise UserError(f"{file} is a folder where a file should be: remove it.")
    file.parent.mkdir(parents=True, exist_ok=True)
    try:
        return duckdb.connect(str(file), config=settings)
    except duckdb.Error as error:
        if "Could not set lock" in str(error):
            raise UserError(f"{file} is open in another program: close that one.") from error
        forget(file)
        return duckdb.connect(str(file), config=settings)


def _signature(columns: Mapping[str, str]) -> str:
    """Return what the stored rows depend on besides the files."""
    code = [Path(__file__).with_name(f"{module}.py").read_bytes() for module in WRITERS]
    parts = [*code, repr(sorted(columns.items())).encode(), duckdb.__version__.encode()]
    return hashlib.sha256(b"\0".join(parts)).hexdigest()
