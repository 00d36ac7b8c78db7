"""Bring your own data: what is taken, what is refused, and what the message says."""

from __future__ import annotations

import json

import pandas as pd
import pytest

from assets.stage import UserError

LOG = "user_id,item_id,timestamp\n"


def refused(made) -> list[tuple[str, int, str]]:
    """(file name, row, reason) of every reject."""
    rows = made.rejects[["file", "row", "reason"]].itertuples(index=False)
    return [(row.file.rsplit("/", 1)[-1], row.row, row.reason) for row in rows]


@pytest.mark.parametrize(
    ("name", "content", "words"),
    [
        ("items/x.csv", "title\nAlien\n", ["x.csv", "`item_id`", "interactions.columns"]),
        ("items/x.csv", "item_id\na\n", ["x.csv", "`title` or `text`"]),
        ("interactions/x.csv", "user_id,item_id\n1,a\n", ["x.csv", "`timestamp`", "user_id"]),
        ("interactions/x.csv", b"", ["x.csv", "empty"]),
        ("items/x.csv", b"item_id,title\nz,ok\ny,Am\xe9lie\n", ["x.csv", "line 3", "xe9", "UTF-8"]),
        ("items/x.jsonl", b'{"item_id": "y", "title": "Am\xe9lie"}', ["x.jsonl", "line 1"]),
        ("items/x.csv", "item_id,item_id,title\na,a,b\n", ["x.csv", "`item_id` twice"]),
        ("items/x.csv", "item_id;title\na;b\n", ["x.csv", "';'", "commas"]),
        ("items/x.parquet", b"PAR1 and then the disk was full", ["x.parquet", "half-written"]),
        ("items/x.txt", "item_id,title\n", ["x.txt", "Parquet"]),
        ("items.csv", "item_id,title\n", ["items.csv", "move it into"]),
        ("queries/x.jsonl", '{"text": "x"}', ["x.jsonl", "`query`"]),
        ("queries/x.jsonl", "[1, 2]\n", ["x.jsonl", "one object a line"]),
        (
            "interactions/x.csv",
            LOG + "1,a,1700000000000\n2,a,1700000000001\n",
            ["x.csv", "all of its 2 rows", "row 2", "milliseconds", "divide by 1e3"],
        ),
        ("interactions/x.csv", LOG + "1,A,1\n2,B,2\n", ["x.csv", "`A`", "same item_id"]),
    ],
)
def test_a_file_that_cannot_be_used_is_named_with_the_fix(bench, name, content, words):
    bench.write(name, content)
    with pytest.raises(UserError) as error:
        bench.run()
    for word in words:
        assert word in str(error.value)


def test_a_file_that_cannot_be_used_leaves_the_warehouse_as_it_was(bench, tables, capsys):
    before = bench.run()
    bad = bench.write("items/x.csv", "title\nAlien\n")
    with pytest.raises(UserError):
        bench.run()
    bad.unlink()
    capsys.readouterr()
    assert tables(bench.run()) == tables(before)
    assert "0 files read, 1 known already, 0 taken out" in capsys.readouterr().out


def test_a_truncated_real_parquet_is_refused(bench, tmp_path):
    good = tmp_path / "good.parquet"
    pd.DataFrame({"item_id": ["x"] * 9, "title": ["y"] * 9}).to_parquet(good)
    bench.write("items/x.parquet", good.read_bytes()[:-20])
    with pytest.raises(UserError, match=r"x\.parquet is no readable Parquet"):
        bench.run()


def test_interactions_without_any_items_are_refused(bench):
    (bench.folder / "data/incoming/items/items.csv").unlink()
    bench.write("interactions/log.csv", LOG + "1,a,1\n")
    with pytest.raises(UserError, match=r"log\.csv: .*items holds no file"):
        bench.run()


@pytest.mark.parametrize(
    ("timestamp", "reason"),
    [
        ("nan", "not finite"),
        ("inf", "not finite"),
        ("-5", "negative"),
        ("1960-01-01", "negative"),
        ("1700000000000", "milliseconds, divide by 1e3"),
        ("1700000000000000", "microseconds, divide by 1e6"),
        ("1700000000000000000", "nanoseconds, divide by 1e9"),
        ("2101-01-01", "past the year 2100"),
        ("yesterday", "ISO 8601"),
        ("2024-13-01", "ISO 8601"),
        ("", "timestamp is empty"),
    ],
)
def test_a_timestamp_that_cannot_be_is_rejected_with_advice(bench, timestamp, reason):
    bench.write("interactions/log.csv", f"{LOG}1,a,1\n1,b,{timestamp}\n")
    made = bench.run()
    assert made.interactions("train")["item_id"].tolist() == ["a"]
    ((file, row, why),) = refused(made)
    assert (file, row) == ("log.csv", 3)
    assert reason in why


def test_timestamps_may_be_numbers_dates_or_instants_in_any_zone(bench):
    stamps = ["0", "1.5", "1970-01-02", "1970-01-02T00:00:01Z", "1970-01-02T02:00:02+02:00"]
    stamps += ["1970-01-02 00:00:03.25", "2100-12-31T23:59:59Z"]
    bench.write("interactions/log.csv", LOG + "".join(f"u,a,{stamp}\n" for stamp in stamps))
    made = bench.run().interactions("train", "validation", "test")
    assert made["timestamp"].tolist() == [0, 1.5, 86400, 86401, 86402, 86403.25, 4133980799]


def test_parquet_keeps_its_types_and_writes_ids_as_whole_numbers(bench, tmp_path):
    items = pd.DataFrame(
        {"item_id": [1.0, 2.0, None], "title": ["x", "y", "z"], "price": [1.5, None, 2.0],
         "category": [["a", "b"], None, None], "row": [7, 8, 9]}
    )  # fmt: skip
    log = pd.DataFrame(
        {"user_id": [1, 1, 1], "item_id": [1, 2, 2],
         "timestamp": pd.to_datetime(["2020-01-01", "2020-01-02", None])}
    )  # fmt: skip
    (bench.folder / "data/incoming/items/items.csv").unlink()
    for name, table in {"items": items, "interactions": log}.items():
        table.to_parquet(tmp_path / "t.parquet", index=False)
        bench.write(f"{name}/part [1]*.parquet", (tmp_path / "t.parquet").read_bytes())
    made = bench.run()
    assert made.items["item_id"].tolist() == ["1", "2"]
    assert made.items["category"].tolist()[0] == "a, b"
    assert [json.loads(a) for a in made.items["attributes"]] == [
        {"price": 1.5, "row": 7},
        {"row": 8},
    ]
    assert made.interactions("train")["timestamp"].tolist() == [1577836800.0, 1577923200.0]
    assert refused(made) == [
        (
            "part [1]*.parquet",
            3,
            "timestamp is empty or NaN: write epoch seconds, or any number that grows",
        ),
        ("part [1]*.parquet", 3, "item_id is empty: give the item one"),
    ]


def test_a_parquet_timestamp_of_nan_is_rejected(bench, tmp_path):
    log = pd.DataFrame({"user_id": ["u", "u"], "item_id": ["a", "b"], "timestamp": [1.0, None]})
    log.to_parquet(tmp_path / "t.parquet", index=False)
    bench.write("interactions/log.parquet", (tmp_path / "t.parquet").read_bytes())
    assert refused(bench.run()) == [
        (
            "log.parquet",
            2,
            "timestamp is empty or NaN: write epoch seconds, or any number that grows",
        )
    ]


def test_bad_json_lines_are_rejected_by_line_and_the_others_stay(bench):
    lines = ['{"item_id": 7, "title": "Se7en", "tags": ["x", "y"], "n": null}', "", "{oops",
             "[1]", '{"item_id": "8"}', '{"item_id": " 9 ", "text": "nine"}']  # fmt: skip
    bench.write("items/more.jsonl", "\n".join(lines))
    made = bench.run()
    assert made.items["item_id"].tolist() == ["7", "9", "a", "b", "c", "d"]
    assert json.loads(made.items["attributes"][0]) == {"tags": ["x", "y"]}
    assert [(row, why[:20]) for _, row, why in refused(made)] == [
        (3, "this line is no vali"),
        (4, "this line is no JSON"),
        (5, "title and text are b"),
    ]


def test_csv_rows_of_another_width_or_with_open_quotes_are_rejected_by_line(bench):
    text = 'item_id,title\ne,"Two\nlines"\nf,a,b\ng,"open\nh,"Up"\ni,Iris\n'
    bench.write("items/more.csv", text)
    made = bench.run()
    assert made.items["item_id"].tolist() == ["a", "b", "c", "d", "e", "i"]
    assert made.items["document"].tolist()[4] == "Two lines"
    faults = sorted((row, why[:25]) for _, row, why in refused(made))
    assert faults == [(4, "it has 3 fields where the"), (5, "its quotes do not pair up")]


def test_copies_with_other_content_are_all_rejected_identical_ones_count_once(bench):
    bench.write("items/more.csv", "item_id,title\ne,Eraserhead\ne,Elephant\nf,Fargo\nf,Fargo\n")
    made = bench.run()
    assert made.items["item_id"].tolist() == ["a", "b", "c", "d", "f"]
    assert [(row, "more than once" in why) for _, row, why in refused(made)] == [
        (2, True),
        (3, True),
    ]


def test_a_later_file_updates_an_item_and_a_refused_copy_does_not(bench):
    bench.write("items/z1.csv", "item_id,title,brand\na,Aliens,Fox\nb,,\n")
    made = bench.run()
    assert made.items["title"].tolist() == ["Aliens", "Brazil", "Casablanca", "Dune"]
    assert made.items["document"][0] == "Aliens. Fox"
    assert bench.report()["items_updated"] == 1


def test_an_unknown_item_is_rejected_in_interactions_and_queries(bench):
    bench.write("interactions/log.csv", LOG + "1,a,1\n1,zz,2\n")
    bench.write("queries/q.csv", "query,item_id\nspace,a\nspace,zz\n")
    made = bench.run()
    assert [(f, r) for f, r, why in refused(made) if "not among the items" in why] == [
        ("log.csv", 3),
        ("q.csv", 3),
    ]
    assert len(made.queries("train", "validation", "test")) == 1


def test_an_exact_repeat_counts_once_even_across_files(bench):
    bench.write("interactions/1.csv", LOG + "u,a,1\nu,a,1\nu,a,2\n")
    bench.write("interactions/2.csv", LOG + "u,a,1\nu,b,1\n")
    made = bench.run()
    assert len(made.interactions("train", "validation", "test")) == 3
    assert bench.report()["interactions_repeated_exactly"] == 2


def test_columns_of_other_names_are_mapped(bench):
    bench.write("interactions/log.csv", "who,asin,when,stars\nu,a,5,4\n")
    made = bench.run(
        columns={"who": "user_id", "asin": "item_id", "when": "timestamp", "stars": "weight"}
    )
    (row,) = made.interactions("train").to_dict("records")
    assert (row["user_id"], row["item_id"], row["timestamp"], row["weight"]) == ("u", "a", 5, 4)


def test_two_columns_for_one_name_are_refused(bench):
    bench.write("interactions/log.csv", "who,whom,item_id,timestamp\nu,v,a,5\n")
    with pytest.raises(UserError, match="`who` and `whom` for `user_id`"):
        bench.run(columns={"who": "user_id", "whom": "user_id"})


def test_interactions_below_the_least_weight_stay_out_and_are_counted(bench):
    bench.write(
        "interactions/log.csv", "user_id,item_id,timestamp,weight\n1,a,1,5\n1,b,2,2\n1,c,3,\n"
    )
    assert bench.run(min_weight=4).interactions("train")["item_id"].tolist() == ["a"]
    assert bench.report()["interactions_not_positive"] == 2
    assert len(bench.run().interactions("train", "validation", "test")) == 3


def test_a_catalogue_alone_gives_empty_tables_of_the_same_columns(bench):
    made = bench.run()
    bench.write("interactions/log.csv", LOG + "".join(f"u,{i},{t}\n" for t, i in enumerate("abcd")))
    full = bench.run()
    splits = ("train", "validation", "test")
    for empty, filled in [
        (made.interactions(*splits), full.interactions(*splits)),
        (made.pairs(*splits), full.pairs(*splits)),
    ]:
        assert empty.empty
        assert not filled.empty
        assert empty.dtypes.to_dict() == filled.dtypes.to_dict()
    assert made.sessions("test").targets == []
    assert bench.report()["skipped"] == []


def test_without_interactions_a_line_says_that_recommendation_is_skipped(bench, capsys):
    bench.run()
    assert "recommendation skipped: there are no interactions" in capsys.readouterr().out


def test_items_nobody_touched_stay_in_the_catalogue(bench):
    bench.write("interactions/log.csv", LOG + "u,a,1\n")
    made = bench.run()
    assert made.popularity().to_dict() == {"a": 1, "b": 0, "c": 0, "d": 0}


def test_an_unknown_param_is_named(bench, run_in):
    (bench.folder / "params.yaml").write_text("interactions: {pair_windw: 3}\n")
    done = run_in("interactions", bench.folder)
    assert done.returncode == 1
    assert "unknown param `interactions.pair_windw`" in done.stderr
    assert "Traceback" not in done.stderr


def test_the_packaged_data_set_loses_nothing_silently(bench):
    (bench.folder / "data/incoming/items/items.csv").unlink()
    made = bench.run()
    report = bench.report()
    assert len(made.items) + 5 == 9066
    assert report["interactions"] + 7 == 100_004
    assert len(made.rejects) == 12
    assert made.items.set_index("item_id").loc["1", "document"] == (
        "Toy Story. 1995. Adventure, Animation, Children, Comedy, Fantasy"
    )
