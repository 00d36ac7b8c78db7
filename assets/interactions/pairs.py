"""Co-occurrence pairs: items that stand close together in somebody's history."""

from __future__ import annotations

import duckdb


def make_pairs(
    db: duckdb.DuckDBPyConnection, *, window: int, per_user: int, per_item: int, seed: int
) -> None:
    """Make ``pairs``: item_id, other_item_id, count, split; by split, item_id and other_item_id.

    Train pairs come from train alone, stand in both directions and count how often the two items
    met. Of a user ``per_user`` meetings count, the nearest first, then the latest. An item keeps
    the ``per_item`` partners of highest cosine (count / sqrt of both items' meetings), ties by a
    seeded hash; a pair stays while both its items keep it, so it stays symmetric. A validation pair
    goes from each of the ``window`` items before a user's last validation item to that item, or
    from each of those before the validation basket to each item of it.

    Positions inside a basket are drawn by a hash where it has one instant, so the items that met
    are a drawn part of the basket's pairs, besides neighbours across the edge of two baskets; a
    wider window takes more of them.

    Args:
        db: Has ``timeline``: user_id, item_id, basket, position, split, each user's train rows
            first; and ``catalogue``: item_id.
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
            SELECT user_id, item_id,
                if(basket IS NULL, position, min(position) OVER history) AS position
            FROM timeline WHERE split = 'validation'
            WINDOW history AS (PARTITION BY user_id)
            QUALIFY basket IS NOT NULL OR position = max(position) OVER history
        )
        SELECT item::VARCHAR AS item_id, other::VARCHAR AS other_item_id, count,
            if(held_out, 'validation', 'train') AS split
        FROM (
            SELECT one.name AS item, other.name AS other, count, FALSE AS held_out
            FROM directed
            JOIN numbers AS one ON one.number = a JOIN numbers AS other ON other.number = b
            UNION ALL
            SELECT past.item_id::item_name, target.item_id::item_name, count(*)::INTEGER, TRUE
            FROM target JOIN timeline AS past USING (user_id)
            WHERE past.position BETWEEN target.position - ? AND target.position - 1
                AND past.item_id <> target.item_id
            GROUP BY past.item_id, target.item_id
            ORDER BY held_out, item, other
        )
        """,
        [window],
    )


def _number_items(db: duckdb.DuckDBPyConnection) -> None:
    """Give items numbers and names: both are many times as fast to group and to sort as text.

    ``item_name`` is an enumeration of the item_ids in their order.
    """
    db.execute(
        """
        DROP TABLE IF EXISTS pairs;
        DROP TABLE IF EXISTS numbers;
        DROP TYPE IF EXISTS item_name;
        CREATE TEMP TYPE item_name AS ENUM (SELECT item_id FROM catalogue ORDER BY item_id);
        CREATE TEMP TABLE numbers AS
        SELECT item_id, item_id::item_name AS name,
            (row_number() OVER (ORDER BY item_id))::INTEGER AS number FROM catalogue
        """
    )


def _meet(db: duckdb.DuckDBPyConnection, window: int, per_user: int) -> None:
    """Make ``met``: a < b (item numbers) and how often they met in train."""
    steps = range(1, window + 1)
    ahead = ", ".join(f"lead(number, {step}) OVER history AS ahead_{step}" for step in steps)
    # Of a user's n train interactions n - s meet another s positions on, so the rank of a meeting
    # among its user's, nearest first and then latest first, needs no sort.
    meetings = " UNION ALL ".join(
        f"SELECT number AS one, ahead_{s} AS other FROM ahead WHERE ahead_{s} <> number "  # noqa: S608
        f"AND {s - 1} * n - {s * (s - 1) // 2} + n - 1 - position - {s} < {per_user}"
        for s in steps
    )
    db.execute(
        f"""
        CREATE OR REPLACE TEMP TABLE ahead AS
        SELECT number, position, (count(*) OVER (PARTITION BY user_id))::INTEGER AS n, {ahead}
        FROM timeline JOIN numbers USING (item_id) WHERE split = 'train'
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
    """Make ``capped``: the rows of ``met`` that both items keep.

    A pair's rank is one integer, its cosine in the upper half and its hash in the lower, so that an
    item's best are found by a heap instead of a sort.
    """
    db.execute(
        """
        CREATE OR REPLACE TEMP TABLE ranked AS
        WITH sizes AS (
            SELECT number, sum(count)::DOUBLE AS meetings, count(*) AS partners
            FROM (SELECT a AS number, count FROM met UNION ALL SELECT b, count FROM met)
            GROUP BY number
        ), ends AS (
            SELECT number, meetings, partners > $per_item AS full,
                ('0x' || md5(concat($seed::VARCHAR, chr(0), item_id))[:8])::UBIGINT AS hash
            FROM sizes JOIN numbers USING (number)
        )
        SELECT a, b, count, one.full AS full_a, other.full AS full_b,
            (floor(sqrt(count * count / (one.meetings * other.meetings)) * 2147483648)::UBIGINT
                << 32) | xor(one.hash, other.hash) AS rank
        FROM met JOIN ends AS one ON a = one.number JOIN ends AS other ON b = other.number
        """,
        {"per_item": per_item, "seed": seed},
    )
    db.execute(
        """
        CREATE OR REPLACE TEMP TABLE capped AS
        WITH least AS (
            SELECT number, list_min(max(rank, $per_item)) AS rank FROM (
                SELECT a AS number, rank FROM ranked WHERE full_a
                UNION ALL
                SELECT b, rank FROM ranked WHERE full_b
            ) GROUP BY number
        )
        SELECT a, b, count FROM ranked
        LEFT JOIN least AS one ON a = one.number
        LEFT JOIN least AS other ON b = other.number
        WHERE ranked.rank >= coalesce(one.rank, 0) AND ranked.rank >= coalesce(other.rank, 0)
        """,
        {"per_item": per_item},
    )
