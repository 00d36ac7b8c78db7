"""Rebuild and refresh: the file that says which, the commands that write it, and what follows."""

from __future__ import annotations

import io
import json
import shutil
from pathlib import Path

import pandas as pd
import pytest
import yaml
from conftest import run_here
from dagster import DagsterInstance
from rich.console import Console

from assets.interactions.packaged import movielens_small
from assets.semantic_ids.artifact import SemanticIds
from orchestration.commands.full_run import build
from orchestration.growth import base_name, set_base
from orchestration.releases.publishing import publish
from orchestration.releases.store import PublishError, current, find, releases
from orchestration.studies.experiments import run_command

ROOT = Path(__file__).parents[2]


def test_what_is_under_git_is_what_a_rebuild_writes(tmp_path):
    set_base(tmp_path, None)
    assert (tmp_path / "data/base.yaml").read_bytes() == (ROOT / "data/base.yaml").read_bytes()
    assert base_name(tmp_path) is None
    set_base(tmp_path, "r1-00000000")
    assert base_name(tmp_path) == "r1-00000000"


@pytest.fixture
def growing_toy(fresh_toy):
    """The toy pipeline, in which the codebooks grow from a release; never run."""
    file = fresh_toy.root / "dvc.yaml"
    raw = yaml.safe_load(file.read_text())
    raw["stages"]["codebooks"]["params"] = ["codebooks", {"data/base.yaml": ["release"]}]
    file.write_text(yaml.safe_dump(raw, sort_keys=False))
    set_base(fresh_toy.root, None)
    return fresh_toy


@pytest.mark.parametrize("engine", ["dvc", "dagster"])
def test_naming_a_release_reruns_who_learns_and_null_restores(
    growing_toy, instance: DagsterInstance, engine
):
    toy, everything = growing_toy, ["embeddings", "codebooks", "quality_gate", "retriever"]
    assert toy.computed(engine, instance, "retriever") == everything
    assert toy.pipeline.stale() == {}
    before = toy.lock
    (toy.root / "data" / "releases" / "r1-00000000").mkdir(parents=True)
    set_base(toy.root, "r1-00000000")
    assert toy.pipeline.stale()["codebooks"] == ["release was None, is r1-00000000"]
    assert toy.computed(engine, instance, "retriever") == ["codebooks"]  # its bytes are the same
    assert toy.pipeline.stale() == {}
    set_base(toy.root, None)
    assert toy.computed(engine, instance, "retriever") == []
    assert toy.lock == before


def test_a_run_after_data_was_cleared_away_learns_everything_anew(growing_toy):
    (growing_toy.root / "data" / "base.yaml").unlink()
    said = io.StringIO()
    done = build(growing_toy.root, Console(file=said, width=200))
    assert "data/base.yaml was missing: written again" in said.getvalue()
    assert {stage.outcome for stage in done} == {"ran"}
    assert base_name(growing_toy.root) is None


def test_an_experiment_takes_the_release_along(growing_toy):
    assert "data/releases/r1-00000000" not in run_command(growing_toy.root, "x", [], {})
    set_base(growing_toy.root, "r1-00000000")
    words = run_command(growing_toy.root, "x", [], {})
    assert words[words.index("data/releases/r1-00000000") - 1] == "-C"


def test_the_release_to_grow_from_is_kept(shop):
    first = publish(shop.root)
    set_base(shop.root, first.name)
    params = yaml.safe_load((shop.root / "params.yaml").read_text())
    params["release"]["keep"] = 1
    (shop.root / "params.yaml").write_text(yaml.safe_dump(params))
    for recall in (0.31, 0.32):
        shop.measured(search=recall)
        shop.rebuild()
        last = publish(shop.root)
    assert [release.name for release in releases(shop.root)] == [first.name, last.name]


def test_a_release_is_found_by_its_name_or_number(shop):
    with pytest.raises(PublishError, match="nothing is released yet"):
        find(shop.root)
    release = publish(shop.root)
    assert find(shop.root) == find(shop.root, "r1") == find(shop.root, release.name) == release
    with pytest.raises(PublishError, match="no release is called r7; there are r1-"):
        find(shop.root, "r7")


def test_refresh_and_rebuild_write_the_file_and_run(shop):
    refused = shop.sidmill("refresh")
    assert refused.returncode == 1
    assert "nothing is released yet" in refused.stderr
    first = publish(shop.root)

    idle = shop.sidmill("refresh")
    assert idle.returncode == 0, idle.stderr
    assert f"nothing to grow: {first.name}" in idle.stdout
    assert base_name(shop.root) is None

    shop.measured(search=0.31)
    grown = shop.sidmill("refresh", "--json")
    assert grown.returncode == 0, grown.stderr
    assert json.loads(grown.stdout)["release"] == current(shop.root).name != first.name
    assert base_name(shop.root) == first.name
    assert f"grows from {first.name}" in shop.sidmill("status").stdout
    assert json.loads(shop.sidmill("status", "--json").stdout)["base"] == first.name

    assert shop.sidmill("refresh", "r9").returncode == 1
    assert shop.sidmill("rebuild").returncode == 0
    assert base_name(shop.root) is None


@pytest.fixture(scope="module")
def grown(project, tmp_path_factory):
    """The small project, released, and refreshed with ten new items, but without one of its own."""
    project.make("semantic_ids")
    root = tmp_path_factory.mktemp("grown")
    for name in ("incoming", "cache"):
        shutil.copytree(project.folder / "data" / name, root / "data" / name)
    shutil.copy(project.folder / "params.yaml", root)
    home = root / "data" / "releases" / "r1-00000000"
    for stage in ("bi_encoder", "embeddings", "codebooks", "semantic_ids"):
        shutil.copytree(project.folder / "data" / stage, home / stage)
    for copied in home.rglob("*.*"):
        copied.chmod(0o444)
    file = root / "data" / "incoming" / "items" / "items.csv"
    items = pd.read_csv(file, dtype=str)
    catalogue, _ = movielens_small()
    new = catalogue[~catalogue["item_id"].isin(items["item_id"])].head(10)
    items = pd.concat([items.drop(index=20), new], ignore_index=True)
    items.loc[30, "title"] = "Something else altogether"
    items.to_csv(file, index=False)
    set_base(root, "r1-00000000")
    stages = ["interactions", "synthetic_queries", "bi_encoder", "embeddings", "codebooks"]
    for stage in [*stages, "semantic_ids", "collision_report", "quality_gate"]:
        done = run_here(stage, root)
        assert done.returncode == 0, f"{stage} failed:\n{done.stdout}\n{done.stderr}"
    return root, home, items


def test_a_refresh_keeps_encoder_codebooks_and_every_id_and_adds_the_new_items(grown):
    root, home, items = grown
    data = root / "data"
    for file in [*(home / "bi_encoder").rglob("*"), *(home / "codebooks").rglob("*")]:
        if file.is_file() and file.name != "report.json":
            assert (data / file.relative_to(home)).read_bytes() == file.read_bytes()
    assert json.loads((data / "bi_encoder" / "report.json").read_text())["frozen"] is True

    old, new = SemanticIds.load(home / "semantic_ids"), SemanticIds.load(data / "semantic_ids")
    before = SemanticIds.table(home / "semantic_ids").set_index("item_id")["sid"]
    after = SemanticIds.table(data / "semantic_ids").set_index("item_id")["sid"]
    gone = set(before.index) - set(after.index)
    stayed = before.index.difference(list(gone))
    assert before[stayed].equals(after[stayed])
    assert sorted(after.index) == sorted(items["item_id"])
    assert after.is_unique
    assert (new.extends, new.reserved.item_ids.tolist()) == (old.version, sorted(gone))
    told = json.loads((data / "semantic_ids" / "report.json").read_text())
    counts = {"new_items": 10, "gone_items": 1, "reserved_sids": 1, "changed_items": 1}
    assert {name: told[name] for name in counts} == counts
    assert 0.1 < told["drift_max"] < 2
    report = json.loads((data / "collision_report" / "report.json").read_text())
    assert (report["items"], report["conflict_rate"]) == (len(items), 0)
    assert report["load"] == told["load"] == pytest.approx((len(items) + 1) / 16**3, rel=1e-5)


def test_a_refresh_refuses_other_codebooks_and_other_policies(grown, tmp_path):
    root = shutil.copytree(grown[0], tmp_path / "other")
    params = yaml.safe_load((root / "params.yaml").read_text())
    changed = {"codebooks": {"codebook_size": 8}, "semantic_ids": {"policy": "ecm"}}
    for stage, knobs in changed.items():
        section = params | {stage: params[stage] | knobs}
        (root / "params.yaml").write_text(yaml.safe_dump(section))
        done = run_here(stage, root)
        assert done.returncode == 1
        name = next(iter(knobs))
        assert f"params.yaml: `{stage}.{name}` is" in done.stderr
        assert "set it back, or run `sidmill rebuild`" in done.stderr


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("release: r9-00000000", r"names the release 'r9-00000000', but data/releases holds none"),
        ("release: ../x", "names the release '../x'"),
        ("release: [", "data/base.yaml cannot be read"),
        ("", "must hold the key `release:`"),
        ("release: null\nfinally: true", "must hold the key `release:`"),
        ("release: null\nfinal: 1", "`final` is 1; it must be true or false"),
    ],
)
def test_a_file_that_names_no_release_is_a_sentence(project, tmp_path, text, words):
    (tmp_path / "data").mkdir()
    for name in ("interactions", "embeddings"):
        (tmp_path / "data" / name).symlink_to(project.make(name))
    shutil.copy(project.folder / "params.yaml", tmp_path)
    (tmp_path / "data" / "base.yaml").write_text(text)
    done = run_here("codebooks", tmp_path)
    assert done.returncode == 1
    assert words in done.stderr
    assert "Traceback" not in done.stderr
