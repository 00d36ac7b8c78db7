"""Files or the packaged data set -> checked, ordered tables. Run: python -m assets.interactions."""

from __future__ import annotations

import duckdb

from assets.files import write_json
from assets.interactions import snapshot
from assets.interactions.documents import Template
from assets.interactions.figure import draw
from assets.interactions.incoming import incoming
from assets.interactions.packaged import packaged
from assets.interactions.pairs import make_pairs
from assets.interactions.params import InteractionsParams
from assets.interactions.snapshot import put_together
from assets.interactions.summary import remarks, summarised
from assets.interactions.warehouse import bring_up_to_date, forget, opened
from assets.machine import Machine
from assets.stage import DATA, Run, UserError, run_stage

WAREHOUSE = DATA / "warehouse.duckdb"


def main(run: Run[InteractionsParams]) -> None:
    """Make the tables; a warehouse that turns out to be damaged is built anew, once."""
    try:
        make_tables(run)
    except duckdb.OutOfMemoryException as error:
        raise UserError(
            f"{Machine.here().memory_limit} of memory are too few: set SIDMILL_MEMORY_LIMIT higher "
            f"({str(error).splitlines()[0]})"
        ) from error
    except duckdb.Error as error:
        run.say(f"{WAREHOUSE} could not be used and is built anew ({str(error).splitlines()[0]})")
        forget(WAREHOUSE)
        make_tables(run)


def make_tables(run: Run[InteractionsParams]) -> None:
    """Read what is new, put it together, split it and write it."""
    params = run.params
    sources = incoming(DATA / "incoming") or packaged(params.dataset)
    template = Template.parse(params.document_template)

    with opened(WAREHOUSE, Machine.here(), params.columns) as db:
        bring_up_to_date(db, sources, params.columns, run.say)
        put_together(db, params, template)
        make_pairs(
            db,
            window=params.pair_window,
            per_user=params.max_pairs_per_user,
            per_item=params.max_pairs_per_item,
            seed=params.seed,
        )
        snapshot.write(db, run.folder, in_baskets=params.split == "basket")
        write_json(run.folder / "query_split.json", {"seed": params.seed, **params.query_shares})
        report = summarised(db, params, template)
        if report["interactions"]:
            draw(db, run.folder / "interactions.png")
    run.report(report)
    for line in remarks(report):
        run.say(line)


if __name__ == "__main__":
    run_stage("interactions", InteractionsParams, main)
