"""Leave-last-out for histories, a hash for query texts."""

from __future__ import annotations

import duckdb

from assets.interactions.artifact import split_of_query


def make_timeline(db: duckdb.DuckDBPyConnection, seed: int) -> None:
    """Make ``timeline``: ``positives`` with ``position``, the history's ``length`` and ``split``.

    The last interaction is test, the one before validation, the rest train; a user with fewer than
    three is train alone. Ties in time are broken by a seeded hash of (user, item): breaking them by
    item_id or by place in the file leaks which item comes next.

    Args:
        db: Has ``positives``: user_id, item_id, timestamp, event, weight, each row once.
        seed: Seed of the hash.
    """
    db.execute(
        """
        CREATE OR REPLACE TEMP TABLE timeline AS
        SELECT *, CASE
            WHEN length < 3 OR position < length - 2 THEN 'train'
            WHEN position = length - 2 THEN 'validation'
            ELSE 'test' END AS split
        FROM (
            SELECT * EXCLUDE tie, (count(*) OVER (PARTITION BY user_id))::INTEGER AS length,
                (row_number() OVER (
                    PARTITION BY user_id
                    ORDER BY timestamp, tie, item_id, event NULLS FIRST, weight NULLS FIRST
                ) - 1)::INTEGER AS position
            FROM (
                SELECT *, md5(concat(?::VARCHAR, chr(0), user_id, chr(0), item_id)) AS tie
                FROM positives
            )
        )
        """,
        [seed],
    )


def make_query_table(
    db: duckdb.DuckDBPyConnection, *, seed: int, validation: float, test: float
) -> None:
    """Make ``real_queries`` from ``answers``: a text in one split, with all its right answers.

    A given split stands; where one text was given several, the most withheld one does. Other texts
    are placed by their hash. A text has one id: the smallest given, else made of its hash.

    Args:
        db: Has ``answers``: query_id, query (normalised), item_id, relevance, split.
        seed: Seed of the hash.
        validation: Share of texts in validation.
        test: Share of texts in test.
    """
    shares = {"seed": seed, "validation": validation, "test": test}

    def place(query: str) -> str:
        return split_of_query(query, shares)

    db.create_function("place_query", place, ["VARCHAR"], "VARCHAR")
    db.execute(
        """
        CREATE OR REPLACE TEMP TABLE real_queries AS
        WITH texts AS (
            SELECT query, coalesce(min(query_id), sha256(query)[:16]) AS query_id,
                coalesce(max(split) FILTER (split = 'test'),
                         max(split) FILTER (split = 'validation'),
                         max(split), place_query(query)) AS split
            FROM answers GROUP BY query
        )
        SELECT texts.query_id, query, item_id, max(relevance) AS relevance, texts.split
        FROM answers JOIN texts USING (query) GROUP BY ALL
        """
    )
    db.remove_function("place_query")
