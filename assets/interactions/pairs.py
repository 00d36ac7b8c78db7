"""Co-occurrence pairs: items that stand close together in somebody's history."""

from __future__ import annotations

import duckdb


def make_pairs(
    db: duckdb.DuckDBPyConnection, *, window: int, per_user: int, per_item: int, seed: int
) -> None:
    """Make ``pairs``: item_id, other_item_id, count, split.

    Train pairs come from train alone, stand in both directions and count how often the two items
    met. A user's latest ``per_user`` meetings count. An item keeps the ``per_item`` partners of
    highest cosine (count / sqrt of both items' meetings), ties by a seeded hash; a pair stays while
    both its items keep it, so it stays symmetric. A validation pair goes from each of the
    ``window`` items before a validation item to that item.

    Args:
        db: Has ``timeline``: user_id, item_id, position, split; and ``catalogue``: item_id.
        window: Most positions between two items of a pair.
        per_user: Most meetings counted of one user.
        per_item: Most partners of one item.
        seed: Seed of the hash.
    """
    _number_items(db)
    _meet(db, window, per_user)
    _cap_items(db, per_item, seed)
    db.execute(
        """
        CREATE OR REPLACE TEMP TABLE pairs AS
        WITH directed AS (
            SELECT a, b, count FROM capped UNION ALL SELECT b, a, count FROM capped
        ), target AS (
            SELECT user_id, item_id, position FROM timeline WHERE split = 'validation'
        )
        SELECT first.item_id, second.item_id AS other_item_id, count, 'train' AS split
        FROM directed
        JOIN numbers AS first ON first.number = a
        JOIN numbers AS second ON second.number = b
        UNION ALL
        SELECT past.item_id, target.item_id, count(*)::INTEGER, 'validation'
        FROM target JOIN timeline AS past USING (user_id)
        WHERE past.position BETWEEN target.position - ? AND target.position - 1
            AND past.item_id <> target.item_id
        GROUP BY past.item_id, target.item_id
        """,
        [window],
    )


def _number_items(db: duckdb.DuckDBPyConnection) -> None:
    """Give items numbers: grouping integers is many times as fast as grouping text."""
    db.execute(
        """
        CREATE OR REPLACE TEMP TABLE numbers AS
        SELECT item_id, (row_number() OVER (ORDER BY item_id))::INTEGER AS number FROM catalogue
        """
    )


def _meet(db: duckdb.DuckDBPyConnection, window: int, per_user: int) -> None:
    """Make ``met``: a < b (item numbers) and how often they met in train."""
    steps = range(1, window + 1)
    ahead = ", ".join(f"lead(number, {step}) OVER history AS ahead_{step}" for step in steps)
    # An interaction that is the e-th from the end of train meets min(e, window) later ones, so the
    # rank of a meeting among its user's, latest first, follows from e alone.
    meetings = " UNION ALL ".join(
        f"SELECT number AS one, ahead_{step} AS other FROM ahead "  # noqa: S608  integers alone
        f"WHERE ahead_{step} <> number AND later + {step} <= {per_user}"
        for step in steps
    )
    db.execute(
        f"""
        CREATE OR REPLACE TEMP TABLE ahead AS
        SELECT number, {ahead}, CASE WHEN e <= {window} + 1 THEN e * (e - 1) // 2
            ELSE {window} * ({window} + 1) // 2 + (e - 1 - {window}) * {window} END AS later
        FROM (
            SELECT user_id, number, position,
                count(*) OVER (PARTITION BY user_id) - 1 - position AS e
            FROM timeline JOIN numbers USING (item_id) WHERE split = 'train'
        )
        WINDOW history AS (PARTITION BY user_id ORDER BY position)
        """  # noqa: S608  integers alone
    )
    db.execute(
        f"""
        CREATE OR REPLACE TEMP TABLE met AS
        SELECT (key >> 32)::INTEGER AS a, (key & 4294967295)::INTEGER AS b,
            count(*)::INTEGER AS count
        FROM (
            SELECT (least(one, other)::BIGINT << 32) | greatest(one, other) AS key
            FROM ({meetings})
        )
        GROUP BY key
        """  # noqa: S608  integers alone
    )
    db.execute("DROP TABLE ahead")


def _cap_items(db: duckdb.DuckDBPyConnection, per_item: int, seed: int) -> None:
    """Make ``capped``: the rows of ``met`` that both items keep."""
    db.execute(
        """
        CREATE OR REPLACE TEMP TABLE capped AS
        WITH ends AS (
            SELECT a AS item, a, b, count FROM met UNION ALL SELECT b, a, b, count FROM met
        ), sizes AS (
            SELECT item, sum(count)::DOUBLE AS meetings, count(*) AS partners
            FROM ends GROUP BY item
        ), ranked AS (
            SELECT a, b FROM ends JOIN sizes USING (item)
            JOIN numbers AS first ON first.number = a
            JOIN numbers AS second ON second.number = b
            JOIN sizes AS left_size ON left_size.item = a
            JOIN sizes AS right_size ON right_size.item = b
            WHERE sizes.partners > $per_item
            QUALIFY row_number() OVER (PARTITION BY ends.item ORDER BY
                count * count / (left_size.meetings * right_size.meetings) DESC,
                md5(concat($seed::VARCHAR, chr(0), first.item_id, chr(0), second.item_id)), a, b
            ) > $per_item
        )
        SELECT a, b, count FROM met ANTI JOIN ranked USING (a, b)
        """,
        {"per_item": per_item, "seed": seed},
    )
