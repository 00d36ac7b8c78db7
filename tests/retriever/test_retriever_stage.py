"""The stage on about 300 real items: what it hands over, refuses and never looks at."""

from __future__ import annotations

import shutil
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import torch
import yaml
from transformers import AutoModelForCausalLM

from assets.files import read_json, write_json
from assets.quality_gate.artifact import Outcome, Verdict
from assets.retriever.__main__ import main
from assets.retriever.artifact import Retriever
from assets.retriever.params import RetrieverParams
from assets.semantic_ids.artifact import SemanticIds, sid_text
from assets.stage import UserError, run_stage

UPSTREAM = (
    "interactions", "synthetic_queries", "bi_encoder", "embeddings", "codebooks", "semantic_ids",
    "quality_gate",
)  # fmt: skip


@pytest.fixture(scope="module")
def data(project) -> Path:
    project.make("retriever")
    return project.folder / "data"


@pytest.fixture(scope="module")
def retriever(data) -> Retriever:
    return Retriever.load(data, device="cpu")


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
    params["retriever"] |= {"steps": 6, "check_every": 6}
    (folder / "params.yaml").write_text(yaml.safe_dump(params, sort_keys=False))


def test_a_search_answers_with_items_of_the_catalogue_and_their_sids(data, retriever):
    ids = SemanticIds.load(data / "semantic_ids")
    sid_of = dict(zip(ids.item_ids, map(sid_text, ids.codes), strict=True))
    for rerank in (False, True):
        found = retriever.search("Space  opera with ROBOTS", k=10, rerank=rerank)
        assert len({result.item_id for result in found}) == 10
        assert all(sid_of[result.item_id] == result.sid and result.title for result in found)
        scores = [result.score for result in found]
        assert scores == sorted(scores, reverse=True)


def test_more_answers_than_beams_may_be_asked_for(retriever):
    assert len(retriever.search("comedy", k=retriever.beams + 30)) == retriever.beams + 30


def test_a_recommendation_never_holds_what_is_in_the_history(retriever):
    history = [str(item) for item in retriever.item_ids[::2]]
    everything = retriever.recommend(history, k=len(retriever.item_ids))
    found = [result.item_id for result in everything]
    assert sorted(found) == sorted(set(retriever.item_ids) - set(history))
    assert len(retriever.recommend([], k=5)) == 5


def test_a_shared_sid_shows_its_other_items(data, tmp_path):
    """Items of a bucket that are not in the history come out; the one that is does not."""
    retriever = Retriever.load(data, device="cpu")
    shared = retriever.buckets.items[:3].tolist()
    codes = retriever.ids.codes.copy()
    codes[shared] = codes[shared[0]]
    ids = SemanticIds(**{**vars(retriever.ids), "codes": codes})
    buckets = type(retriever.buckets).of(codes, np.zeros(len(codes), int))
    changed = Retriever(**{**_fields(retriever), "ids": ids, "buckets": buckets})
    known = str(retriever.item_ids[shared[1]])
    found = [result.item_id for result in changed.recommend([known], k=len(codes))]
    assert known not in found
    assert {str(retriever.item_ids[shared[row]]) for row in (0, 2)} <= set(found)
    assert len(found) == len(codes) - 1


def _fields(retriever: Retriever) -> dict[str, object]:
    return {name: getattr(retriever, name) for name in Retriever.__dataclass_fields__}


def test_batches_and_single_questions_agree(retriever):
    queries = ["old western", "animated children film", "space robots"]
    beams = retriever.search_beams(queries)
    ranked = retriever.rank(beams, 10)
    reranked = retriever.rerank(queries, beams, 10)
    for row, query in enumerate(queries):
        for rows, again in ((ranked[row], False), (reranked[row], True)):
            single = [result.item_id for result in retriever.search(query, rerank=again)]
            assert retriever.item_ids[rows].tolist() == single


def test_many_questions_at_once_are_answered_as_one_by_one(data, retriever):
    queries = ["old western", "animated children film", "space robots", "old western"]
    items = retriever.item_ids.tolist()
    histories = [items[:3], [], items[5:40], items[:-2]]
    for rerank in (False, True):
        _same(
            retriever.search_many(queries, 70, rerank),
            [retriever.search(query, 70, rerank) for query in queries],
        )
    _same(
        retriever.recommend_many(histories, 7),
        [retriever.recommend(history, 7) for history in histories],
    )


def _same(many, single) -> None:
    """Equal but for rounding: neighbours whose scores differ by less may change places."""
    for row, alone in zip(many, single, strict=True):
        scores = {result.item_id: result.score for result in alone}
        assert [result.score for result in row] == pytest.approx(
            [result.score for result in alone], abs=1e-4
        )
        last = alone[-1].score
        assert all(
            scores.get(result.item_id, last) == pytest.approx(result.score, abs=1e-4)
            for result in row
        )


def test_an_unknown_item_is_named(retriever):
    with pytest.raises(UserError, match="unknown item `nobody`"):
        retriever.recommend([str(retriever.item_ids[0]), "nobody"])


def test_an_empty_query_is_refused(retriever):
    with pytest.raises(UserError, match="empty"):
        retriever.search("   ")


def test_the_language_model_loads_as_transformers_saved_it(data, retriever):
    lm = AutoModelForCausalLM.from_pretrained(data / "retriever" / "model")
    ours = retriever.model.lm.state_dict()
    assert all(torch.equal(weights, ours[name]) for name, weights in lm.state_dict().items())
    words = read_json(data / "retriever" / "vocabulary.json")["tokens"]
    assert lm.config.vocab_size == len(words)
    assert words[:3] == ["<pad>", "search:", "recommend:"]
    rows = retriever.model.vocabulary.encode(retriever.sids)
    written = ["".join(words[token] for token in row) for row in rows]
    assert written == [sid_text(codes) for codes in retriever.sids]


def test_the_report_says_how_validation_went_and_that_every_id_was_valid(data):
    report = read_json(data / "retriever" / "report.json")
    assert report["valid_ids"] == 1
    for task in ("search", "search_reranked", "recommend"):
        assert 0 <= report[f"{task}_recall@10"] <= report[f"{task}_recall@30"] <= 1
    curve = pd.read_csv(data / "retriever" / "training.csv")
    assert curve["search_loss"].tail(5).mean() < curve["search_loss"].head(5).mean()
    assert curve["recommend_loss"].tail(5).mean() < curve["recommend_loss"].head(5).mean()
    assert (data / "retriever" / "training.png").stat().st_size > 1000


def test_ids_that_the_gate_did_not_pass_are_refused(copied, capsys):
    ids = SemanticIds.load(copied / "data" / "semantic_ids")
    bad = Outcome("gini_raw", "even use of codes", 0.9, None, 0.5, "critical", True, False)
    gate = copied / "data" / "quality_gate"
    cases = [
        (Verdict(ids.version, [bad]), "gini_raw is 0.9, expected at most 0.5"),
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
        Retriever.load(copied / "data")


def test_a_retriever_of_another_version_is_refused_with_what_to_do(copied, data):
    folder = shutil.copytree(data / "retriever", copied / "data" / "retriever")
    manifest = read_json(folder / "manifest.json")
    del manifest["beams"]
    write_json(folder / "manifest.json", manifest)
    with pytest.raises(UserError, match=r"another version of Sidmill .* lacks `beams`"):
        Retriever.load(copied / "data")


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
    retriever = Retriever.load(copied / "data", device="cpu")
    if gone == "interactions":
        assert "does not learn to recommend: there were no train interactions" in said
        assert retriever.search("comedy", k=3)
        with pytest.raises(UserError, match="has not learnt to recommend"):
            retriever.recommend([])
    else:
        assert "does not learn to search" in said
        assert retriever.recommend([], k=3)
        with pytest.raises(UserError, match="has not learnt to search"):
            retriever.search("comedy")
