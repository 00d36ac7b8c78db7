"""Twenty kinds of bad or odd input, in every kind of file in which they can occur.

The last of them, files that cannot be read, are in test_unreadable_files.py.

Each ends in one of three ways. *Refused*: the run stops with a sentence that names the file, the
place and the fix. *Rejected*: the row lies among the rejects with its reason, the others go on.
*Harmless*: it is odd and nothing else, and comes out of the asset as it went in.
"""

from __future__ import annotations

import io
import json

import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from interactions.files import FORMS, encoded

from assets.stage import UserError

LOG = {"user_id": "u", "item_id": "a", "timestamp": 1}


@pytest.fixture
def add(bench):
    """``add(table, rows, form)``: drop a file with these rows."""
    return lambda table, rows, form: bench.write(f"{table}/x.{form}", encoded(rows, form))


def rejected(made):
    """(row, reason without its fix) of every reject; each reason has a fix."""
    return sorted((row.row, row.reason.partition(":")[0]) for row in made.rejects.itertuples())


def first_row(form):
    """The number of the first row: a CSV's header is line 1."""
    return 2 if form == "csv" else 1


# --- 1 to 8: the first contract, in all kinds of files (more of it in test_input_contract.py) -----


@pytest.mark.parametrize("form", FORMS)
@pytest.mark.parametrize(
    ("table", "row", "missing"),
    [
        ("items", {"title": "Alien"}, "`item_id`"),
        ("items", {"item_id": "x", "brand": "y"}, "`title` or `text`"),
        ("interactions", {"user_id": "u", "item_id": "a"}, "`timestamp`"),
        ("queries", {"item_id": "a"}, "`query`"),
    ],
)
def test_1_a_missing_column_is_refused(add, says, form, table, row, missing):
    add(table, [row], form)
    says(f"x.{form}", missing, "it has", "interactions.columns")


@pytest.mark.parametrize("form", FORMS)
def test_2_an_item_twice_with_other_content_is_rejected(add, bench, form):
    rows = [{"item_id": "x", "title": "One"}, {"item_id": "y", "title": "Two"},
            {"item_id": "x", "title": "Three"}]  # fmt: skip
    add("items", rows, form)
    made = bench.run()
    first = first_row(form)
    why = "item_id stands more than once in this file with different content"
    assert rejected(made) == [(first, why), (first + 2, why)]
    assert made.items["item_id"].tolist() == ["a", "b", "c", "d", "y"]


@pytest.mark.parametrize("form", FORMS)
@pytest.mark.parametrize("table", ["interactions", "queries"])
def test_3_an_unknown_item_is_rejected(add, bench, form, table):
    rows = [{**LOG, "query": "q"}, {**LOG, "query": "q", "item_id": "zz"}]
    add(table, rows, form)
    assert rejected(bench.run()) == [(first_row(form) + 1, "item_id is not among the items")]


@pytest.mark.parametrize("form", FORMS)
@pytest.mark.parametrize(
    ("timestamp", "why"),
    [
        (float("nan"), "timestamp is"),
        (-1.0, "timestamp is negative (before 1970)"),
        (4_133_980_800.0, "timestamp is past the year 2100"),
    ],
)
def test_4_a_timestamp_that_cannot_be_is_rejected(add, bench, form, timestamp, why):
    add("interactions", [{**LOG, "timestamp": 1.0}, {**LOG, "timestamp": timestamp}], form)
    ((row, reason),) = rejected(bench.run())
    assert row == first_row(form) + 1
    assert reason.startswith(why)


@pytest.mark.parametrize("form", FORMS)
@pytest.mark.parametrize("table", ["items", "interactions", "queries"])
def test_5_an_empty_file_is_refused(bench, says, form, table):
    bench.write(f"{table}/x.{form}", b"")
    says(f"{table}/x.{form} is empty", "take it out")


@pytest.mark.parametrize("form", ["csv", "jsonl"])
def test_6_latin_1_is_refused_by_line(bench, says, form):
    rows = [{"item_id": "x", "title": "ok"}, {"item_id": "y", "title": "Amélie"}]
    text = encoded(rows, form).decode()
    bench.write(f"items/x.{form}", text.encode("latin-1"))
    says(f"x.{form}, line {first_row(form) + 1}", "UTF-8", "iconv -f latin1")


def test_6_latin_1_in_parquet_is_refused(bench, says):
    names = pa.array([b"ok", "Amélie".encode("latin-1")], pa.binary())
    buffer = io.BytesIO()
    pq.write_table(pa.table({"item_id": ["x", "y"], "title": names}), buffer)
    bench.write("items/x.parquet", buffer.getvalue())
    says("x.parquet", "not UTF-8", "write it again")


@pytest.mark.parametrize("kept", [4, 0.5, -1])
def test_7_a_half_written_parquet_is_refused(bench, says, kept):
    whole = encoded([{"item_id": str(n), "title": "t"} for n in range(1000)], "parquet")
    end = int(kept * len(whole)) if isinstance(kept, float) else kept
    bench.write("items/x.parquet", whole[:end])
    says("x.parquet is no readable Parquet file", "half-written", "write it again")


def test_7_half_a_line_of_json_is_rejected(bench):
    whole = encoded([{"item_id": "x", "title": "t"}, {"item_id": "y", "title": "t"}], "jsonl")
    bench.write("items/x.jsonl", whole[:-9])
    assert rejected(bench.run()) == [(2, "this line is no valid JSON")]


@pytest.mark.parametrize(
    ("section", "words"),
    [
        ("interactions: {pair_windw: 3}", "unknown param `interactions.pair_windw`"),
        ("interactionz: {}", "unknown section `interactionz`"),
        ("interactions: {pair_window: many}", "`interactions.pair_window`"),
        ("interactions: {split: by_week}", "`interactions.split`"),
    ],
)
def test_8_an_unknown_param_is_refused(bench, run_in, section, words):
    (bench.folder / "params.yaml").write_text(section)
    done = run_in("interactions", bench.folder)
    assert done.returncode == 1
    assert words in done.stderr
    assert "Traceback" not in done.stderr


# --- 9: mixed types in a column ------------------------------------------------------------------


def test_9_numbers_and_texts_are_one_id_in_json(bench):
    ids = [7, 8.0, "9", True]
    bench.write("items/x.jsonl", encoded([{"item_id": i, "title": "t"} for i in ids], "jsonl"))
    log = [{**LOG, "item_id": i} for i in ("7", 8, 9.0, "true")]
    bench.write("interactions/x.jsonl", encoded(log, "jsonl"))
    made = bench.run()
    assert rejected(made) == []
    assert set(made.interactions("train", "validation", "test")["item_id"]) == {
        "7",
        "8",
        "9",
        "true",
    }


@pytest.mark.parametrize("form", ["jsonl", "parquet"])
@pytest.mark.parametrize("nested", [["x", "y"], {"id": "x"}])
def test_9_an_id_that_is_a_list_or_an_object_is_rejected(add, bench, form, nested):
    good = {"item_id": None, "title": "t"}
    add("items", [{"item_id": nested, "title": "t"}, good], form)
    bench.write("items/y.csv", "item_id,title\nz,Zardoz\n")
    with pytest.raises(UserError, match=r"row 1: item_id is a list or an object: write one"):
        bench.run()


@pytest.mark.parametrize("form", ["csv", "jsonl"])
def test_9_words_among_numbers_are_rejected(add, bench, form):
    rows = [
        {**LOG, "weight": 1.5}, {**LOG, "weight": "high"}, {**LOG, "weight": "2"},
        {**LOG, "timestamp": "soon", "weight": 1}, {**LOG, "timestamp": "2024-05-01", "weight": 1},
    ]  # fmt: skip
    add("interactions", rows, form)
    made = bench.run()
    first = first_row(form)
    assert rejected(made) == [
        (first + 1, "weight is no finite number"),
        (first + 3, "timestamp is neither a number nor an ISO 8601 date"),
    ]


# --- 10 to 15: files that went wrong on their way ------------------------------------------------


@pytest.mark.parametrize("form", ["csv", "jsonl"])
@pytest.mark.parametrize("quote", ["", '"'])
def test_10_a_byte_order_mark_is_harmless(bench, form, quote):
    content = encoded([{"item_id": "x", "title": f"{quote}Xanadu{quote}"}], form)
    bench.write(f"items/x.{form}", b"\xef\xbb\xbf" + content)
    made = bench.run()
    assert rejected(made) == []
    assert made.items.set_index("item_id").loc["x", "title"] == f"{quote}Xanadu{quote}"


@pytest.mark.parametrize("mark", [";", "\t", "|"])
def test_11_another_delimiter_is_refused(bench, says, mark):
    bench.write("items/x.csv", f"item_id{mark}title\nx{mark}Xanadu, the film\n")
    says("x.csv", repr(mark), "write commas")


def test_11_another_delimiter_below_a_good_header_is_rejected(bench):
    bench.write("items/x.csv", "item_id,title\nx,Xanadu\ny;Yentl\n")
    assert rejected(bench.run()) == [(3, "it has 1 fields where the header has 2")]


def test_12_unbalanced_quotes_are_rejected_and_never_taken_for_data(bench):
    bench.write("items/x.csv", 'item_id,title\nx,"Xanadu\ny,"Yentl"\nz,Zardoz\n')
    made = bench.run()
    ((row, why),) = rejected(made)
    assert row == 2
    assert why.startswith("its quotes do not pair up, up to line 3")
    assert made.items["item_id"].tolist() == ["a", "b", "c", "d", "z"]


def test_12_a_quote_that_never_closes_is_rejected_with_how_far_it_reaches(bench):
    bench.write("items/x.csv", 'item_id,title\nw,Willow\nx,"Xanadu\ny,Yentl\n')
    made = bench.run()
    ((row, why),) = rejected(made)
    assert row == 3
    assert "up to line 4" in why
    assert made.items["item_id"].tolist() == ["a", "b", "c", "d", "w"]


def test_12_a_header_with_unbalanced_quotes_is_refused(bench, says):
    bench.write("items/x.csv", 'item_id,"title\nx,Xanadu\n')
    says("x.csv, line 1", "quotes of the header", "mend it")


@pytest.mark.parametrize("form", FORMS)
@pytest.mark.parametrize("size", [1_000_001, 20_000_000])
def test_13_a_gigantic_cell_is_rejected_and_its_neighbours_stay(add, bench, form, size):
    rows = [{"item_id": "x", "title": "y" * size}, {"item_id": "z", "title": "Zardoz"}]
    add("items", rows, form)
    made = bench.run()
    ((row, why),) = rejected(made)
    assert row == first_row(form)
    assert why.startswith("a cell holds more than 1,000,000 bytes")
    assert made.items["item_id"].tolist() == ["a", "b", "c", "d", "z"]
    assert made.rejects["content"].str.len().max() < 1000


@pytest.mark.parametrize("form", FORMS)
def test_13_a_long_text_is_harmless(add, bench, form):
    text = " ".join(["word"] * 150_000)
    add("items", [{"item_id": "x", "title": text}], form)
    assert bench.run().items["title"].tolist()[-1] == text


@pytest.mark.parametrize("form", FORMS)
def test_14_a_negative_weight_is_rejected(add, bench, form):
    add("interactions", [{**LOG, "weight": 0.0}, {**LOG, "weight": -0.5}], form)
    assert rejected(bench.run()) == [(first_row(form) + 1, "weight is negative")]


def test_15_a_column_name_twice_is_refused_in_csv(bench, says):
    bench.write("items/x.csv", "item_id,title,title\nx,Xanadu,Yentl\n")
    says("x.csv", "`title` twice", "mend the header")


def test_15_a_column_name_twice_is_refused_in_parquet(bench, says):
    buffer = io.BytesIO()
    pq.write_table(
        pa.Table.from_arrays([pa.array(["x"])] * 3, ["item_id", "title", "title"]), buffer
    )
    bench.write("items/x.parquet", buffer.getvalue())
    says("x.parquet", "`title` twice", "take one out")


def test_15_a_key_twice_in_an_object_is_rejected(bench):
    line = '{"item_id": "x", "title": "Xanadu", "title": "Yentl"}\n{"item_id": "z", "text": "Z"}\n'
    bench.write("items/x.jsonl", line)
    assert rejected(bench.run()) == [(1, "a key stands twice in this object")]


# --- 16 to 18: odd and harmless ------------------------------------------------------------------

ODD_TITLES = [
    "🚀 Apollo 13 👩‍🚀",  # 16: emoji, one of them joined
    "שלום עולם", "لورنس العرب",  # 16: right to left
    "e\u0301te\u0301 and été", "\u202eevil\u202c",  # 16: combining marks, direction marks
    "<script>alert('x')</script>", "<b>Bold</b> &amp; co", "{{ 7 * 7 }} {title} %s ${x}",  # 17
    "[bold]Rich[/bold] **md** `code`", "C:\\new\\table", "a\u2028b", "=1+1", "NULL", "nan",  # 17
    "1; DROP TABLE items; --", "x' OR '1'='1", '"); DELETE FROM items; --', "$1 ? :a @b",  # 18
]  # fmt: skip


@pytest.mark.parametrize("form", FORMS)
def test_16_17_emoji_right_to_left_and_markup_pass_through_unharmed(add, bench, form):
    rows = [{"item_id": f"x{n:02}", "title": title} for n, title in enumerate(ODD_TITLES)]
    add("items", rows, form)
    made = bench.run(document_template="{title}")
    assert rejected(made) == []
    new = made.items[made.items["item_id"].str.startswith("x")]
    assert new["title"].tolist() == ODD_TITLES
    assert new["document"].tolist() == ODD_TITLES


@pytest.mark.parametrize("form", FORMS)
def test_18_sql_and_markup_in_ids_and_queries_pass_through_unharmed(add, bench, form):
    add("items", [{"item_id": odd, "title": "t"} for odd in ODD_TITLES], form)
    log = [{"user_id": who, "item_id": odd, "timestamp": n}
           for who in ODD_TITLES for n, odd in enumerate(ODD_TITLES)]  # fmt: skip
    add("interactions", log, form)
    add("queries", [{"query": f"{odd} query", "item_id": odd} for odd in ODD_TITLES], form)
    made = bench.run()
    assert rejected(made) == []
    assert set(made.items["item_id"]) == {*ODD_TITLES, *"abcd"}
    everything = made.interactions("train", "validation", "test")
    assert set(everything["item_id"]) == set(everything["user_id"]) == set(ODD_TITLES)
    assert set(made.queries("train", "validation", "test")["item_id"]) == set(ODD_TITLES)
    taken = everything.sort_values("timestamp").groupby("user_id")["item_id"].agg(list)
    assert all(taken[who] == ODD_TITLES for who in ODD_TITLES)


@pytest.mark.parametrize("form", FORMS)
def test_18_sql_in_column_and_file_names_is_harmless(bench, form):
    row = {"item_id": "x", "title": "t", "\"); DROP TABLE items; --'": "v", "{braces}": "w"}
    bench.write(f"items/it's; DROP *[1]?.{form}", encoded([row], form))
    made = bench.run()
    assert json.loads(made.items["attributes"].tolist()[-1]) == {
        name: text for name, text in row.items() if name not in {"item_id", "title"}
    }


# --- both readers of CSV -------------------------------------------------------------------------


@pytest.mark.parametrize(
    "body",
    ["x,Xanadu\ny,Yentl\n", "x,Xanadu", "x,Xanadu\n\ny,Yentl\n", "x,Xanadu,\ny,Yentl\n", "x\ny,Y\n",
     "x,\n,Yentl\n", " x , Xanadu \n", "x,Xanadu\r\ny,Yentl\r\n", "x,a\0b\n", "x,'q\ny,#c\n", "",
     "x,N\\A\ny,null\n", "x,Y,\ny\n", "\n\nx,Y\n"],
)  # fmt: skip
def test_a_csv_reads_the_same_with_and_without_quotes_in_it(bench, body):
    """A quote anywhere makes the row by row reader take over from DuckDB's."""
    made = []
    for last in ("zz,Z\n", '"zz","Z"\n'):
        ends = "" if not body or body.endswith("\n") else "\n"
        bench.write("items/x.csv", f"item_id,title\n{body}{ends}{last}")
        table = bench.run()
        made.append((table.items.to_dict("list"), table.rejects.to_dict("list")))
    pd.testing.assert_frame_equal(*[pd.DataFrame(items) for items, _ in made])
    assert made[0][1] == made[1][1]
