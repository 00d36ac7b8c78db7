"""From the warehouse's rows to the tables that are handed over.

The warehouse holds every good row of every file; here they meet: later files update items, rows
that name no item are refused, and what counts as positive is told apart.
"""

from __future__ import annotations

from pathlib import Path

import duckdb

from assets.interactions.artifact import normalised
from assets.interactions.documents import Template
from assets.interactions.params import InteractionsParams
from assets.interactions.splits import find_cuts, make_query_table, make_timeline, withhold
from assets.stage import UserError

UNKNOWN = "item_id is not among the items"

# table -> columns of the file, order of its rows
FILES = {
    "items": (
        "* FROM counted_catalogue",
        "item_id",
    ),
    "interactions": (
        "user_id, item_id, timestamp, event, weight, position, split FROM timeline",
        "user_id, position",
    ),
    "queries": (
        "query_id, query, item_id, relevance, split FROM real_queries",
        "query_id, item_id",
    ),
    "pairs": (
        "item_id, other_item_id, count, split FROM pairs",
        "",  # they were made in order
    ),
    "rejects": (
        '"table", file, row, reason, content FROM all_rejects',
        "ALL",
    ),
}


def put_together(
    db: duckdb.DuckDBPyConnection, params: InteractionsParams, template: Template
) -> None:
    """Make all tables but the pairs from the rows of the warehouse.

    Args:
        db: The warehouse, up to date.
        params: What counts as positive and how it is split.
        template: What documents are composed by.

    Raises:
        UserError: Nothing can be made of these rows.
    """
    make_catalogue(db, template)
    make_positives(db, params.min_weight)
    make_answers(db)
    make_rejects(db)
    cuts = None
    if params.split == "global_time":
        cuts = find_cuts(db, params.cut_shares, params.cut_times)
        withhold(db, share=params.cold_share, before=cuts.validation, seed=params.seed)
    make_timeline(db, params.seed, cuts)
    db.execute(
        """
        CREATE OR REPLACE TEMP TABLE counted_catalogue AS
        SELECT item_id, title, text, category, brand, attributes, document,
            (SELECT count(*) FROM timeline
             WHERE timeline.item_id = catalogue.item_id AND split = 'train') AS train_interactions
        FROM catalogue
        """
    )
    make_query_table(db, seed=params.seed, **params.query_shares)


def make_catalogue(db: duckdb.DuckDBPyConnection, template: Template) -> None:
    """Make ``catalogue``: each item as the last file that names it has it, with its document.

    Raises:
        UserError: There is no item.
    """
    db.execute(
        f"""
        CREATE OR REPLACE TEMP TABLE catalogue AS
        SELECT item_id, title, text, category, brand, attributes, {template.sql()} AS document
        FROM (
            SELECT * FROM items
            QUALIFY row_number() OVER (PARTITION BY item_id ORDER BY file DESC, row) = 1
        )
        """  # noqa: S608  the template's text stands in quotes
    )
    if not count(db, "catalogue"):
        raise UserError("data/incoming/items holds no item: add a file with at least one row.")


def make_positives(db: duckdb.DuckDBPyConnection, min_weight: float | None) -> None:
    """Make ``positives`` and ``others``: interactions of known items, each once.

    Args:
        db: Has ``interactions`` and ``catalogue``.
        min_weight: What a positive weighs at least; one without a weight weighs 1.

    Raises:
        UserError: There are interactions, but none of a known item.
    """
    db.execute(
        """
        CREATE OR REPLACE TEMP TABLE known AS
        SELECT DISTINCT user_id, item_id, timestamp, event, weight
        FROM interactions SEMI JOIN catalogue USING (item_id)
        """
    )
    _some_are_known(db, "interactions", "known")
    positive = "TRUE" if min_weight is None else f"coalesce(weight, 1) >= {min_weight!r}::DOUBLE"
    for table, condition in {"positives": positive, "others": f"NOT ({positive})"}.items():
        db.execute(
            f"CREATE OR REPLACE TEMP TABLE {table} AS SELECT * FROM known "  # noqa: S608  a number
            f"WHERE {condition}"
        )


def make_answers(db: duckdb.DuckDBPyConnection) -> None:
    """Make ``answers``: real queries, normalised, with their right answers among the items.

    Raises:
        UserError: There are queries, but none of a known item.
    """
    db.create_function("normal_form", normalised, ["VARCHAR"], "VARCHAR")
    db.execute(
        """
        CREATE OR REPLACE TEMP TABLE judged AS
        SELECT *, CASE
            WHEN item_id NOT IN (SELECT item_id FROM catalogue) THEN $unknown
            WHEN query = '' THEN 'query is empty'
            WHEN min(query) OVER (PARTITION BY query_id) < max(query) OVER (PARTITION BY query_id)
                AND query_id IS NOT NULL
                THEN 'query_id stands for several texts: give each text its own'
            END AS reason
        FROM (SELECT * REPLACE (normal_form(query) AS query) FROM queries)
        """,
        {"unknown": UNKNOWN},
    )
    db.remove_function("normal_form")
    db.execute(
        """
        CREATE OR REPLACE TEMP TABLE answers AS
        SELECT query_id, query, item_id, coalesce(relevance, 1) AS relevance, split
        FROM judged WHERE reason IS NULL AND coalesce(relevance, 1) > 0
        """
    )
    _some_are_known(db, "queries", f"(FROM judged WHERE reason IS DISTINCT FROM '{UNKNOWN}')")


def make_rejects(db: duckdb.DuckDBPyConnection) -> None:
    """Make ``all_rejects``: what a file's check refused and what fits no item."""
    db.execute(
        """
        CREATE OR REPLACE TEMP TABLE all_rejects AS
        SELECT "table", file, row, reason, content FROM rejects
        UNION ALL
        SELECT 'interactions', file, row, $unknown, to_json(struct_pack(
            user_id := user_id, item_id := item_id, timestamp := timestamp, event := event,
            weight := weight))::VARCHAR
        FROM interactions ANTI JOIN catalogue USING (item_id)
        UNION ALL
        SELECT 'queries', file, row, reason, to_json(struct_pack(
            query_id := query_id, query := query, item_id := item_id, relevance := relevance,
            split := split))::VARCHAR
        FROM judged WHERE reason IS NOT NULL
        """,
        {"unknown": UNKNOWN},
    )


def write(db: duckdb.DuckDBPyConnection, folder: Path) -> None:
    """Write each table as Parquet in a fixed order: the same rows give the same bytes."""
    for table, (rows, order) in FILES.items():
        ordered = f"{rows} ORDER BY {order}" if order else rows
        db.execute(
            f"COPY (SELECT {ordered}) TO ? (FORMAT parquet, COMPRESSION zstd)",
            [str(folder / f"{table}.parquet")],
        )


def count(db: duckdb.DuckDBPyConnection, table: str) -> int:
    """Return a table's number of rows."""
    rows = db.execute(f"SELECT count(*) FROM {table}").fetchall()  # noqa: S608  own names
    return int(rows[0][0])


def _some_are_known(db: duckdb.DuckDBPyConnection, table: str, known: str) -> None:
    """Refuse a table none of whose rows names an item: surely the ids are of another kind."""
    rows = db.execute(f"SELECT min(item_id), min(file) FROM {table}").fetchall()  # noqa: S608
    if rows[0][0] is not None and not count(db, known):
        raise UserError(
            f"{rows[0][1]}: no row of data/incoming/{table} names an item of "
            f"data/incoming/items (such as `{rows[0][0]}`): use the same item_id in both."
        )
