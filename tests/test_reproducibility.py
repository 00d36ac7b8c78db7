"""Same inputs, same bytes; row order changes nothing; nothing but `metrics` sees the test split."""

from __future__ import annotations

import hashlib
from pathlib import Path

import pandas as pd
import pytest
import yaml
from conftest import ROOT, Project, run_here, run_stage, write_project

from assets.interactions.packaged import movielens_small

GRAPH = yaml.safe_load((ROOT / "dvc.yaml").read_text(encoding="utf-8"))["stages"]
STAGES = [*GRAPH]  # each after those it needs
IDS = STAGES[: STAGES.index("quality_gate") + 1]
NAMES_TEST = {"interactions", "metrics"}  # what else there is sees train and validation alone


def contents(folder: Path) -> dict[str, str]:
    """sha256 of every file of an asset."""
    return {
        str(file.relative_to(folder)): hashlib.sha256(file.read_bytes()).hexdigest()
        for file in sorted(folder.rglob("*"))
        if file.is_file()
    }


def test_a_second_run_with_a_cold_cache_and_shuffled_rows_gives_the_same_bytes(project, tmp_path):
    write_project(tmp_path)
    for file in (tmp_path / "data" / "incoming").rglob("*.csv"):
        rows = pd.read_csv(file, dtype=str, keep_default_na=False)
        rows.sample(frac=1, random_state=1).to_csv(file, index=False)
    second = Project(tmp_path, run_here)  # all in one process; each had one of its own
    for stage in STAGES:
        first = contents(project.make(stage))
        assert first, stage
        assert contents(second.make(stage)) == first, stage
    for stage in ("bi_encoder", "retriever"):  # they read vectors that the cache now holds
        first = contents(second.make(stage))
        assert run_here(stage, tmp_path).returncode == 0
        assert contents(second.make(stage)) == first, stage


def test_what_is_learnt_does_not_depend_on_the_test_split(project, tmp_path):
    write_project(tmp_path)
    file = tmp_path / "data" / "incoming" / "interactions" / "interactions.csv"
    rows = pd.read_csv(file, dtype={"user_id": str, "item_id": str})
    test = pd.read_parquet(
        project.make("interactions") / "interactions.parquet", filters=[("split", "==", "test")]
    )
    items = sorted(rows["item_id"].unique())
    others = {
        user: next(i for i in items if i not in seen)
        for user, seen in rows.groupby("user_id")["item_id"].agg(set).items()
    }
    keys = pd.MultiIndex.from_frame(test[["user_id", "item_id"]])
    last = pd.MultiIndex.from_frame(rows[["user_id", "item_id"]]).isin(keys)
    assert last.sum() == len(test) > 0
    # Later than before, so that no tie in time puts another interaction last.
    rows.loc[last, "item_id"] = rows.loc[last, "user_id"].map(others)
    rows.loc[last, "timestamp"] += 1
    rows.to_csv(file, index=False)

    changed = Project(tmp_path, run_here)
    assert contents(changed.make("interactions")) != contents(project.make("interactions"))
    for stage in [name for name in STAGES if name not in NAMES_TEST]:
        learnt, again = contents(project.make(stage)), contents(changed.make(stage))
        for made in (learnt, again):
            made.pop("histories.parquet", None)  # of users, up to now: a part of the data
        assert again == learnt, stage


@pytest.mark.verify
def test_the_whole_default_gives_the_same_bytes_in_another_folder_and_the_same_ids_shuffled(
    tmp_path,
):
    """Slow: every stage with cold caches and all defaults twice, and up to the IDs a third time.

    In float32 and with so many threads, for these two are what a machine may choose; the folders
    differ in name and depth.
    """
    first, second = tmp_path / "first", tmp_path / "another name" / "and a folder in it"
    shuffled = tmp_path / "shuffled"
    params = yaml.safe_load((ROOT / "params.yaml").read_text(encoding="utf-8"))
    for section in params.values():
        if "precision" in section:
            section["precision"] = "float32"
    for folder in (first, second, shuffled):
        (folder / "data" / "incoming").mkdir(parents=True)
        (folder / "params.yaml").write_text(yaml.safe_dump(params), encoding="utf-8")
    for name, table in zip(("items", "interactions"), movielens_small(), strict=True):
        (shuffled / "data" / "incoming" / name).mkdir()
        rows = table.sample(frac=1, random_state=1)
        rows.to_csv(shuffled / "data" / "incoming" / name / "rows.csv", index=False)

    for stage in STAGES:
        made = []
        for folder in (first, second, *([shuffled] if stage in IDS else [])):
            done = run_stage(stage, folder, SIDMILL_THREADS="2", SIDMILL_DEVICE="cpu")
            assert done.returncode == 0, done.stderr
            made.append(contents(folder / "data" / stage))
        assert made[0], stage
        assert made[0] == made[1], stage
        if stage in IDS and stage != "interactions":
            assert made[0] == made[2], stage
