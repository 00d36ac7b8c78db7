import base64
import json
import re
import shutil

import numpy as np
import pandas as pd
import pytest
import yaml

from assets.collision_report.artifact import CollisionReport
from assets.collision_report.categories import Categories
from assets.collision_report.figures import draw, first_level_map
from assets.collision_report.first_level import first_level
from assets.collision_report.page import write_page
from assets.collision_report.params import CollisionReportParams
from assets.semantic_ids.artifact import SemanticIds
from assets.stage import UserError

PNG = b"\x89PNG"


def items_of(titles, categories) -> pd.DataFrame:
    ids = [f"i{row}" for row in range(len(titles))]
    return pd.DataFrame({"item_id": ids, "title": titles, "text": None, "category": categories})


def test_the_real_build_is_described_drawn_and_shown_on_one_page(project):
    folder = project.make("collision_report")
    report = CollisionReport.load(folder)
    ids = SemanticIds.load(project.folder / "data" / "semantic_ids")
    assert report.sid_version == ids.version
    numbers = report.numbers.flat()
    assert numbers == json.loads((folder / "report.json").read_text())
    assert numbers["conflict_rate"] == 0
    assert numbers["different_vectors"] == numbers["items"]
    assert numbers["gini_of_different"] == numbers["gini_raw"]
    assert numbers["moved_items"] == (ids.moved_level >= 0).sum()
    assert sum(row["moved_items"] for row in numbers["moved_by_level"]) == numbers["moved_items"]
    assert numbers["mse"] >= numbers["mse_raw"] > 0
    assert 0 < numbers["embedding_hitrate_raw@30"] <= 1
    assert 0 < numbers["embedding_hitrate_coverage"] <= 1
    assert 0 < numbers["neighbour_overlap@10"] < 1
    assert 0 < numbers["prefix_purity@1"] <= numbers["prefix_purity@2"] <= 1
    assert numbers["entropy_worst_level"] == pytest.approx(
        np.log2(numbers["perplexity_worst_level"]), abs=1e-4
    )
    for name in ("code_usage", "bucket_sizes", "moved_items", "first_level_map"):
        assert (folder / f"{name}.png").read_bytes().startswith(PNG)
    page = (folder / "report.html").read_text()
    assert not re.findall(r"(?:src|href|srcset)=\"(?!data:)", page)  # nothing beside it is needed
    pictures = re.findall(r"data:image/png;base64,([^\"]+)", page)
    assert len(pictures) == 8
    assert all(base64.b64decode(picture).startswith(PNG) for picture in pictures)
    titles = pd.read_parquet(project.folder / "data/interactions/items.parquet")["title"]
    assert sum(title in page for title in titles.dropna()) > 20


def test_a_catalogue_without_interactions_has_no_hit_rates(project, tmp_path, run_in):
    project.make("semantic_ids")
    for stage in ("interactions", "embeddings", "codebooks", "semantic_ids"):
        shutil.copytree(project.folder / "data" / stage, tmp_path / "data" / stage)
    for name in ("interactions", "pairs"):
        file = tmp_path / "data" / "interactions" / f"{name}.parquet"
        pd.read_parquet(file).iloc[:0].to_parquet(file, index=False)
    (tmp_path / "params.yaml").write_text(yaml.safe_dump({}))
    done = run_in("collision_report", tmp_path)
    assert done.returncode == 0, done.stderr
    numbers = json.loads((tmp_path / "data/collision_report/report.json").read_text())
    assert numbers["embedding_hitrate_raw@30"] is None
    assert numbers["embedding_recall_i2i@30"] is None
    assert "no interactions" in (tmp_path / "data/collision_report/report.html").read_text()


def test_a_title_with_markup_or_a_dollar_is_text(tmp_path, project):
    numbers = CollisionReport.load(project.make("collision_report")).numbers
    items = items_of(["<script>alert(1)</script>", "$\\alpha$ & Co"], ["<b|x", None])
    books = np.eye(2, 3, dtype=np.float32)
    kinds = Categories.of(items["category"])
    prefixes = first_level(np.array([0, 1]), np.zeros(2, np.float32), books, items, kinds, 5)
    light, dark = draw(lambda theme: first_level_map(prefixes, theme))
    assert light.startswith(PNG)
    assert light != dark
    names = ("code_usage", "bucket_sizes", "moved_items", "first_level_map")
    pictures = dict.fromkeys(names, (light, dark))
    write_page(tmp_path / "p.html", numbers, pictures, prefixes, CollisionReportParams())
    page = (tmp_path / "p.html").read_text()
    assert "<script" not in page
    assert "&lt;script&gt;alert(1)" in page
    assert "&lt;b" in page


def test_a_prefix_is_shown_by_its_most_typical_items_and_commonest_category():
    items = items_of(["far", "near", None, "other"], ["Drama|War", "Drama", "War, Drama", None])
    items.loc[2, "text"] = "only text"
    distances = np.array([0.9, 0.1, 0.5, 0.2], np.float32)
    codes = np.array([1, 1, 1, 0])
    kinds = Categories.of(items["category"])
    big, small = first_level(codes, distances, np.eye(3, dtype=np.float32), items, kinds, titles=2)
    assert (big.code, big.items, big.titles) == (1, 3, ["near", "only text"])
    assert (big.category, big.share) == ("Drama", 1.0)
    assert (small.code, small.category) == (0, None)


def test_ids_of_other_codebooks_are_refused(project, tmp_path, run_in):
    project.make("semantic_ids")
    for stage in ("interactions", "embeddings", "codebooks", "semantic_ids"):
        shutil.copytree(project.folder / "data" / stage, tmp_path / "data" / stage)
    manifest = tmp_path / "data" / "semantic_ids" / "manifest.json"
    content = json.loads(manifest.read_text()) | {"codebook_version": "0"}
    manifest.write_text(json.dumps(content))
    (tmp_path / "params.yaml").write_text(yaml.safe_dump({}))
    done = run_in("collision_report", tmp_path)
    assert done.returncode == 1
    assert "dvc repro semantic_ids" in done.stderr


def test_a_report_that_is_not_there_is_asked_for(tmp_path):
    with pytest.raises(UserError, match="dvc repro collision_report"):
        CollisionReport.load(tmp_path)


def test_a_crowded_code_space_is_warned_of(project, tmp_path, run_in):
    project.make("semantic_ids")
    for stage in ("interactions", "embeddings", "codebooks", "semantic_ids"):
        shutil.copytree(project.folder / "data" / stage, tmp_path / "data" / stage)
    load = 300 / 16**3
    said = {}
    for limit in (load * 0.99, load * 1.01):
        params = {"collision_report": {"high_load": limit}}
        (tmp_path / "params.yaml").write_text(yaml.safe_dump(params))
        done = run_in("collision_report", tmp_path)
        assert done.returncode == 0, done.stderr
        page = (tmp_path / "data/collision_report/report.html").read_text()
        said[limit] = ("warning: 7% of all 4,096" in done.stdout, "Warning:" in page)
    assert list(said.values()) == [(True, True), (False, False)]
