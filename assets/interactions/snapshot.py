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
NO_BASKET = "basket is empty: say which one it was in, or choose another `interactions.split`"

# table -> columns of the file, order of its rows; that of the interactions depends on the split
FILES = {
    "items": (
        "* FROM counted_catalogue",
        "item_id",
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
    in_baskets = params.split == "basket"
    make_positives(db, params.min_weight, in_baskets=in_baskets)
    make_answers(db)
    make_rejects(db, in_baskets=in_baskets)
    cuts = None
    if params.split == "global_time":
        cuts = find_cuts(db, params.cut_shares, params.cut_times)
        withhold(db, share=params.cold_share, before=cuts.validation, seed=params.seed)
    make_timeline(db, params.seed, cuts, baskets=in_baskets)
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


def make_positives(
    db: duckdb.DuckDBPyConnection, min_weight: float | None, *, in_baskets: bool
) -> None:
    """Make ``positives`` and ``others``: interactions of known items, each once.

    Args:
        db: Has ``interactions`` and ``catalogue``; ``usable`` and ``known`` are made as well: the
            rows of known items, and what is left of them without exact repeats.
        min_weight: What a positive weighs at least; one without a weight weighs 1.
        in_baskets: Whether each row needs a basket. If not, baskets are as good as not there.

    Raises:
        UserError: There are interactions, but none of a known item, or none in a basket.
    """
    basket, condition = (
        ("basket", "basket IS NOT NULL") if in_baskets else ("NULL::VARCHAR", "TRUE")
    )
    if in_baskets:
        _some_are_in_baskets(db)
    db.execute(
        f"""
        CREATE OR REPLACE TEMP VIEW usable AS
        SELECT user_id, item_id, timestamp, event, weight, {basket} AS basket
        FROM interactions SEMI JOIN catalogue USING (item_id) WHERE {condition}
        """  # noqa: S608  own names
    )
    db.execute("CREATE OR REPLACE TEMP TABLE known AS SELECT DISTINCT * FROM usable")
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


def make_rejects(db: duckdb.DuckDBPyConnection, *, in_baskets: bool) -> None:
    """Make ``all_rejects``: what a file's check refused, and what fits no item or no basket."""
    db.execute(
        """
        CREATE OR REPLACE TEMP TABLE all_rejects AS
        SELECT "table", file, row, reason, content FROM rejects
        UNION ALL
        SELECT 'interactions', file, row, reason, to_json(struct_pack(
            user_id := user_id, item_id := item_id, timestamp := timestamp, event := event,
            weight := weight))::VARCHAR
        FROM (
            SELECT *, CASE WHEN item_id NOT IN (SELECT item_id FROM catalogue) THEN $unknown
                WHEN $in_baskets AND basket IS NULL THEN $no_basket END AS reason
            FROM interactions
        ) WHERE reason IS NOT NULL
        UNION ALL
        SELECT 'queries', file, row, reason, to_json(struct_pack(
            query_id := query_id, query := query, item_id := item_id, relevance := relevance,
            split := split))::VARCHAR
        FROM judged WHERE reason IS NOT NULL
        """,
        {"unknown": UNKNOWN, "in_baskets": in_baskets, "no_basket": NO_BASKET},
    )


def write(db: duckdb.DuckDBPyConnection, folder: Path, *, in_baskets: bool) -> None:
    """Write each table as Parquet in a fixed order: the same rows give the same bytes.

    Args:
        db: Has the tables.
        folder: Where to.
        in_baskets: Whether interactions have the column basket.
    """
    log = f"{'*' if in_baskets else '* EXCLUDE basket'} FROM timeline"
    for table, (rows, order) in {**FILES, "interactions": (log, "user_id, position")}.items():
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


def _some_are_in_baskets(db: duckdb.DuckDBPyConnection) -> None:
    """Refuse a log without any basket, if it is to be split by them."""
    file, baskets = db.execute("SELECT min(file), count(basket) FROM interactions").fetchall()[0]
    if file is not None and not baskets:
        raise UserError(
            f"{file}: `interactions.split: basket` in params.yaml needs a column `basket`, and no "
            f"interaction has one: add it, name yours in `interactions.columns`, or choose another "
            f"split."
        )
