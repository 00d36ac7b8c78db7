"""How the stage `interactions` grows. Run: python benchmarks/interactions_scale.py [--full].

Without an option 100,000 interactions and 10,000 items; `--full` also one and ten million (with a
tenth as many items), which takes some minutes and 3 GB of disk; or name sizes. The log copies the
lengths and times of MovieLens's histories and the shape of its popularity; which item stands where
is drawn. Ten files of interactions, one of items, all CSV unless `--form parquet`.

Each size runs three times: from nothing, with nothing changed, and with one of the ten files
changed. A load reads what is new; split, pairs and tables are made anew by every run.
"""

from __future__ import annotations

import argparse
import json
import resource
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import duckdb
import numpy as np

from assets.interactions.packaged import movielens_small

FILES = 10
ITEMS_PER_INTERACTION = 0.1
PARAMS = Path(__file__).parents[1] / "params.yaml"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.split("\n", maxsplit=1)[0])
    parser.add_argument("sizes", nargs="*", type=int, help="numbers of interactions")
    parser.add_argument("--full", action="store_true", help="0.1, 1 and 10 million")
    parser.add_argument("--form", choices=("csv", "parquet"), default="csv")
    given = parser.parse_args()
    sizes = given.sizes or ([100_000, 1_000_000, 10_000_000] if given.full else [100_000])
    names = ("load s", "rest s", "all s", "CPU s", "peak MB")
    print(f"{'interactions':>12}  {'run':<16}" + "".join(f"{name:>9}" for name in names))
    for size in sizes:
        with tempfile.TemporaryDirectory() as name:
            measure(Path(name), size, given.form)


def measure(folder: Path, size: int, form: str) -> None:
    """Write the files, run the stage three times, print a line for each."""
    (folder / "params.yaml").write_bytes(PARAMS.read_bytes())
    last = write_files(folder / "data" / "incoming", size, form)
    for run in ("from nothing", "nothing changed", "1 of 10 changed"):
        if run == "1 of 10 changed":
            rows = f"SELECT * FROM '{last}' LIMIT {size // FILES - 1}"  # noqa: S608
            write(duckdb.connect(), f"CREATE TABLE rows AS {rows}", "rows", last)
        load, whole, cpu, peak = timed(folder)
        seconds = "".join(f"{value:>9.1f}" for value in (load, whole - load, whole, cpu))
        print(f"{size:>12,}  {run:<16}{seconds}{peak:>9,}", flush=True)


def write_files(folder: Path, size: int, form: str) -> Path:
    """Write the items and the log; return the last file of the log."""
    draw = np.random.default_rng(0)
    items, log = movielens_small()
    n_items = int(size * ITEMS_PER_INTERACTION)
    counts = np.sort(log["item_id"].value_counts().to_numpy())
    weights = np.interp(np.linspace(0, 1, n_items), np.linspace(0, 1, len(counts)), counts)
    order = draw.permutation(n_items)
    rows = np.arange(size)
    log = log.sort_values(["user_id", "timestamp"], kind="stable")
    tables = {
        "source": items.fillna({"title": "", "category": ""})[["title", "category", "year"]],
        "users": log["user_id"].astype("category").cat.codes.to_numpy()[rows % len(log)],
        "copies": rows // len(log),
        "times": log["timestamp"].to_numpy()[rows % len(log)],
        "weights": log["weight"].to_numpy()[rows % len(log)],
        "drawn": order[draw.choice(n_items, size, p=weights / weights.sum())],
    }
    db = duckdb.connect()
    db.register("source", tables["source"])
    db.register("log", {name: column for name, column in tables.items() if name != "source"})
    for name in ("items", "interactions"):
        (folder / name).mkdir(parents=True)
    # no commas, so that no cell needs quotes: the common case of exported logs
    catalogue = f"""
        CREATE TABLE rows AS
        SELECT 'item-' || n AS item_id,
            replace(replace(title, ',', ''), '"', '') || ' ' || n AS title,
            replace(category, ', ', '/') AS category, year
        FROM range({n_items}) AS numbers(n)
        JOIN (SELECT *, row_number() OVER () - 1 AS place FROM source)
            ON place = n % {len(items)} ORDER BY n
    """  # noqa: S608
    write(db, catalogue, "rows", folder / "items" / f"items.{form}")
    db.execute("DROP TABLE rows")
    db.execute(
        "CREATE TABLE rows AS SELECT 'user-' || copies || '-' || users AS user_id, "
        "'item-' || drawn AS item_id, times AS timestamp, weights AS weight FROM log"
    )
    for part in range(FILES):
        last = folder / "interactions" / f"part-{part}.{form}"
        some = f"(FROM rows LIMIT {size // FILES} OFFSET {part * size // FILES})"
        db.execute(f"COPY {some} TO '{last}'")
    db.close()
    return last


def write(db: duckdb.DuckDBPyConnection, statement: str, table: str, file: Path) -> None:
    """Run a statement that makes a table, and write the table."""
    db.execute(statement)
    db.execute(f"COPY {table} TO '{file}'")


def timed(folder: Path) -> tuple[float, float, float, int]:
    """Run the stage; return seconds of the load, of all, of the CPU, and its peak in MB."""
    started, used = time.monotonic(), cpu_seconds()
    loaded = 0.0
    with subprocess.Popen(
        [sys.executable, "-m", "assets.interactions"], cwd=folder, stdout=subprocess.PIPE, text=True
    ) as stage:
        for line in stage.stdout or []:
            if "files read" in line:
                loaded = time.monotonic() - started
    if stage.returncode:
        raise SystemExit(stage.returncode)
    whole = time.monotonic() - started
    log = (folder / "data" / "logs" / "stages.jsonl").read_text().splitlines()
    return loaded, whole, cpu_seconds() - used, json.loads(log[-1])["peak_memory_mb"]


def cpu_seconds() -> float:
    """Return the CPU seconds of all processes that this one has waited for."""
    used = resource.getrusage(resource.RUSAGE_CHILDREN)
    return used.ru_utime + used.ru_stime


if __name__ == "__main__":
    main()
