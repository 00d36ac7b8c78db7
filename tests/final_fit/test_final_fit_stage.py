"""The final fit on about 300 real items: what only the test split tells is learnt, and no more."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import yaml
from conftest import run_here, run_stage

from assets.answers.artifact import Answers
from assets.files import read_json
from assets.interactions.artifact import Interactions
from assets.ranking import Histories
from orchestration.releases.publishing import put_final_fit

LEARNT = {"retriever", "rankers", "interactions"}


@dataclass
class Fitted:
    """A project after its final fit.

    Attributes:
        root: Its folder.
        item: An item that nobody had but in the test split.
        user: A user of the test split who had it.
    """

    root: Path
    item: str
    user: str


@pytest.fixture(scope="module")
def fitted(project, tmp_path_factory) -> Fitted:
    """The small project, an item of which occurs in the test split alone, and its final fit."""
    project.make("metrics")
    root = tmp_path_factory.mktemp("final") / "root"
    shutil.copytree(project.folder, root, ignore=shutil.ignore_patterns("logs", "final_fit", ".*"))
    tables = root / "data" / "interactions"
    rows = pd.read_parquet(tables / "interactions.parquet")
    counts = rows["item_id"].value_counts()
    hidden = rows[rows["split"] == "test"].sort_values("item_id")
    last = hidden.iloc[int(np.argmin(hidden["item_id"].map(counts)))]
    rows = rows[(rows["item_id"] != last["item_id"]) | (rows["split"] == "test")]
    rows.to_parquet(tables / "interactions.parquet", index=False)
    items = pd.read_parquet(tables / "items.parquet")
    seen = rows[rows["split"] == "train"]["item_id"].value_counts()
    items["train_interactions"] = items["item_id"].map(seen).fillna(0).astype(np.int64)
    items.to_parquet(tables / "items.parquet", index=False)
    params = yaml.safe_load((root / "params.yaml").read_text())
    params["final_fit"]["enabled"] = True
    params["rankers"]["sasrec"] |= {"epochs": 3, "learning_rate": 0.1}
    (root / "params.yaml").write_text(yaml.safe_dump(params, sort_keys=False))
    for stage in ("rankers", "final_fit"):
        done = run_stage(stage, root)
        assert done.returncode == 0, done.stderr
    return Fitted(root, str(last["item_id"]), str(last["user_id"]))


@pytest.fixture(scope="module")
def released(fitted, tmp_path_factory) -> Path:
    """What a release of that project answers with."""
    folder = tmp_path_factory.mktemp("released") / "r1"
    ignored = shutil.ignore_patterns("incoming", "cache", "logs")
    shutil.copytree(fitted.root / "data", folder, ignore=ignored)
    put_final_fit(folder)
    return folder


def _files(folder: Path) -> dict[str, bytes]:
    return {
        file.relative_to(folder).as_posix(): file.read_bytes()
        for file in sorted(folder.rglob("*"))
        if file.is_file()
    }


def test_off_it_says_so_and_needs_nothing_else(project, tmp_path):
    """No upstream asset is there, and neither torch nor pandas is loaded."""
    shutil.copy(project.folder / "params.yaml", tmp_path)
    check = (
        "import runpy, sys; runpy.run_module('assets.final_fit', run_name='__main__')\n"
        "assert not {'torch', 'pandas', 'scipy'} & set(sys.modules)"
    )
    done = subprocess.run(
        [sys.executable, "-c", check], cwd=tmp_path, capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr
    assert "off: what was measured is what is released" in done.stdout
    assert list(_files(tmp_path / "data" / "final_fit")) == ["report.json"]
    assert read_json(tmp_path / "data" / "final_fit" / "report.json") == {"enabled": False}


def test_the_file_of_a_run_asks_for_it_as_the_params_do(project, tmp_path):
    shutil.copy(project.folder / "params.yaml", tmp_path)
    (tmp_path / "data").mkdir()
    (tmp_path / "data" / "base.yaml").write_text("release: null\nfinal: true\n")
    done = run_here("final_fit", tmp_path)
    assert done.returncode == 1
    assert "data/metrics is missing: run `dvc repro metrics` first" in done.stderr


def test_it_hands_over_files_for_the_places_of_those_that_were_measured(fitted):
    data = fitted.root / "data"
    made = data / "final_fit"
    assert {path.name for path in made.iterdir() if path.is_dir()} == LEARNT
    for stage in LEARNT:
        measured = _files(data / stage)
        assert set(_files(made / stage)) <= set(measured)
        assert not {"report.json", "training.csv"} & set(_files(made / stage))
    report = read_json(made / "report.json")
    rows = pd.read_parquet(data / "interactions" / "interactions.parquet")
    assert report["interactions"] == len(rows)
    assert report["measured_interactions"] == (rows["split"] == "train").sum()
    queries = pd.read_parquet(data / "synthetic_queries" / "queries.parquet")
    assert report["queries"] == queries["query"].nunique() > report["measured_queries"] > 0
    kept = read_json(data / "retriever" / "manifest.json")["trained_as"]
    assert report["epochs"] == kept["epochs"]
    assert read_json(made / "retriever" / "manifest.json")["trained_as"] == kept
    found = {row["ranker"]: row["settings"] for row in report["settings"]}
    rows = read_json(data / "rankers" / "report.json")["settings"]
    assert found == {row["ranker"]: row["settings"] for row in rows}
    chosen = read_json(data / "rankers" / "manifest.json")
    assert chosen["chosen"]["sasrec"]["epochs"] < 3  # of the schedule, which stays
    assert read_json(made / "rankers" / "manifest.json") == chosen


def test_an_item_that_only_test_knows_is_learnt_and_counted(fitted, released):
    data = fitted.root / "data"
    before, after = Answers.load(data), Answers.load(released)
    row = before.parts.catalogue.rows([fitted.item])[0]
    assert before.parts.catalogue.popularity[row] == 0 < after.parts.catalogue.popularity[row]
    assert after.parts.catalogue.popularity.sum() == len(
        pd.read_parquet(data / "interactions" / "interactions.parquet")
    )
    known = after.parts.generator.model.get_buffer("known")
    assert bool(known[row])
    history = after.history(fitted.user)
    assert history[-1] == fitted.item
    asked = Histories(after.parts.catalogue.row_lists([history[:-1]]))
    for name in ("item_knn", "slit", "markov"):
        old, new = (
            answers.parts.rankers.item_to_item[name].scores(asked.items)[0, row]
            for answers in (before, after)
        )
        assert old == 0 < new, name
    found = after.recommend(history[-2:-1], k=len(known), by="markov")
    assert next(result.score for result in found if result.item_id == fitted.item) > 0


def test_a_release_with_it_answers_as_the_measured_mixture_says(fitted, released):
    before, after = Answers.load(fitted.root / "data"), Answers.load(released)
    assert after.mixtures == before.mixtures
    assert after.names("search") == before.names("search")
    assert after.names("recommendation") == before.names("recommendation")
    title = before.parts.catalogue.titles[before.parts.catalogue.by_popularity[0]]
    assert title in [result.title for result in after.search(title, k=10)]
    assert len(after.recommend(after.history(fitted.user)[:3], k=10)) == 10


def test_what_was_measured_stays_as_it_was(fitted, released, project):
    for stage in ("metrics", "answers", "semantic_ids", "codebooks", "bi_encoder", "embeddings"):
        assert _files(released / stage) == _files(project.folder / "data" / stage), stage
    for report in ("retriever/report.json", "retriever/training.csv", "rankers/report.json"):
        assert (released / report).read_bytes() == (fitted.root / "data" / report).read_bytes()
    assert _files(released / "final_fit").keys() == {"report.json"}


def test_a_killed_one_goes_on_and_ends_in_the_same_bytes(fitted, tmp_path):
    root = tmp_path / "again"
    shutil.copytree(fitted.root, root, ignore=shutil.ignore_patterns("logs", "final_fit"))
    looks = (root / "params.yaml").read_text().replace("check_every: 3", "check_every: 1")
    (root / "params.yaml").write_text(looks)  # where nothing is asked, they decide over nothing
    with subprocess.Popen(
        [sys.executable, "-m", "assets.final_fit"],
        cwd=root,
        env=os.environ | {"PYTHONUNBUFFERED": "1"},
        stdout=subprocess.PIPE,
        text=True,
    ) as process:
        told = (line for line in process.stdout if "validation asks nothing" in line)
        assert "after" in next(told)
        assert "after" in next(told)  # by now the first look's checkpoint is there
        process.kill()
    assert not (root / "data" / "final_fit").exists()
    done = run_here("final_fit", root)
    assert done.returncode == 0, done.stderr
    assert "training goes on after step" in done.stdout
    assert _files(root / "data" / "final_fit") == _files(fitted.root / "data" / "final_fit")


def test_every_split_is_train_and_what_was_in_train_counts_as_before(project):
    data = Interactions.load(project.make("interactions"))
    everything = data.all_as_train()
    rows = data.interactions("train", "validation", "test")
    assert everything.interactions("train").drop(columns="split").equals(rows.drop(columns="split"))
    assert set(everything.interactions("train")["split"]) == {"train"}
    assert everything.interactions("validation", "test").empty
    assert everything.sessions("validation").targets == []
    assert everything.popularity().sum() == len(rows)
    own = data.interactions("train")["item_id"].value_counts()
    assert (data.popularity() == own.reindex(data.popularity().index).fillna(0)).all()
    assert json.dumps(everything.histories().tolist()) == json.dumps(data.histories().tolist())


def test_the_items_are_saved_as_the_stage_saves_them(project, tmp_path):
    folder = project.make("interactions")
    Interactions.load(folder).save_items(tmp_path)
    assert pd.read_parquet(tmp_path / "items.parquet").equals(
        pd.read_parquet(folder / "items.parquet")
    )
    Interactions.load(folder).all_as_train().save_items(tmp_path)
    saved = Interactions.load(tmp_path).items
    assert saved["train_interactions"].equals(
        Interactions.load(folder).all_as_train().items["train_interactions"]
    )
