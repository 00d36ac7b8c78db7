"""Leave-last-out, by item or by basket, or a cut in time for histories, a hash for query texts."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import duckdb

from assets.interactions.artifact import split_of_query
from assets.stage import UserError

LAST_OUT = """
    CASE WHEN length < 3 OR place < length - 2 THEN 'train'
         WHEN place = length - 2 THEN 'validation'
         ELSE 'test' END
"""
# the earliest row of each item of a basket, with what orders a user's baskets
BASKETS = """
    SELECT *, min(timestamp) OVER (PARTITION BY user_id, basket) AS begins,
        md5(concat($seed::VARCHAR, chr(0), user_id, chr(0), basket)) AS basket_tie
    FROM positives
    QUALIFY row_number() OVER (
        PARTITION BY user_id, basket, item_id
        ORDER BY timestamp, event NULLS FIRST, weight NULLS FIRST
    ) = 1
"""


@dataclass(frozen=True)
class Cuts:
    """Where the log is cut in time.

    Attributes:
        validation: First instant of validation.
        test: First instant of test, not before the other.
    """

    validation: float
    test: float

    @property
    def sql(self) -> str:
        """The split of a row of the timeline."""
        return (
            f"CASE WHEN timestamp < {self.validation!r}::DOUBLE THEN 'train' "
            f"WHEN timestamp < {self.test!r}::DOUBLE THEN 'validation' ELSE 'test' END"
        )


def find_cuts(
    db: duckdb.DuckDBPyConnection, shares: Sequence[float], times: Sequence[float] | None
) -> Cuts:
    """Return the two instants at which the log is cut.

    Args:
        db: Has ``positives``.
        shares: Shares of all interactions in validation and test, the latest ones. An instant is
            never cut in two, so with ties a split may hold more than its share.
        times: The instants themselves, which overrule the shares.

    Raises:
        UserError: No interaction is left for train.
    """
    validation, test = shares
    rows = db.execute("SELECT count(*) FROM positives").fetchall()[0][0]
    # the middle of a row's step of the distribution, where rounding cannot reach another row
    steps = [
        (min(rows - round(rows * share), rows - 1) + 0.5) / rows if rows else 0.0
        for share in (validation + test, test)
    ]
    first, start, end = db.execute(
        "SELECT min(timestamp), quantile_disc(timestamp, ?), quantile_disc(timestamp, ?) "
        "FROM positives",
        steps,
    ).fetchall()[0]
    if times is not None:
        start, end = times
    if first is not None and first >= start:
        raise UserError(
            f"params.yaml: with `interactions.split: global_time` validation begins at {start:g}, "
            f"and no interaction lies before it (the first is at {first:g}): set "
            f"`interactions.cut_times` to two later instants"
            f"{'.' if times else ', or the shares smaller; many rows may share one instant.'}"
        )
    return Cuts(start or 0.0, end or 0.0)


def withhold(db: duckdb.DuckDBPyConnection, *, share: float, before: float, seed: int) -> None:
    """Take the past of some items out of ``positives``, as if they were new at the cut.

    This is what a cold start looks like to a recommender: an item comes into the catalogue with its
    text and nothing else, and the people who meet it have a past of other items. So every
    interaction of such an item before the first cut is left out everywhere (train, pairs,
    popularity, histories); its text stays, and so do its real and synthetic queries, which have no
    time. From the cut on it is an item like others: a target in validation and test, and part of
    the histories that a test user has by then. What ``metrics`` calls *cold* (no train interaction)
    holds all of these items, beside those that nobody had touched anyway.

    Args:
        db: Has ``positives`` and ``catalogue``; ``cold_items`` and ``withheld`` are made.
        share: Share of the catalogue's items, chosen by a seeded hash of item_id: the same items
            whatever else is in the catalogue.
        before: The first instant of validation.
        seed: Seed of the hash.
    """
    db.execute(
        """
        CREATE OR REPLACE TEMP TABLE cold_items AS
        SELECT item_id FROM catalogue
        WHERE ('0x' || md5(concat($seed::VARCHAR, chr(0), 'cold', chr(0), item_id))[:8])::UBIGINT
            < $share * 4294967296
        """,
        {"seed": seed, "share": share},
    )
    db.execute(
        """
        CREATE OR REPLACE TEMP TABLE withheld AS
        SELECT * FROM positives SEMI JOIN cold_items USING (item_id) WHERE timestamp < ?
        """,
        [before],
    )
    db.execute(
        "DELETE FROM positives WHERE timestamp < ? AND item_id IN (FROM cold_items)", [before]
    )


def make_timeline(
    db: duckdb.DuckDBPyConnection, seed: int, cuts: Cuts | None = None, *, baskets: bool = False
) -> None:
    """Make ``timeline``: ``positives`` with ``position`` in the user's history and ``split``.

    Without cuts the last interaction is test, the one before validation, the rest train; a user
    with fewer than three is train alone. With baskets the same is done with whole baskets. With
    cuts the time alone decides: nothing that is learnt from happened after anything that is
    predicted, of any user. Ties in time are broken by a seeded hash of (user, item): breaking them
    by item_id or by place in the file leaks which item comes next.

    A user's baskets follow each other by their first instants, ties by a seeded hash of (user,
    basket); inside a basket time orders as elsewhere. An item that a basket holds more than once
    counts once, by its earliest row.

    Args:
        db: Has ``positives``: user_id, item_id, timestamp, event, weight, basket, each row once.
        seed: Seed of the hash.
        cuts: Where the log is cut in time; None: leave-last-out.
        baskets: Whether a basket is what is left out; then each row has one.
    """
    rows, visit, length = "positives", "", "count(*)"
    place = "position"
    if baskets:
        rows, visit, length = (
            f"({BASKETS})",
            "begins, basket_tie, basket, ",
            "count(DISTINCT basket)",
        )
        place = "dense_rank() OVER (PARTITION BY user_id ORDER BY begins, basket_tie, basket) - 1"
    db.execute(
        f"""
        CREATE OR REPLACE TEMP TABLE timeline AS
        SELECT user_id, item_id, timestamp, event, weight, basket, position,
            {cuts.sql if cuts else LAST_OUT} AS split
        FROM (
            SELECT *, ({length} OVER (PARTITION BY user_id))::INTEGER AS length,
                (row_number() OVER (
                    PARTITION BY user_id ORDER BY {visit}
                        timestamp, tie, item_id, event NULLS FIRST, weight NULLS FIRST
                ) - 1)::INTEGER AS position,
                {place} AS place
            FROM (
                SELECT *, md5(concat($seed::VARCHAR, chr(0), user_id, chr(0), item_id)) AS tie
                FROM {rows}
            )
        )
        """,  # noqa: S608  two numbers and own names
        {"seed": seed},
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
