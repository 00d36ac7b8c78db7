from __future__ import annotations

import json
import os
import subprocess
import sys

import numpy as np
import pyarrow.parquet as pq
import pytest
from bi_encoder.training_runs import trained, weights_of
from safetensors.numpy import load_file
from sentence_transformers import SentenceTransformer

from assets.bi_encoder.artifact import BiEncoder
from assets.files import version_of
from assets.stage import UserError


def base_weights(tiny):
    return {f"./{name}": values for name, values in load_file(tiny / "model.safetensors").items()}


def test_a_head_leaves_its_base_alone_and_loads_without_code_of_ours(trainable, tiny):
    folder = trainable(variant="search")
    out = trained(folder)
    weights, base = weights_of(out), base_weights(tiny)
    assert {name for name in weights if name not in base} == {
        "3_Dense/linear.weight",
        "3_Dense/linear.bias",
        "4_Dense/linear.weight",
    }
    for name, values in base.items():
        np.testing.assert_array_equal(weights[name], values)
    elsewhere = "import sys; from sentence_transformers import SentenceTransformer as S; "
    elsewhere += "v = S(sys.argv[1], device='cpu').encode('a red shoe'); print(v.tolist())"
    done = subprocess.run(
        [sys.executable, "-c", elsewhere, str(out / "model")],
        cwd="/",
        env=os.environ | {"HF_HUB_OFFLINE": "1"},
        capture_output=True,
        text=True,
        check=True,
    )
    there = np.array(json.loads(done.stdout))
    here = BiEncoder.load(out).encode(["a red shoe"])[0]
    np.testing.assert_allclose(there, here, atol=1e-6)
    untrained = SentenceTransformer(str(tiny), device="cpu").encode(["a red shoe"])[0]
    assert np.abs(untrained / np.linalg.norm(untrained) - here).max() > 1e-4
    assert json.loads((out / "manifest.json").read_text())["variant"] == "search"
    assert not any((folder / "data" / "cache" / "training" / "bi_encoder").iterdir())


def test_the_curve_starts_at_the_base_and_the_best_check_is_kept(trainable):
    out = trained(trainable())
    report = json.loads((out / "report.json").read_text())
    rows = [line.split(",") for line in (out / "training.csv").read_text().splitlines()]
    table = [dict(zip(rows[0], row, strict=True)) for row in rows[1:]]
    assert [int(row["step"]) for row in table] == [0, 8, 16, 24]
    best = max(table, key=lambda row: float(row["recall"]))
    assert report["best_step"] == int(best["step"])
    assert (out / "training.png").stat().st_size > 1000
    for task in ("query", "pair"):
        assert report[f"{task}_gain@10_low"] <= report[f"{task}_gain@10"]
        assert report[f"{task}_gain@10"] == pytest.approx(
            report[f"{task}_recall@10"] - report[f"content_{task}_recall@10"], abs=1e-5
        )


@pytest.mark.parametrize(("variant", "task"), [("search", "query"), ("recommendation", "pair")])
def test_a_single_task_is_chosen_by_its_own_recall(trainable, variant, task):
    out = trained(trainable(variant=variant, steps=8))
    head, *rows = (out / "training.csv").read_text().splitlines()
    for row in rows:
        values = dict(zip(head.split(","), row.split(","), strict=True))
        assert values["recall"] == values[f"{task}_recall@10"]
    assert f"{variant}_loss" in head


def test_training_that_gains_nothing_keeps_the_base(trainable, tiny):
    folder = trainable(learning_rate=1e-12)
    out = trained(folder)
    assert json.loads((out / "report.json").read_text())["best_step"] == 0
    base = SentenceTransformer(str(tiny), device="cpu").encode(["sea"], normalize_embeddings=True)
    np.testing.assert_allclose(BiEncoder.load(out).encode(["sea"]), base, atol=1e-6)


def test_a_share_of_the_way_to_the_trained_weights_is_gone(trainable, tiny):
    whole = weights_of(trained(trainable("whole", variant="search", trained="all", kept_share=1.0)))
    part = weights_of(trained(trainable("part", variant="search", trained="all", kept_share=0.25)))
    moved = 0.0
    for name, start in base_weights(tiny).items():
        np.testing.assert_allclose(part[name], start + 0.25 * (whole[name] - start), atol=1e-6)
        moved = max(moved, float(np.abs(whole[name] - start).max()))
    assert moved > 0.01


def test_the_last_layers_alone_are_trained_or_all(trainable, tiny):
    base = base_weights(tiny)

    def changed(out):
        weights = weights_of(out)
        assert set(weights) == set(base)
        return {name for name in base if not np.array_equal(weights[name], base[name])}

    last = changed(trained(trainable("last", trained=1, variant="search")))
    assert last
    assert all("layer.1." in name for name in last)
    everything = changed(trained(trainable("all", trained="all", variant="search")))
    assert any("word_embeddings" in name for name in everything)
    assert any("layer.0." in name for name in everything)


def test_more_layers_than_the_base_has_is_an_error_with_the_fix(trainable):
    with pytest.raises(UserError, match=r"bi_encoder\.trained: the base has 2 layers, not 3"):
        trained(trainable(trained=3))


def test_bfloat16_learns_too_and_the_manifest_says_which_precision_was_used(trainable):
    reports, manifests = {}, {}
    for precision in ("float32", "bfloat16"):
        out = trained(trainable(precision, variant="search", precision=precision, kept_share=1.0))
        reports[precision] = json.loads((out / "report.json").read_text())
        manifests[precision] = json.loads((out / "manifest.json").read_text())
    assert [manifest["precision"] for manifest in manifests.values()] == ["float32", "bfloat16"]
    assert {manifest["device"] for manifest in manifests.values()} == {"cpu"}
    assert manifests["float32"]["model_version"] != manifests["bfloat16"]["model_version"]
    gains = [report["query_gain@10"] for report in reports.values()]
    assert min(gains) > 0
    assert gains[0] == pytest.approx(gains[1], abs=0.1)


def test_the_same_inputs_give_the_same_bytes(trainable):
    one, other = trained(trainable("one", steps=8)), trained(trainable("other", steps=8))
    assert version_of(one) == version_of(other)


def test_what_the_variant_cannot_learn_from_is_left_out_with_a_line(trainable, capsys):
    folder = trainable(steps=2, check_every=1)
    pairs = folder / "data" / "interactions" / "pairs.parquet"
    pq.write_table(pq.read_table(pairs).slice(0, 0), pairs)
    out = trained(folder)
    assert "no train pairs" in capsys.readouterr().out
    assert (out / "training.csv").read_text().startswith("step,query_recall@10,recall,search_loss")
    assert "pair_recall@10" not in json.loads((out / "report.json").read_text())
