"""What is foreseen is what the stage then does, and looking changes nothing."""

from __future__ import annotations

from pathlib import Path

import pytest

from assets.interactions.check import foresee
from assets.interactions.params import InteractionsParams
from assets.machine import Machine

LOG = "user_id,item_id,timestamp\n"
OF_PAIRS = {"pairs_train", "pairs_validation", "pairs_train_before_caps_per_item",
            "items_in_train_pairs"}  # fmt: skip


def look(**params):
    return foresee(InteractionsParams(**params), Path("data/incoming"), Machine())


def everything_in(folder):
    return {file: file.stat().st_mtime_ns for file in folder.rglob("*")}


@pytest.mark.parametrize("split", ["leave_last_out", "global_time", "basket"])
def test_the_numbers_foreseen_are_those_of_the_report(bench, split):
    rows = "".join(f"u{n % 5},{'abcd'[n % 4]},{n // 2},{n // 10}\n" for n in range(40))
    rows += "u1,zz,3,1\nu1,a,-1,1\nu1,a,1,1\nu1,a,2,\n"
    bench.write("interactions/log.csv", "user_id,item_id,timestamp,basket\n" + rows)
    bench.write("queries/q.jsonl", '{"query": "robots", "item_id": "a"}\n')
    found = look(split=split)
    bench.run(split=split)
    report = bench.report()
    assert found["problems"] == []
    for name in report.keys() - OF_PAIRS - {"rejects"}:
        seen = found[name]
        assert seen == (pytest.approx(report[name]) if isinstance(seen, float) else report[name])
    told = [(entry["table"], entry["rows"]) for entry in found["rejects"]]
    assert sorted(told) == sorted((row["table"], row["rows"]) for row in report["rejects"])


def test_looking_changes_nothing_on_disk(bench):
    bench.write("interactions/log.csv", LOG + "u,a,1\nu,zz,2\n")
    bench.run()
    before = everything_in(bench.folder)
    look()
    assert everything_in(bench.folder) == before


def test_looking_leaves_no_trace_where_nothing_has_run(bench):
    before = everything_in(bench.folder)
    look()
    assert everything_in(bench.folder) == before


def test_a_refused_row_is_shown_with_its_place_its_content_and_the_fix(bench):
    bench.write("interactions/log.csv", LOG + "u,a,1\nu,zz,2\nu,b,1700000000000\n")
    unknown, late = sorted(look()["rejects"], key=lambda entry: entry["reason"])
    assert unknown["fix"] == "add the item to data/incoming/items, or leave the row out"
    assert unknown["examples"][0]["row"] == 3
    assert '"item_id":"zz"' in unknown["examples"][0]["content"]
    assert (late["reason"], late["rows"]) == ("timestamp is past the year 2100", 1)
    assert late["fix"] == "it looks like milliseconds, divide by 1e3"
    assert late["examples"][0]["file"] == "data/incoming/interactions/log.csv"


def test_every_file_that_cannot_be_used_is_named_at_once(bench):
    bench.write("items/x.csv", "title\nAlien\n")
    bench.write("interactions/log.csv", LOG + "u,a,1\n")
    bench.write("queries/q.csv", "query,item_id\nrobots\n")
    found = look()
    first, second = found["problems"]
    assert "x.csv has no column `item_id`" in first
    assert "q.csv: all of its 1 rows are refused" in second
    assert [row["file"].rsplit("/", 1)[-1] for row in found["files"]] == ["log.csv", "items.csv"]


def test_ids_of_another_kind_are_a_problem_and_not_a_crash(bench):
    bench.write("interactions/log.csv", LOG + "u,A,1\n")
    (problem,) = look()["problems"]
    assert "use the same item_id in both" in problem


def test_what_is_odd_about_the_log_is_remarked(bench):
    bench.write("interactions/log.csv", LOG + "u,a,1\nu,b,1\nu,a,2\nv,a,1\nv,a,1\n")
    bench.write("items/z.csv", "item_id,title\na,Aliens\n")
    text = "\n".join(look()["remarks"])
    for words in ["no real queries", "1 of 2 users have fewer than three", "2 items have no inter",
                  "50% of the interactions share", "25.0% of the interactions repeat",
                  "1 interactions stand more than once", "1 items are updated"]:  # fmt: skip
        assert words in text


def test_without_a_file_the_packaged_data_set_is_looked_at(bench):
    (bench.folder / "data/incoming/items/items.csv").unlink()
    found = look()
    assert found["source"] == "movielens-small (packaged: data/incoming holds no file)"
    assert (found["items"], found["users"], found["interactions"]) == (9061, 671, 99_997)
    assert found["characters"] == 394_860  # what the estimate of a run's time was fitted to
