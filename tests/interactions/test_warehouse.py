"""The warehouse saves work and never changes a result."""

from __future__ import annotations

import shutil
import subprocess
import sys

import duckdb
import pandas as pd
import pytest

from assets.interactions.packaged import movielens_small
from assets.stage import UserError

LOG = "user_id,item_id,timestamp\n"


def events(user: str) -> str:
    return LOG + "".join(f"{user},{item},{time}\n" for time, item in enumerate("abcd"))


def test_nothing_is_read_twice(bench, tables, capsys):
    bench.write("interactions/1.csv", events("u"))
    first = bench.run()
    capsys.readouterr()
    second = bench.run()
    assert "0 files read, 2 known already, 0 taken out" in capsys.readouterr().out
    assert tables(first) == tables(second)
    assert (first.folder / "report.json").read_bytes() == (
        second.folder / "report.json"
    ).read_bytes()


def test_a_file_that_is_gone_takes_its_rows_along(bench, tables, capsys):
    bench.write("interactions/1.csv", events("u"))
    before = bench.run()
    extra = [bench.write("interactions/2.csv", events("v") + "v,zz,9\nv,a,-1\n"),
             bench.write("items/z.csv", "item_id,title\na,Aliens\nz,\n")]  # fmt: skip
    assert tables(bench.run()) != tables(before)
    for file in extra:
        file.unlink()
    capsys.readouterr()
    after = bench.run()
    assert "2 taken out" in capsys.readouterr().out
    assert tables(after) == tables(before)
    assert after.rejects.empty


def test_a_changed_file_replaces_its_rows(bench):
    bench.write("interactions/1.csv", events("u"))
    bench.run()
    bench.write("interactions/1.csv", events("w"))
    assert set(bench.run().interactions("train")["user_id"]) == {"w"}


@pytest.mark.parametrize(
    "damage", ["no database", "cut short", "another version", "scrambled", "scrambled late"]
)
def test_a_damaged_or_foreign_warehouse_is_built_anew(bench, tables, damage):
    bench.write("interactions/1.csv", events("u"))
    before = bench.run()
    file = bench.folder / "data" / "warehouse.duckdb"
    content = bytearray(file.read_bytes())
    if damage == "no database":
        file.write_text("not a database, but long enough to be looked at by somebody" * 100)
    elif damage == "cut short":
        file.write_bytes(content[: len(content) // 2])
    elif damage.startswith("scrambled"):
        start = len(content) // 2 if damage.endswith("late") else 12288  # three headers
        for place in range(start, len(content), 64):
            content[place] ^= 255
        file.write_bytes(content)
    else:
        with duckdb.connect(str(file)) as db:
            db.execute("UPDATE made_by SET signature = 'older'")
            db.execute("DELETE FROM interactions")
    assert tables(bench.run()) == tables(before)


def test_without_its_warehouse_the_asset_has_the_same_bytes(bench, tables):
    bench.write("interactions/2.csv", events("v"))
    bench.run()
    bench.write("interactions/1.csv", events("u") + "u,zz,1\n")
    grown = bench.run()
    (bench.folder / "data" / "warehouse.duckdb").unlink()
    fresh = bench.run()
    assert tables(grown) == tables(fresh)
    for name in ("rejects.parquet", "report.json", "query_split.json"):
        assert (grown.folder / name).read_bytes() == (fresh.folder / name).read_bytes()


def test_shuffled_rows_and_one_thread_give_the_same_bytes(bench, tables, monkeypatch):
    shutil.rmtree(bench.folder / "data" / "incoming" / "items")
    items, log = movielens_small()
    items = items[items["title"].notna()]
    log = log[log["item_id"].isin(items["item_id"])]
    made = []
    for seed in (1, 2):
        for name, table in {"items": items, "interactions": log}.items():
            shuffled: pd.DataFrame = table.sample(frac=1, random_state=seed)
            bench.write(f"{name}/rows.csv", shuffled.to_csv(index=False))
        made.append(tables(bench.run()))
        monkeypatch.setenv("SIDMILL_THREADS", "1")
    assert made[0] == made[1]


def test_a_warehouse_that_another_program_holds_is_named(bench):
    bench.run()
    hold = (
        "import duckdb, sys; db = duckdb.connect(sys.argv[1]); print('open', flush=True); input()"
    )
    file = bench.folder / "data" / "warehouse.duckdb"
    with subprocess.Popen(
        [sys.executable, "-c", hold, str(file)], stdin=subprocess.PIPE, stdout=subprocess.PIPE
    ) as other:
        assert other.stdout.readline() == b"open\n"
        with pytest.raises(UserError, match="open in another program"):
            bench.run()
        other.communicate(b"\n")
    assert len(bench.run().items) == 4


def test_other_column_names_read_the_files_anew(bench):
    bench.write("items/items.csv", "item_id,title,asin\n1,Alien,A1\n2,Brazil,B2\n")
    assert bench.run().items["item_id"].tolist() == ["1", "2"]
    assert bench.run(columns={"asin": "item_id"}).items["item_id"].tolist() == ["A1", "B2"]
