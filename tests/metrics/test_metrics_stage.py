import json
import shutil

import pandas as pd
import pyarrow.compute as pc
import pyarrow.parquet as pq

SEARCH = ["answers", "retriever", "item_head", "dense", "bm25", "trigrams", "popularity"]
RECOMMENDATION = [
    "answers", "retriever", "item_head",
    "item_knn", "ease", "slit", "graph", "markov", "sasrec", "popularity",
]  # fmt: skip


def test_every_method_answers_both_tasks_on_the_same_questions(project):
    folder = project.make("metrics")
    report = json.loads((folder / "report.json").read_text())
    methods = [(row["task"], row["method"]) for row in report["table"]]
    assert methods == [("search", m) for m in SEARCH] + [
        ("recommendation", m) for m in RECOMMENDATION
    ]
    for row in report["table"]:
        assert 0 <= row["recall@5"] <= row["recall@10"] <= row["recall@30"] <= 1
        assert row["low"] <= row["recall@10"] <= row["high"]
    assert report["skipped"] == []
    for task in ("search", "recommendation"):
        assert report[f"{task}.retriever.valid_ids"] == 1
        assert report[f"{task}.retriever.sid_recall@30"] > 0
    values = pd.read_parquet(folder / "per_query.parquet")
    asked = values.groupby(["task", "method"]).size()
    assert asked["search"].tolist() == [report["search.questions"]] * len(SEARCH)
    assert len(set(asked["recommendation"])) == 1
    assert values.groupby(["task", "method"])["question"].nunique().equals(asked)
    assert set(values["item"]) <= set(_item_ids(folder))
    assert {file.name for file in folder.glob("*.png")} == {
        "table.png",
        "slices.png",
        "kinds.png",
    }


def _item_ids(folder):
    return pd.read_parquet(folder.parent / "interactions" / "items.parquet")["item_id"]


def test_no_user_can_be_read_from_the_values_per_question(project):
    folder = project.make("metrics")
    users = set(pd.read_parquet(folder.parent / "interactions" / "interactions.parquet")["user_id"])
    values = pd.read_parquet(folder / "per_query.parquet")
    asked = values[values["task"] == "recommendation"]
    assert asked["question"].str.fullmatch("[0-9a-f]{64}").all()
    columns = asked.drop(columns=["item"]).select_dtypes(exclude="number")
    assert not any(set(columns[name].dropna()) & users for name in columns)


def test_what_cannot_be_measured_is_skipped_with_a_line(project, run_in, tmp_path):
    project.make("metrics")
    shutil.copy(project.folder / "params.yaml", tmp_path)
    shutil.copytree(
        project.folder / "data",
        tmp_path / "data",
        ignore=shutil.ignore_patterns("metrics", "logs", ".*"),
    )
    for table in ("interactions/interactions", "synthetic_queries/queries"):
        file = tmp_path / "data" / f"{table}.parquet"
        rows = pq.read_table(file)
        pq.write_table(rows.filter(pc.field("split") != "test"), file)
    done = run_in("metrics", tmp_path)
    assert done.returncode == 0, done.stderr
    assert "skipped search: there is no query" in done.stdout
    assert "skipped recommendation: no user" in done.stdout
    report = json.loads((tmp_path / "data" / "metrics" / "report.json").read_text())
    assert report["table"] == []
    assert len(report["skipped"]) == 2
    before = json.loads((project.folder / "data" / "metrics" / "report.json").read_text())
    assert report["named"] == before["named"]  # which reads no row of the test split
