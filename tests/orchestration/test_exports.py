"""What is written for other programs, read back by those programs."""

from __future__ import annotations

import csv
import json

import pandas as pd
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq
import pytest

from assets.answers.artifact import Answers
from assets.interactions.artifact import Interactions
from assets.semantic_ids.artifact import SemanticIds, sid_text
from assets.stage import UserError
from assets.synthetic_queries.artifact import SyntheticQueries
from orchestration.commands.exports import export_ids, export_recommendations, export_training
from orchestration.commands.main import main
from orchestration.releases.answering import current_release


@pytest.fixture
def release(put_release, tmp_path):
    put_release(tmp_path)
    return current_release(tmp_path)


def test_ids_are_the_same_in_parquet_and_csv_and_fit_the_release(release, tmp_path):
    parquet, text = export_ids(release, tmp_path / "out")
    table = pd.read_parquet(parquet)
    ids = SemanticIds.load(release.folder / "semantic_ids")
    assert table["item_id"].tolist() == ids.item_ids.tolist()
    assert table[["code_a", "code_b", "code_c"]].to_numpy().tolist() == ids.codes.tolist()
    assert table["sid"].tolist() == [sid_text(codes) for codes in ids.codes]
    raw = [sid_text(codes) for codes in ids.raw_codes]
    assert table["raw_sid"].tolist() == raw
    moved = table["moved_level"].fillna(0).astype(int)
    assert (moved - 1).tolist() == ids.moved_level.tolist()
    again = pd.read_csv(text, dtype={"item_id": str}, keep_default_na=False, na_values=[""])
    pd.testing.assert_frame_equal(again, table, check_dtype=False)


@pytest.mark.parametrize(
    ("title", "cell"),
    [
        ('=HYPERLINK("http://x")', '\'=HYPERLINK("http://x")'),
        ("@SUM(1)", "'@SUM(1)"),
        ("-2+3", "'-2+3"),
        ("\tx", "'\tx"),
        ("-5", "-5"),
        ("+1.5", "+1.5"),
        ('He said "no", twice\nand left', 'He said "no", twice\nand left'),
        ("مرحبا 🎬, ok", "مرحبا 🎬, ok"),
    ],
)
def test_a_csv_quotes_texts_and_starts_no_formula(release, tmp_path, title, cell):
    file = release.folder / "interactions" / "items.parquet"
    items = pq.read_table(file)
    titles = pa.array([title, *items.column("title").to_pylist()[1:]])
    place = items.column_names.index("title")
    pq.write_table(items.set_column(place, "title", titles), file)
    parquet, text = export_ids(release, tmp_path / "out")
    with text.open(newline="", encoding="utf-8") as stream:
        rows = list(csv.DictReader(stream))
    assert rows[0]["title"] == cell
    assert len(rows) == len(items)
    assert pq.read_table(parquet).column("title")[0].as_py() == title


def test_every_user_gets_what_is_recommended_to_one_alone(release, tmp_path):
    (file,) = export_recommendations(release, tmp_path / "out", k=3)
    table = pq.read_table(file)
    histories = Interactions.load(release.folder / "interactions").histories()
    users = list(histories.index)
    assert pc.unique(table.column("user_id")).to_pylist() == users
    assert table.column("rank").to_pylist() == [1, 2, 3] * len(users)
    answers = Answers.load(release.folder, device="cpu")
    rows = table.to_pylist()
    for place in (0, len(users) // 2, len(users) - 1):
        alone = answers.recommend(histories[users[place]], 3)
        mine = rows[3 * place : 3 * place + 3]
        scores = pytest.approx([one.score for one in alone], abs=1e-4)
        assert [row["score"] for row in mine] == scores
        assert not {row["item_id"] for row in mine} & set(histories[users[place]])
        assert all(row["sid"] and row["title"] for row in mine)


def test_where_no_histories_are_kept_there_is_nobody_to_recommend_to(release, tmp_path):
    (release.folder / "answers" / "histories.parquet").unlink()
    with pytest.raises(UserError, match="keeps no histories of users"):
        export_recommendations(release, tmp_path / "out", k=3)
    assert not (tmp_path / "out").exists()


def test_training_pairs_load_as_a_data_set_and_hold_no_test_query(release, tmp_path):
    from datasets import load_dataset

    export_training(release, tmp_path / "out")
    folder, cache = str(tmp_path / "out" / "training"), str(tmp_path / "cache")
    queries = load_dataset(folder, "queries", cache_dir=cache)
    assert {split: part.column_names for split, part in queries.items()} == {
        "train": ["anchor", "positive"],
        "validation": ["anchor", "positive"],
    }
    table = SyntheticQueries.load(release.folder / "synthetic_queries").table
    items = Interactions.load(release.folder / "interactions").items
    documents = items.set_index("item_id")["document"]
    for split, part in queries.items():
        rows = table[table["split"] == split]
        asked = list(zip(rows["query"], documents[rows["item_id"]], strict=True))
        assert list(zip(part["anchor"], part["positive"], strict=True)) == asked
    tested = set(table[table["split"] == "test"]["query"])
    assert tested
    assert not tested & {*queries["train"]["anchor"], *queries["validation"]["anchor"]}
    pairs = load_dataset(folder, "pairs", split="train", cache_dir=cache)
    assert len(pairs) == len(Interactions.load(release.folder / "interactions").pairs("train"))
    assert set(pairs["positive"]) <= set(documents)


def test_what_failed_leaves_the_last_export_and_no_half_file(release, tmp_path):
    export_ids(release, tmp_path / "out")
    before = {file.name: file.read_bytes() for file in (tmp_path / "out").iterdir()}
    (release.folder / "answers" / "manifest.json").unlink()
    with pytest.raises(UserError, match="holds no answers"):
        export_recommendations(release, tmp_path / "out", k=3)
    (release.folder / "semantic_ids" / "semantic_ids.parquet").write_bytes(b"PAR1")
    with pytest.raises(pa.ArrowInvalid):
        export_ids(release, tmp_path / "out")
    assert {file.name: file.read_bytes() for file in (tmp_path / "out").iterdir()} == before


def test_the_command_says_what_it_wrote_and_refuses_with_a_sentence(release, monkeypatch, capsys):
    root = release.folder.parents[2]
    for name in ("params.yaml", "dvc.yaml"):
        (root / name).touch()
    monkeypatch.chdir(root)
    with pytest.raises(SystemExit) as end:
        main(["export", "--json"])
    assert not end.value.code
    told = json.loads(capsys.readouterr().out)
    home = root / "data" / "exports" / release.name
    assert told["files"] == [str(home / f"semantic_ids.{kind}") for kind in ("parquet", "csv")]
    (root / "taken").write_text("")
    with pytest.raises(SystemExit) as end:
        main(["export", "ids", "--to", str(root / "taken")])
    assert end.value.code == 1
    assert f"error: {root / 'taken'}: File exists: choose another" in capsys.readouterr().err
    with pytest.raises(SystemExit) as end:
        main(["export", "everything"])
    assert end.value.code == 2
