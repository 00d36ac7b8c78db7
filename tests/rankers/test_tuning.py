"""Settings come from validation, and from nothing else."""

from __future__ import annotations

import shutil
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from hypothesis import given
from hypothesis import strategies as st

from assets.embeddings.artifact import Embeddings
from assets.evaluation import choose_by_hash
from assets.files import read_json
from assets.interactions.artifact import Interactions
from assets.interactions.catalogue import Catalogue
from assets.rankers.artifact import Rankers
from assets.rankers.fitting import settled
from assets.rankers.log import TooLargeError
from assets.rankers.params import RankersParams
from assets.rankers.tuning import exam_of, tune
from assets.ranking import Histories

TRIED = {"one": [0, 1, 2], "other": [0, 1, 2, 3]}


def pair(one, other):
    return one, other


@given(st.permutations(range(3)), st.permutations(range(4)))
def test_settings_that_do_not_hang_together_are_each_found(best_one, best_other):
    def exam(ranker):
        return best_one[ranker[0]] + best_other[ranker[1]], 0.0

    found = tune(pair, TRIED, exam)
    assert found.ranker == (best_one.index(2), best_other.index(3))
    assert found.settings == dict(zip(TRIED, found.ranker, strict=True))
    assert found.worth == (5, 0.0)


@given(st.lists(st.tuples(st.integers(0, 2), st.integers(0, 2)), min_size=12, max_size=12))
def test_no_single_change_is_better_and_every_setting_is_tried_once(worths):
    asked = []

    def exam(ranker):
        asked.append(ranker)
        return worths[ranker[0] * 4 + ranker[1]]

    found = tune(pair, TRIED, exam)
    assert len(asked) == len(set(asked))
    assert found.worth == max(exam(ranker) for ranker in asked[:])
    assert found.worth >= worths[0]


def test_where_all_is_equal_or_nothing_is_asked_the_first_values_stand():
    assert tune(pair, TRIED, lambda _: (0.5, 0.5)).ranker == (0, 0)
    assert exam_of(Histories([]), []) is None
    unasked = tune(pair, TRIED, None)
    assert (unasked.ranker, unasked.worth) == ((0, 0), None)


def test_what_was_chosen_is_all_that_is_tried_again_and_the_schedule_of_sasrec_stays():
    params = RankersParams()
    chosen = {"slit": {"decay": 0.9}, "sasrec": {"dropout": 0.2, "epochs": 5}}
    found = settled(params, chosen)
    assert (found.slit.decay, found.slit.history) == ([0.9], params.slit.history)
    assert found.sasrec == params.sasrec.model_copy(update={"dropout": [0.2]})
    assert found.graph == params.graph


def test_a_setting_that_is_too_large_is_passed_over_unless_it_is_the_first():
    def make(one, other):
        if one == 2:
            raise TooLargeError("too large")
        return one, other

    found = tune(make, TRIED, lambda ranker: (ranker[0], ranker[1]))
    assert (found.ranker, found.why) == ((1, 3), "too large")
    assert found.passed_over == sum(one == 2 for one in TRIED["one"]) * 2  # beside 0 and beside 3
    with pytest.raises(TooLargeError):
        tune(make, {"one": [2, 0], "other": [0]}, lambda _: (0.0, 0.0))


def test_what_was_chosen_is_saved_and_worth_what_the_report_says(project):
    folder = project.make("rankers")
    data = Interactions.load(folder.parent / "interactions")
    catalogue = Catalogue.of(data)
    rankers = Rankers.load(folder, catalogue, Embeddings.load(folder.parent / "embeddings"))
    params, report = RankersParams(), read_json(folder / "report.json")
    sessions = data.sessions("validation")
    kept = choose_by_hash(sessions.user_ids, params.questions, params.seed)
    exam = exam_of(
        Histories(catalogue.row_lists([sessions.histories[place] for place in kept])),
        catalogue.row_lists([sessions.targets[place] for place in kept]),
    )
    rows = {row["ranker"]: row for row in report["settings"]}
    words, item_to_item = ["bm25", "trigrams"], ["item_knn", "ease", "slit", "graph", "markov"]
    assert list(rows) == [*words, *item_to_item, "sasrec", "repurchase"]
    assert rankers.sasrec is not None
    assert rows["sasrec"]["recall@10"] == pytest.approx(exam(rankers.sasrec)[0], rel=1e-4)
    assert report["chosen_on_sessions"] == len(kept)
    for name, ranker in rankers.item_to_item.items():
        recall, ndcg = exam(ranker)
        assert rows[name]["recall@10"] == pytest.approx(recall, rel=1e-4)
        assert rows[name]["ndcg@10"] == pytest.approx(ndcg, rel=1e-4)
        assert f"history {ranker.history}, decay {ranker.decay:g}" in rows[name]["settings"]
        assert ranker.history in getattr(params, name).history
        assert ranker.decay in getattr(params, name).decay


def _copied(rankers, root):
    """Copy what the stage reads into a folder; return the file of its interactions."""
    for stage in ("interactions", "synthetic_queries", "embeddings"):
        shutil.copytree(rankers.parent / stage, root / "data" / stage)
    for file in ("params.yaml", "data/base.yaml"):
        shutil.copy(rankers.parents[1] / file, root / file)
    return root / "data" / "interactions" / "interactions.parquet"


def test_the_test_split_changes_nothing(project, run_in, tmp_path):
    """Who had what in the test split is dealt out anew, and every byte of the rankers stays."""
    folder = project.make("rankers")
    file = _copied(folder, tmp_path)
    table = pq.read_table(file)
    items = table["item_id"].to_numpy(zero_copy_only=False).copy()
    hidden = np.flatnonzero(table["split"].to_numpy(zero_copy_only=False) == "test")
    items[hidden] = np.roll(items[hidden], 1)
    column = table.schema.get_field_index("item_id")
    pq.write_table(table.set_column(column, "item_id", pa.array(items, pa.string())), file)
    done = run_in("rankers", tmp_path)
    assert done.returncode == 0, done.stderr
    assert _files(tmp_path / "data" / "rankers") == _files(folder)


def test_what_is_too_large_is_left_out_with_a_line_and_the_rest_goes_on(project, run_in, tmp_path):
    folder = project.make("rankers")
    for stage in ("interactions", "synthetic_queries", "embeddings"):
        (tmp_path / "data").mkdir(exist_ok=True)
        (tmp_path / "data" / stage).symlink_to(folder.parent / stage)
    (tmp_path / "params.yaml").write_text(
        "rankers: {ease: {most_items: 10}, item_knn: {history: [3], decay: [0.9]}, "
        "sasrec: {most_products: 1}}"
    )
    done = run_in("rankers", tmp_path)
    assert done.returncode == 0, done.stderr
    assert "ease is left out: there are 300 items and 200 users" in done.stdout
    report = read_json(tmp_path / "data" / "rankers" / "report.json")
    left = ["item_knn", "slit", "graph", "markov", "repurchase", "popularity"]
    assert report["recommendation"] == left
    assert [row["ranker"] for row in report["left_out"]] == ["ease", "sasrec"]


def test_documents_without_words_leave_who_ranks_by_words_out(project, run_in, tmp_path):
    _copied(project.make("rankers"), tmp_path)
    file = tmp_path / "data" / "interactions" / "items.parquet"
    table = pq.read_table(file)
    texts = pa.array(["!? ..."] * len(table), pa.string())
    place = table.schema.get_field_index("document")
    pq.write_table(table.set_column(place, table.schema.field(place), texts), file)
    (tmp_path / "params.yaml").write_text("rankers: {sasrec: {most_products: 1}}")
    done = run_in("rankers", tmp_path)
    assert done.returncode == 0, done.stderr
    assert "bm25 is left out: no document holds a word of two letters." in done.stdout
    report = read_json(tmp_path / "data" / "rankers" / "report.json")
    assert (report["search"], report["words"]) == (["dense", "popularity"], 0)
    assert [row["ranker"] for row in report["left_out"]] == ["bm25", "trigrams", "sasrec"]


def test_users_of_a_single_interaction_teach_no_order_and_stop_nobody(project, run_in, tmp_path):
    folder = project.make("rankers")
    file = _copied(folder, tmp_path)
    table = pq.read_table(file).to_pandas()
    train = table["split"] == "train"
    single = table[
        ~train | ~table[train]["user_id"].duplicated().reindex(table.index, fill_value=False)
    ]
    schema = pq.read_schema(file)
    pq.write_table(pa.Table.from_pandas(single, schema=schema, preserve_index=False), file)
    done = run_in("rankers", tmp_path)
    assert done.returncode == 0, done.stderr
    assert "sasrec is left out: no user has two train interactions." in done.stdout
    report = read_json(tmp_path / "data" / "rankers" / "report.json")
    assert "popularity" in report["recommendation"]
    assert "sasrec" not in report["recommendation"]


def _files(folder: Path) -> dict[str, bytes]:
    return {file.name: file.read_bytes() for file in sorted(folder.iterdir())}
