from __future__ import annotations

import json
import shutil
from pathlib import Path

import numpy as np
import pytest
import yaml
from conftest import run_stage

from assets.bi_encoder.__main__ import main
from assets.bi_encoder.artifact import BiEncoder
from assets.bi_encoder.base_model import PACKAGED, load_base
from assets.bi_encoder.params import BiEncoderParams
from assets.files import version_of
from assets.interactions.artifact import Interactions
from assets.stage import Run, UserError


def test_a_project_without_queries_and_pairs_gets_its_encoder_and_a_line(bare, tiny, capsys):
    out = bare / "data" / "bi_encoder"
    out.mkdir()
    main(
        Run(
            "bi_encoder",
            BiEncoderParams(variant="content", base=str(tiny)),
            out,
        )
    )
    assert "recall is not measured" in capsys.readouterr().out
    assert json.loads((out / "report.json").read_text())["validation_queries"] == 0
    assert (out / "training.csv").read_text() == "step\n0\n"
    encoder = BiEncoder.load(out)
    vectors = encoder.encode(["a red shoe", "sea", "a red shoe", ""])
    assert vectors.shape == (4, 16)
    assert vectors.dtype == np.float32
    np.testing.assert_allclose(np.linalg.norm(vectors, axis=1), 1, atol=1e-6)
    np.testing.assert_array_equal(vectors[0], vectors[2])
    assert encoder.encode([]).shape == (0, 16)


def test_one_text_without_cache_touches_no_file(bare, tiny, monkeypatch):
    out = bare / "data" / "bi_encoder"
    out.mkdir()
    main(
        Run(
            "bi_encoder",
            BiEncoderParams(variant="content", base=str(tiny)),
            out,
        )
    )
    before = {file: file.stat().st_mtime_ns for file in bare.rglob("*")}
    BiEncoder.load(out).encode(["a red shoe"])
    assert {file: file.stat().st_mtime_ns for file in bare.rglob("*")} == before


def test_texts_are_cut_at_the_cap_and_never_beyond_what_the_base_allows(tiny):
    capped = load_base(str(tiny), 8, "cpu")
    assert capped.max_seq_length == 8
    long = "one two three four five six"
    np.testing.assert_array_equal(
        capped.encode(long + " seven eight nine ten"), capped.encode(long + " and other words here")
    )
    assert load_base(str(tiny), 500, "cpu").max_seq_length == 32


def test_the_version_tells_the_cap_and_the_weights(tiny, tmp_path):
    versions = []
    for cap in (8, 9, 8):
        shutil.rmtree(tmp_path / "model", ignore_errors=True)
        load_base(str(tiny), cap, "cpu").save(str(tmp_path / "model"), create_model_card=False)
        versions.append(version_of(tmp_path / "model"))
    assert versions[0] == versions[2] != versions[1]


def test_a_folder_that_holds_no_model_is_named_in_the_error(tmp_path):
    (tmp_path / "config.json").write_text("{")
    with pytest.raises(UserError, match=r"bi_encoder\.base"):
        load_base(str(tmp_path), 8, "cpu")


def test_the_packaged_model_understands_words():
    model = load_base(PACKAGED, 32, "cpu")
    hit, near, far = model.encode(["space film", "movie about astronauts", "cake recipe"])
    assert hit @ near > hit @ far + 0.2


def test_a_name_on_the_hub_is_found_in_the_local_copy_and_an_unknown_one_is_explained(
    bare, tiny, tmp_path
):
    snapshot = tmp_path / "hub" / "hub" / "models--somebody--tiny" / "snapshots" / ("0" * 40)
    shutil.copytree(tiny, snapshot)
    (snapshot.parents[1] / "refs").mkdir()
    (snapshot.parents[1] / "refs" / "main").write_text("0" * 40)
    offline = {"HF_HOME": str(tmp_path / "hub"), "HF_HUB_OFFLINE": "1"}

    def run(base):
        section = {"bi_encoder": {"variant": "content", "base": base}}
        (bare / "params.yaml").write_text(yaml.safe_dump(section))
        return run_stage("bi_encoder", bare, **offline)

    done = run("somebody/tiny")
    assert done.returncode == 0, done.stderr
    assert BiEncoder.load(bare / "data" / "bi_encoder").dim == 16
    failed = run("somebody/absent")
    assert failed.returncode == 1
    assert "somebody/absent" in failed.stderr
    assert "Traceback" not in failed.stderr


def test_the_default_encoder_finds_most_held_out_queries(project):
    folder: Path = project.make("bi_encoder")
    report = json.loads((folder / "report.json").read_text())
    assert report["query_recall@10_low"] <= report["query_recall@10"] <= 1
    assert report["query_recall@10"] > 0.6
    assert report["pair_recall@5"] <= report["pair_recall@10"] <= report["pair_recall@30"]
    assert len(Interactions.load(project.make("interactions")).pairs("validation")) > 0
    manifest = json.loads((folder / "manifest.json").read_text())
    assert manifest["model_version"] == version_of(folder / "model")
    assert manifest["dim"] == 384
