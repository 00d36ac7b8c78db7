"""The stage on about 300 real items: what it hands over, refuses and never looks at."""

from __future__ import annotations

import shutil
from dataclasses import replace
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import torch
import yaml

from assets.bi_encoder.artifact import BiEncoder
from assets.embeddings.artifact import Embeddings
from assets.files import read_json, write_json
from assets.interactions.artifact import Interactions
from assets.interactions.catalogue import Catalogue
from assets.quality_gate.artifact import Outcome, Verdict
from assets.ranking import Histories, Queries, Ranked
from assets.retriever.__main__ import main
from assets.retriever.artifact import Beams, Generator
from assets.retriever.params import RetrieverParams
from assets.semantic_ids.artifact import SemanticIds
from assets.semantic_ids.buckets import Buckets
from assets.stage import UserError, run_stage

UPSTREAM = (
    "interactions", "synthetic_queries", "bi_encoder", "embeddings", "codebooks", "semantic_ids",
    "quality_gate",
)  # fmt: skip


@pytest.fixture(scope="module")
def data(project) -> Path:
    project.make("retriever")
    return project.folder / "data"


def _load(data: Path) -> Generator:
    ids = SemanticIds.load(data / "semantic_ids")
    text = Embeddings.load(data / "embeddings").text
    popularity = Catalogue.of(Interactions.load(data / "interactions")).popularity
    return Generator.load(data / "retriever", ids, text, popularity, "cpu")


def _write(generator: Generator, asked: Queries | Histories, beams: int) -> Beams:
    return generator.write(asked, generator.states(asked), beams=beams, guide_weight=20.0)


@pytest.fixture(scope="module")
def generator(data) -> Generator:
    return _load(data)


@pytest.fixture(scope="module")
def queries(data) -> Queries:
    texts = ["old western", "animated children film", "space robots"]
    return Queries(texts, BiEncoder.load(data / "bi_encoder").encode(texts))


@pytest.fixture
def copied(data, tmp_path, monkeypatch) -> Path:
    """A folder of one's own with all that the stage reads, and the current one."""
    for stage in UPSTREAM:
        shutil.copytree(data / stage, tmp_path / "data" / stage)
    shutil.copytree(data / "cache", tmp_path / "data" / "cache")
    shutil.copy(data.parent / "params.yaml", tmp_path)
    monkeypatch.chdir(tmp_path)
    return tmp_path


def _run() -> None:
    run_stage("retriever", RetrieverParams, main)


def _tensors(folder: Path) -> dict[str, bytes]:
    return {file.name: file.read_bytes() for file in folder.rglob("*.safetensors")}


def _shorten(folder: Path) -> None:
    """Train so shortly that two runs cost little."""
    params = yaml.safe_load((folder / "params.yaml").read_text())
    params["retriever"] |= {"epochs": 2, "check_every": 2}
    (folder / "params.yaml").write_text(yaml.safe_dump(params, sort_keys=False))


def test_more_items_than_beams_come_out_only_where_sids_are_shared(generator, queries):
    found = generator.items(_write(generator, queries, 25))
    assert found.rows.shape == (3, 25)
    assert all(len(set(row)) == 25 for row in found.rows.tolist())
    assert (np.diff(found.scores, axis=1) <= 0).all()


def test_a_recommendation_never_holds_what_is_in_the_history(generator):
    everything = np.arange(len(generator.ids.item_ids))
    history = everything[::2]
    asked = Histories([history, history[:0]])
    written = generator.items(_write(generator, asked, len(everything)))
    ranked = generator.rank(asked, generator.states(asked), len(everything))
    for found in (written, ranked):
        assert sorted(found.rows[0][found.rows[0] >= 0]) == everything[1::2].tolist()
        assert sorted(found.rows[1]) == everything.tolist()


def test_the_item_head_ranks_by_the_product_of_state_and_what_stands_for_an_item(
    generator, queries
):
    states = generator.states(queries)
    with torch.inference_mode():
        scores = (states @ generator.model.item_vectors().T).numpy()
    ranked = generator.rank(queries, states, 10)
    expected = -np.sort(-scores, axis=1)[:, :10]
    np.testing.assert_allclose(ranked.scores, expected, rtol=1e-4, atol=1e-5)
    np.testing.assert_allclose(
        np.take_along_axis(scores, ranked.rows, axis=1), expected, rtol=1e-4, atol=1e-5
    )


def test_a_beam_that_is_guided_by_a_list_finds_what_the_list_holds(generator, queries):
    wanted = np.arange(30).reshape(3, 10)
    guide = Ranked(wanted, np.tile(np.linspace(2, 1, 10, dtype=np.float32), (3, 1)))
    beams = generator.write(
        queries, generator.states(queries), beams=10, guide=guide, guide_weight=1000.0
    )
    # what the list ends with is worth as much as what it does not hold
    assert np.array_equal(generator.items(beams, 9).rows, wanted[:, :9])


def test_only_the_last_items_of_a_history_are_read(generator):
    longest = generator.model.shape.history
    history = np.arange(longest + 5)
    asked = Histories([history, history[-longest:], history[-longest:-1]])
    states = generator.states(asked).numpy()
    np.testing.assert_allclose(states[0], states[1], atol=1e-5)
    assert np.abs(states[1] - states[2]).max() > 1e-3


def test_a_shared_sid_shows_its_other_items(generator):
    """Items of a bucket that are not in the history come out; the one that is does not."""
    shared = generator.buckets.items[:3]
    codes = generator.ids.codes.copy()
    codes[shared] = codes[shared[0]]
    changed = replace(
        generator,
        ids=replace(generator.ids, codes=codes),
        buckets=Buckets.of(codes, np.zeros(len(codes), int)),
    )
    found = changed.items(_write(changed, Histories([shared[1:2]]), len(codes))).rows[0]
    assert sorted(found[found >= 0]) == sorted(set(range(len(codes))) - {int(shared[1])})


def test_batches_and_single_questions_agree(generator, queries):
    beams = _write(generator, queries, 20)
    for row in range(len(queries)):
        alone = _write(generator, queries[row : row + 1], 20)
        assert alone.scores == pytest.approx(beams.scores[row : row + 1], abs=1e-4)


def test_what_comes_out_is_written_as_text_of_released_ids(data, generator, queries):
    """The codes that the model wrote, spelt out, stand in the table as it lies on disk."""
    table = SemanticIds.table(data / "semantic_ids")
    items_of = table.groupby("sid")["item_id"].agg(set)
    beams = _write(generator, queries, 20)
    for texts, leaves in zip(beams.texts(), beams.leaves, strict=True):
        assert len(texts) == 20
        for text, leaf in zip(texts, leaves, strict=True):
            start, end = generator.buckets.starts[leaf : leaf + 2]
            shown = generator.ids.item_ids[generator.buckets.items[start:end]]
            assert set(shown) == items_of[text]


def test_the_report_says_how_validation_went(data):
    report = read_json(data / "retriever" / "report.json")
    for task in ("search", "recommendation"):
        assert 0 <= report[f"{task}_recall@10"] <= report[f"{task}_recall@30"] <= 1
    curve = pd.read_csv(data / "retriever" / "training.csv")
    for loss in ("search_sid", "search_item", "recommendation_sid", "recommendation_item"):
        values = curve[f"{loss}_loss"]
        assert values.tail(5).mean() < values.head(5).mean()
    assert (data / "retriever" / "training.png").stat().st_size > 1000


def test_ids_that_the_gate_did_not_pass_are_refused(copied, capsys):
    ids = SemanticIds.load(copied / "data" / "semantic_ids")
    bad = Outcome("gini_of_different", "even use of codes", 0.9, None, 0.5, "critical", True, False)
    gate = copied / "data" / "quality_gate"
    cases = [
        (Verdict(ids.version, [bad]), "gini_of_different is 0.9, expected at most 0.5"),
        (Verdict("0" * 64, []), "judged SID version 000000000000"),
        (None, "verdict.json is missing"),
    ]
    for verdict, message in cases:
        if verdict is None:
            (gate / "verdict.json").unlink()
        else:
            verdict.save(gate)
        with pytest.raises(SystemExit):
            _run()
        assert message in capsys.readouterr().err
        assert not (copied / "data" / "retriever").exists()


def test_ids_other_than_those_trained_on_are_refused(copied, data):
    shutil.copytree(data / "retriever", copied / "data" / "retriever")
    ids = SemanticIds.load(copied / "data" / "semantic_ids")
    moved = SemanticIds(**{**vars(ids), "codes": ids.codes[::-1].copy()})
    moved.save(copied / "data" / "semantic_ids")
    with pytest.raises(UserError, match="was trained on SID version"):
        _load(copied / "data")


def test_a_retriever_of_another_version_is_refused_with_what_to_do(copied, data):
    folder = shutil.copytree(data / "retriever", copied / "data" / "retriever")
    manifest = read_json(folder / "manifest.json")
    del manifest["shape"]
    write_json(folder / "manifest.json", manifest)
    with pytest.raises(UserError, match=r"another version of Sidmill .* lacks `shape`"):
        _load(copied / "data")


def test_two_trainings_end_alike_and_never_look_at_test(copied):
    _shorten(copied)
    _run()
    first = _tensors(copied / "data" / "retriever")
    report = (copied / "data" / "retriever" / "report.json").read_bytes()

    interactions = copied / "data" / "interactions" / "interactions.parquet"
    table = pd.read_parquet(interactions)
    is_test = table["split"] == "test"
    table.loc[is_test, "item_id"] = table.loc[is_test, "item_id"].iloc[0]
    table.to_parquet(interactions, index=False)
    queries = copied / "data" / "synthetic_queries" / "queries.parquet"
    table = pd.read_parquet(queries)
    table = table[table["split"] != "test"]
    table.to_parquet(queries, index=False)

    _run()
    assert _tensors(copied / "data" / "retriever") == first
    assert (copied / "data" / "retriever" / "report.json").read_bytes() == report


@pytest.mark.parametrize("gone", ["interactions", "queries"])
def test_one_task_is_learnt_where_there_is_data_for_one(copied, capsys, gone):
    _shorten(copied)
    file = (
        copied
        / "data"
        / (
            "interactions/interactions.parquet"
            if gone == "interactions"
            else "synthetic_queries/queries.parquet"
        )
    )
    pd.read_parquet(file).iloc[:0].to_parquet(file, index=False)
    _run()
    said = capsys.readouterr().out
    generator = _load(copied / "data")
    query = Queries(["x"], np.eye(1, 384, dtype=np.float32))
    history = Histories([np.empty(0, np.int64)])
    if gone == "interactions":
        assert "does not learn recommendation: there were no train interactions" in said
        assert _write(generator, query, 3).leaves.shape == (1, 3)
        with pytest.raises(UserError, match="knows no recommendation"):
            generator.states(history)
    else:
        assert "does not learn search" in said
        assert _write(generator, history, 3).leaves.shape == (1, 3)
        with pytest.raises(UserError, match="knows no search"):
            generator.states(query)
