"""What the tables are like, in numbers."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import duckdb

from assets.interactions.documents import Template, field_sql
from assets.interactions.params import InteractionsParams
from assets.interactions.snapshot import count


def summarised(
    db: duckdb.DuckDBPyConnection, params: InteractionsParams, template: Template
) -> dict[str, Any]:
    """Return the numbers of the report.

    Args:
        db: Has the tables of the snapshot; those of the pairs may be missing, as are their numbers
            then.
        params: How the log was split.
        template: What documents are composed by.
    """
    splits = _rows(db, SPLITS)
    cut = _cut_numbers(db) if params.split == "global_time" else {}
    baskets = _basket_numbers(db) if params.split == "basket" else {}
    report = _log_numbers(db) | baskets | _query_numbers(db)
    if db.execute("FROM duckdb_tables() WHERE table_name = 'pairs'").fetchall():
        report |= _pair_numbers(db)
    return (
        report
        | cut
        | {
            "rejected": count(db, "all_rejects"),
            "document_fields": [
                {"field": field, "items": _number(db, f"count({field_sql(field)})", "catalogue")}
                for field in template.fields
            ],
            "splits": splits,
            "skipped": _skipped(splits, cut, baskets),
            "rejects": _rows(db, REJECTS),
            "files": _rows(db, FILES),
        }
    )


def _log_numbers(db: duckdb.DuckDBPyConnection) -> dict[str, Any]:
    items, users = count(db, "catalogue"), _number(db, "count(DISTINCT user_id)", "timeline")
    interactions = count(db, "timeline")
    return {
        "items": items,
        "items_updated": _number(db, "count(*) - count(DISTINCT item_id)", UPDATES),
        "items_without_interactions": items - _number(db, "count(DISTINCT item_id)", "timeline"),
        "users": users,
        "users_below_three": _number(db, "count(*)", f"({LENGTHS}) WHERE length < 3"),
        "interactions": interactions,
        "interactions_not_positive": count(db, "others"),
        "interactions_repeated_exactly": count(db, "usable") - count(db, "known"),
        "density": interactions / (users * items) if users else 0.0,
        "tie_rate": _number(db, "coalesce(sum(n), 0)", f"({TIES}) WHERE n > 1")
        / max(interactions, 1),
        "repeat_rate": (interactions - _number(db, "count(*)", f"({VISITS})"))
        / max(interactions, 1),
        "history_length_median": _number(db, "coalesce(median(length), 0)", f"({LENGTHS})"),
        "history_length_max": _number(db, "coalesce(max(length), 0)", f"({LENGTHS})"),
    }


def _query_numbers(db: duckdb.DuckDBPyConnection) -> dict[str, Any]:
    return {
        "queries": _number(db, "count(DISTINCT query)", "real_queries"),
        "query_answers": count(db, "real_queries"),
        "query_answers_not_relevant": count(db, "judged")
        - _number(db, "count(*)", "judged WHERE reason IS NOT NULL")
        - count(db, "answers"),
        "query_texts_given_two_splits": _number(
            db,
            "count(*)",
            "(FROM answers SELECT query GROUP BY query HAVING count(DISTINCT split) > 1)",
        ),
    }


def _pair_numbers(db: duckdb.DuckDBPyConnection) -> dict[str, Any]:
    return {
        "pairs_train": _number(db, "count(*)", "pairs WHERE split = 'train'"),
        "pairs_validation": _number(db, "count(*)", "pairs WHERE split = 'validation'"),
        "pairs_train_before_caps_per_item": 2 * count(db, "met"),
        "items_in_train_pairs": _number(
            db, "count(DISTINCT item_id)", "pairs WHERE split = 'train'"
        ),
    }


def _basket_numbers(db: duckdb.DuckDBPyConnection) -> dict[str, Any]:
    """Return what the baskets are like; a user with fewer than three is train alone."""
    asked_about = _number(db, "count(DISTINCT user_id)", "timeline WHERE split = 'test'")
    return {
        "users_below_three": _number(db, "count(DISTINCT user_id)", "timeline") - asked_about,
        "baskets": _number(db, "count(*)", f"({BASKETS})"),
        "basket_size_median": _number(db, "coalesce(median(size), 0)", f"({BASKETS})"),
        "basket_size_max": _number(db, "coalesce(max(size), 0)", f"({BASKETS})"),
        "interactions_repeated_in_basket": count(db, "positives") - count(db, "timeline"),
    }


def _cut_numbers(db: duckdb.DuckDBPyConnection) -> dict[str, Any]:
    """Return what a cut in time came to: a session has a target and a history."""
    return {
        "validation_begins": _number(db, "min(timestamp)", "timeline WHERE split = 'validation'"),
        "test_begins": _number(db, "min(timestamp)", "timeline WHERE split = 'test'"),
        "validation_sessions": _number(
            db, "count(*)", f"({SESSIONS}) WHERE until_test > 1 AND validation"
        ),
        "test_sessions": _number(db, "count(*)", f"({SESSIONS}) WHERE length > 1 AND test"),
        "cold_items": count(db, "cold_items"),
        "interactions_withheld": count(db, "withheld"),
    }


def remarks(report: Mapping[str, Any]) -> list[str]:
    """Return lines for whoever watches: sizes, what was refused, what will be skipped."""
    sizes = {
        "items": "items",
        "users": "users",
        "interactions": "interactions",
        "baskets": "baskets",
        "real queries": "queries",
        "train pairs": "pairs_train",
        "interactions of cold items withheld": "interactions_withheld",
    }
    lines = [", ".join(f"{report[key]:,} {name}" for name, key in sizes.items() if key in report)]
    lines += [
        f"refused {row['rows']:,} {row['table']}: {row['reason']}" for row in report["rejects"]
    ]
    empty = [row["field"] for row in report["document_fields"] if not row["items"]]
    if empty:
        lines.append(f"documents go without {', '.join(empty)}: no item has any")
    lines += [f"{row['what']} skipped: {row['why']}" for row in report["skipped"]]
    return lines


def _skipped(
    splits: list[dict[str, Any]], cut: Mapping[str, Any], baskets: Mapping[str, Any]
) -> list[dict[str, str]]:
    """Return what cannot be done with this data, and why."""
    events = {row["split"]: row["interactions"] for row in splits if row["interactions"]}
    why = ""
    if not events:
        why = "there are no interactions"
    elif cut and not cut["test_sessions"]:
        why = "after the cut where test begins nobody has an interaction with one before it"
    elif not cut and "test" not in events:
        why = f"no user has three {'baskets' if baskets else 'interactions'}"
    return [{"what": "recommendation", "why": why}] if why else []


LENGTHS = "SELECT user_id, count(*) AS length FROM timeline GROUP BY user_id"
SESSIONS = """
    SELECT count(*) AS length, count(*) FILTER (split <> 'test') AS until_test,
        bool_or(split = 'validation') AS validation, bool_or(split = 'test') AS test
    FROM timeline GROUP BY user_id
"""
VISITS = "SELECT DISTINCT user_id, item_id FROM timeline"
TIES = "SELECT count(*) AS n FROM timeline GROUP BY user_id, timestamp"
BASKETS = "SELECT count(*) AS size FROM timeline GROUP BY user_id, basket"
UPDATES = "(SELECT DISTINCT file, item_id FROM items)"
SPLITS = """
    SELECT split, interactions, users, items, queries FROM (
        SELECT split, count(*) AS interactions, count(DISTINCT user_id) AS users,
            count(DISTINCT item_id) AS items FROM timeline GROUP BY split
    ) FULL JOIN (
        SELECT split, count(DISTINCT query) AS queries FROM real_queries GROUP BY split
    ) USING (split)
    ORDER BY list_position(['train', 'validation', 'test'], split)
"""
REJECTS = """
    SELECT "table", reason, count(*) AS rows FROM all_rejects
    GROUP BY ALL ORDER BY "table", rows DESC, reason
"""
FILES = """
    SELECT "table", file, rows, rejected FROM loads ORDER BY "table", file
"""


def _number(db: duckdb.DuckDBPyConnection, value: str, relation: str) -> Any:
    rows = db.execute(f"SELECT {value} FROM {relation}").fetchall()  # noqa: S608  own names
    return rows[0][0]


def _rows(db: duckdb.DuckDBPyConnection, query: str) -> list[dict[str, Any]]:
    cursor = db.execute(query)
    names = [column[0] for column in cursor.description]
    return [dict(zip(names, row, strict=True)) for row in cursor.fetchall()]
