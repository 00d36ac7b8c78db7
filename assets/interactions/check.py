"""What the stage would make of the files, without making it.

The same code reads, checks and splits them, in a warehouse of its own that is thrown away; only
pairs are not counted and nothing is written.
"""

from __future__ import annotations

import tempfile
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import duckdb

from assets.interactions.documents import Template
from assets.interactions.incoming import Source, incoming
from assets.interactions.packaged import packaged
from assets.interactions.params import InteractionsParams
from assets.interactions.snapshot import UNKNOWN, put_together
from assets.interactions.summary import remarks, summarised
from assets.interactions.warehouse import bring_up_to_date, opened
from assets.machine import Machine
from assets.stage import UserError

EXAMPLES = 3  # refused rows shown of each reason
LONGEST_SHOWN = 200  # characters of a refused row
# Reasons that end with what mends them need no other.
FIXES = {UNKNOWN: "add the item to data/incoming/items, or leave the row out"}


def foresee(
    params: InteractionsParams,
    folder: Path,
    machine: Machine,
    read: Callable[[Sequence[str]], str] | None = None,
) -> dict[str, Any]:
    """Return what a run would make of a folder of files; nothing is changed.

    Args:
        params: As a run would have them.
        folder: Has the shape of ``data/incoming``. Without a file, the packaged data set is looked
            at.
        machine: Threads and memory limit.
        read: Is shown the documents of all items, and says what is remarkable in them.

    Returns:
        ``problems``: a sentence for each reason why a run would fail. ``source``, ``files``,
        ``rejects`` (each reason with its fix and some rows), ``remarks``; and without problems all
        numbers of the stage's report but those of the pairs, and ``characters``, the length of all
        documents, of each at most 300.
    """
    problems: list[str] = []
    found: dict[str, Any] = {}
    with tempfile.TemporaryDirectory(prefix="sidmill-check-") as temporary:
        here = machine.model_copy(update={"temp_folder": temporary})
        with opened(Path(temporary) / "warehouse.duckdb", here, params.columns) as db:
            sources: list[Source] = []
            try:
                sources = incoming(folder) or packaged(params.dataset)
            except UserError as error:
                problems.append(str(error))
            good: list[Source] = []
            for source in sources:
                try:
                    bring_up_to_date(db, [*good, source], params.columns, _hush)
                    good.append(source)
                except UserError as error:
                    problems.append(str(error))
            if not problems:
                try:
                    found = _numbers(db, params)
                    if read:
                        column = "SELECT document FROM catalogue ORDER BY item_id"
                        documents = [row[0] for row in db.execute(column).fetchall()]
                        found["remarks"].append(read(documents))
                except UserError as error:
                    problems.append(str(error))
            found["rejects"] = _rejects(db, "all_rejects" if found else "rejects")
            if "files" not in found:
                found["files"] = [
                    {"table": table, "file": file, "rows": rows, "rejected": rejected}
                    for table, file, rows, rejected in db.execute(
                        'SELECT "table", file, rows, rejected FROM loads ORDER BY ALL'
                    ).fetchall()
                ]
    is_packaged = any(source.form == "packaged" for source in sources)
    return {
        "source": f"{params.dataset} (packaged: {folder} holds no file)"
        if is_packaged
        else str(folder),
        "problems": problems,
        **found,
    }


def _numbers(db: duckdb.DuckDBPyConnection, params: InteractionsParams) -> dict[str, Any]:
    template = Template.parse(params.document_template)
    put_together(db, params, template)
    report = summarised(db, params, template)
    size = "SELECT coalesce(sum(least(length(document), 300)), 0) FROM catalogue"
    return {
        **report,
        "remarks": remarks(report) + _more_remarks(report, params),
        "characters": int(db.execute(size).fetchall()[0][0]),
    }


def _more_remarks(report: dict[str, Any], params: InteractionsParams) -> list[str]:
    """Return what a person should know beforehand and the stage's own lines do not say."""
    lines = []
    if not report["queries"]:
        lines.append("no real queries: all are made from the items' text")
    if report["interactions"]:
        alone = report["users_below_three"]
        if alone and params.split != "global_time":
            what = "baskets" if params.split == "basket" else "interactions"
            lines.append(
                f"{alone:,} of {report['users']:,} users have fewer than three {what}: they are "
                f"learnt from, and not asked about"
            )
        if report["items_without_interactions"]:
            lines.append(
                f"{report['items_without_interactions']:,} items have no interaction: they are "
                f"recommended by their text alone"
            )
        if report["tie_rate"] > 0.05:
            lines.append(
                f"{report['tie_rate']:.0%} of the interactions share their user's instant with "
                f"another: their order is drawn by a seeded hash"
            )
        if report["repeat_rate"]:
            lines.append(
                f"{report['repeat_rate']:.1%} of the interactions repeat an item of the same user: "
                f"a repeat is asked for with `answers.repeats: allow` alone"
            )
    if report["interactions_repeated_exactly"]:
        lines.append(
            f"{report['interactions_repeated_exactly']:,} interactions stand more than once, to "
            f"the letter: they count once"
        )
    if report.get("interactions_repeated_in_basket"):
        lines.append(
            f"{report['interactions_repeated_in_basket']:,} interactions repeat an item of their "
            f"basket: it counts once"
        )
    if report["items_updated"]:
        lines.append(f"{report['items_updated']:,} items are updated by a later file")
    return lines


def _rejects(db: duckdb.DuckDBPyConnection, relation: str) -> list[dict[str, Any]]:
    """Return the reasons for which rows are refused, each with some of them."""
    why = 'PARTITION BY "table", reason'
    rows = db.execute(
        f"""
        SELECT "table", reason, count(*) OVER ({why}) AS rows, file, row, content
        FROM {relation}
        QUALIFY row_number() OVER ({why} ORDER BY file, row) <= ?
        ORDER BY "table", rows DESC, reason, file, row
        """,  # noqa: S608  own names
        [EXAMPLES],
    ).fetchall()
    found: dict[tuple[str, str], dict[str, Any]] = {}
    for table, reason, count, file, row, content in rows:
        what, _, fix = reason.partition(": ")
        entry = found.setdefault(
            (table, reason),
            {
                "table": table,
                "rows": count,
                "reason": what,
                "fix": fix or FIXES.get(reason, "mend the row or take it out"),
                "examples": [],
            },
        )
        shown = content if content is None else content[:LONGEST_SHOWN]
        entry["examples"].append({"file": file, "row": row, "content": shown})
    return list(found.values())


def _hush(_: str) -> None:
    """Say nothing."""
