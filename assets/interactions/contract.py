"""The input contract: which tables there are, which columns they have, what a good row is.

A file's rows come as a relation ``staged`` of ``row``, ``fault``, ``content`` and one text column
for each name in :attr:`Table.columns`. ``checked_sql`` adds ``reason``: NULL for a row that is
kept, else why it is refused and what mends it.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

ColumnName = Literal[
    "item_id", "title", "text", "category", "brand", "user_id", "timestamp", "event", "weight",
    "basket", "query", "query_id", "relevance", "split",
]  # fmt: skip

YEAR_2101 = 4_133_980_800  # epoch seconds of its first instant
LONGEST = 1_000_000  # bytes of a cell: a book, and more than any model reads


def _too_long(*columns: str) -> str:
    """Return the branch of a CASE that refuses a row with a gigantic cell."""
    longest = ", ".join(f"strlen({name})" for name in columns)
    return (
        f"WHEN greatest({longest}) > {LONGEST} "
        f"THEN 'a cell holds more than {LONGEST:,} bytes: shorten its text'"
    )


@dataclass(frozen=True)
class Table:
    """One table of the contract.

    Attributes:
        columns: Its columns, in order.
        required: Columns that every file must have.
        one_of: Columns of which every file must have at least one.
        kept: What is stored of a good row: an expression over ``checked_sql`` for each column.
        checked_sql: SELECT over the relation ``staged`` that adds ``reason`` and typed values.
    """

    columns: tuple[str, ...]
    required: tuple[str, ...]
    one_of: tuple[str, ...]
    kept: tuple[str, ...]
    checked_sql: str


ITEMS = Table(
    columns=("item_id", "title", "text", "category", "brand"),
    required=("item_id",),
    one_of=("title", "text"),
    kept=("item_id", "title", "text", "category", "brand", "attributes"),
    checked_sql=f"""
        SELECT *, CASE
            WHEN fault IS NOT NULL THEN fault
            {_too_long("item_id", "title", "text", "category", "brand", "attributes")}
            WHEN item_id IS NULL THEN 'item_id is empty: give the item one'
            WHEN title IS NULL AND text IS NULL
                THEN 'title and text are both empty: an item needs one of them'
            WHEN count(DISTINCT (title, text, category, brand, attributes))
                OVER (PARTITION BY item_id) > 1
                THEN 'item_id stands more than once in this file with different content: keep one'
            END AS reason
        FROM staged
    """,  # noqa: S608  a number of this file
)

INTERACTIONS = Table(
    columns=("user_id", "item_id", "timestamp", "event", "weight", "basket"),
    required=("user_id", "item_id", "timestamp"),
    one_of=(),
    kept=("user_id", "item_id", "seconds", "event", "amount", "basket"),
    checked_sql=f"""
        SELECT *, CASE
            WHEN fault IS NOT NULL THEN fault
            {_too_long("user_id", "item_id", "timestamp", "event", "weight", "basket")}
            WHEN user_id IS NULL THEN 'user_id is empty: say whose it was'
            WHEN item_id IS NULL THEN 'item_id is empty: say what it was'
            WHEN timestamp IS NULL
                THEN 'timestamp is empty or NaN: write epoch seconds, or any number that grows'
            WHEN seconds IS NULL THEN 'timestamp is neither a number nor an ISO 8601 date: '
                'write epoch seconds or such as 2024-05-01T12:00:00Z'
            WHEN NOT isfinite(seconds)
                THEN 'timestamp is not finite (NaN or infinity): write epoch seconds'
            WHEN seconds < 0 THEN 'timestamp is negative (before 1970): '
                'write epoch seconds or any number that grows from 0'
            WHEN seconds >= {YEAR_2101} THEN 'timestamp is past the year 2100: ' || CASE
                WHEN seconds < {YEAR_2101}e3 THEN 'it looks like milliseconds, divide by 1e3'
                WHEN seconds < {YEAR_2101}e6 THEN 'it looks like microseconds, divide by 1e6'
                WHEN seconds < {YEAR_2101}e9 THEN 'it looks like nanoseconds, divide by 1e9'
                ELSE 'write epoch seconds' END
            WHEN weight IS NOT NULL AND (amount IS NULL OR NOT isfinite(amount))
                THEN 'weight is no finite number: write one, or leave it empty'
            WHEN amount < 0 THEN 'weight is negative: write 0 for what nobody wants, and set '
                'interactions.min_weight to what counts'
            END AS reason
        FROM (
            SELECT *, try_cast(weight AS DOUBLE) AS amount, coalesce(
                try_cast(timestamp AS DOUBLE),
                CASE WHEN regexp_matches(timestamp, '^\\d{{4}}-\\d\\d-\\d\\d')
                    THEN epoch(try_cast(timestamp AS TIMESTAMPTZ)) END
            ) AS seconds
            FROM staged
        )
    """,  # noqa: S608  a number of this file
)

QUERIES = Table(
    columns=("query_id", "query", "item_id", "relevance", "split"),
    required=("query", "item_id"),
    one_of=(),
    kept=("query_id", "query", "item_id", "grade", "split"),
    checked_sql=f"""
        SELECT *, CASE
            WHEN fault IS NOT NULL THEN fault
            {_too_long("query_id", "query", "item_id", "relevance", "split")}
            WHEN query IS NULL THEN 'query is empty: write what was typed'
            WHEN item_id IS NULL THEN 'item_id is empty: say what answers the query'
            WHEN relevance IS NOT NULL AND (grade IS NULL OR NOT isfinite(grade))
                THEN 'relevance is no finite number: write one, or leave it empty'
            WHEN split NOT IN ('train', 'validation', 'test')
                THEN 'split is none of train, validation, test: write one of them, or leave it '
                'empty'
            END AS reason
        FROM (SELECT *, try_cast(relevance AS DOUBLE) AS grade FROM staged)
    """,  # noqa: S608  a number of this file
)

TABLES = {"items": ITEMS, "interactions": INTERACTIONS, "queries": QUERIES}
