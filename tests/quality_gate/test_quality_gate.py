"""A real build passes the gate; each fault is stopped by the expectation that is there for it."""

import json
import re
import shutil
from dataclasses import replace

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
import yaml

from assets.codebooks.artifact import Codebooks
from assets.collision_report.artifact import CollisionReport, Numbers, ReportError
from assets.collision_report.describe import describe_ids
from assets.embeddings.artifact import Embeddings
from assets.files import write_json
from assets.quality_gate.__main__ import main
from assets.quality_gate.artifact import Verdict
from assets.quality_gate.expectations import EXPECTATIONS
from assets.quality_gate.judging import count_unexpected, judge
from assets.quality_gate.params import Limit, QualityGateParams
from assets.semantic_ids.artifact import SemanticIds
from assets.semantic_ids.path_distances import path_distances
from assets.stage import NegativeResultError, Run


@pytest.fixture
def folder(project, tmp_path, monkeypatch):
    """A copy of the real small build up to the collision report."""
    project.make("collision_report")
    for stage in ("semantic_ids", "collision_report", "codebooks", "embeddings"):
        shutil.copytree(project.folder / "data" / stage, tmp_path / "data" / stage)
    monkeypatch.chdir(tmp_path)
    return tmp_path


def judged(folder, **params) -> Verdict:
    """Run the gate in this process; its verdict is the same whether it raises or not."""
    target = folder / "data" / "quality_gate"
    shutil.rmtree(target, ignore_errors=True)
    target.mkdir()
    run = Run("quality_gate", QualityGateParams(**params), target)
    stopped = False
    try:
        main(run)
    except NegativeResultError:
        stopped = True
    verdict = Verdict.load(target)
    assert verdict.passed is not stopped
    return verdict


def failed(verdict: Verdict) -> set[str]:
    return {outcome.expectation for outcome in verdict.failures}


def write_report(folder, **changes) -> None:
    file = folder / "data" / "collision_report" / "report.json"
    file.write_text(json.dumps(json.loads(file.read_text()) | changes))


def write_ids(folder, raw_codes: np.ndarray, codes: np.ndarray) -> None:
    """Put other codes in place, with the report that they deserve."""
    ids = SemanticIds.load(folder / "data" / "semantic_ids")
    books = Codebooks.load(folder / "data" / "codebooks")
    vectors = Embeddings.load(folder / "data" / "embeddings").text
    distances = path_distances(vectors, books.quantizer.codebooks, codes)
    ids = replace(ids, raw_codes=raw_codes, codes=codes, distances=distances)
    ids.save(folder / "data" / "semantic_ids")
    numbers, _ = describe_ids(ids, books, vectors)
    old = CollisionReport.load(folder / "data" / "collision_report").numbers.model_dump()
    write_json(folder / "data/collision_report/report.json", Numbers(**old | numbers).flat())


def read_report(folder) -> dict:
    return json.loads((folder / "data" / "collision_report" / "report.json").read_text())


def put_report(folder, content) -> None:
    (folder / "data" / "collision_report" / "report.json").write_text(json.dumps(content))


def rewrite_table(folder, change) -> None:
    file = folder / "data" / "semantic_ids" / "semantic_ids.parquet"
    table = pq.read_table(file)
    rows = table.to_pylist()
    change(rows)
    pq.write_table(pa.Table.from_pylist(rows, schema=table.schema), file)


def test_a_sound_build_passes_and_every_expectation_has_its_row(folder):
    verdict = judged(folder)
    assert verdict.passed
    assert [o.expectation for o in verdict.outcomes] == [e.name for e in EXPECTATIONS]
    assert all(o.passed for o in verdict.outcomes)
    assert verdict.sid_version == SemanticIds.load(folder / "data/semantic_ids").version
    assert (folder / "data" / "logs" / "quality_gate" / "index.html").is_file()


def test_codes_that_collapsed_are_stopped(folder):
    ids = SemanticIds.load(folder / "data" / "semantic_ids")
    raw = np.zeros_like(ids.raw_codes)
    raw[:, 2] = ids.raw_codes[:, 2] % 2
    write_ids(folder, raw, raw)
    found = failed(judged(folder))
    assert {"utilisation_worst_level", "gini_worst_level", "largest_bucket"} <= found
    assert "conflict_rate_after" in found
    assert "gini_of_different" not in found  # blind to collapse: that is why the others are there


def test_random_codes_are_stopped(folder):
    ids = SemanticIds.load(folder / "data" / "semantic_ids")
    draw = np.random.default_rng(0).permutation(len(ids.codes))
    write_ids(folder, ids.codes[draw], ids.codes[draw])
    assert failed(judged(folder)) == {"variance_explained"}


def test_an_id_without_a_code_is_stopped(folder):
    def change(rows):
        rows[3]["codes"] = [1, None, 2]
        rows[4]["item_id"] = None

    rewrite_table(folder, change)
    verdict = judged(folder)
    assert failed(verdict) == {"no_missing_values"}
    assert "is 2, expected at most 0: off by 2" in verdict.failures[0].sentence()


def test_a_code_that_does_not_exist_is_stopped(folder):
    def change(rows):
        rows[0]["codes"] = [16, 0, 0]
        rows[1]["codes"] = [0, 0, -1]

    rewrite_table(folder, change)
    verdict = judged(folder)
    assert failed(verdict) == {"codes_in_range", "sid_version_agrees"}


def test_an_item_that_stands_twice_is_stopped(folder):
    def change(rows):
        rows[1]["item_id"] = rows[0]["item_id"]

    rewrite_table(folder, change)
    assert failed(judged(folder)) == {"item_ids_unique", "sid_version_agrees"}


def test_a_report_about_other_ids_is_stopped(folder):
    write_report(folder, sid_version="0" * 64)
    assert failed(judged(folder)) == {"sid_version_agrees"}


@pytest.mark.parametrize("value", [float("nan"), None, "0.2", True])
def test_a_number_that_is_none_is_stopped(folder, value):
    write_report(folder, gini_of_different=value)
    verdict = judged(folder)
    assert {"report_complete", "gini_of_different"} <= failed(verdict)
    assert "report_complete is 1, expected at most 0" in verdict.reason()
    assert f"`gini_of_different` is {value!r}" in verdict.reason()
    assert "has no value" not in verdict.reason()  # what follows does not hide the cause


def test_a_key_that_is_renamed_or_gone_is_stopped_by_name(folder):
    whole = read_report(folder)
    for key, value in whole.items():
        rest = {name: other for name, other in whole.items() if name != key}
        for content in (rest, rest | {f"{key}_": value}):
            put_report(folder, content)
            with pytest.raises(ReportError, match=f"`{re.escape(key)}` is missing"):
                CollisionReport.load(folder / "data" / "collision_report")
    for key in ("gini_of_different", "variance_explained", "embedding_hitrate_raw@30", "purity"):
        put_report(folder, {name: value for name, value in whole.items() if name != key})
        verdict = judged(folder)
        assert "report_complete" in failed(verdict)
        assert f"`{key}` is missing: run `dvc repro collision_report`" in verdict.reason()


def test_a_report_that_is_no_json_is_stopped(folder):
    (folder / "data" / "collision_report" / "report.json").write_text('{"items": 3')
    assert "it is no JSON" in judged(folder).reason()
    put_report(folder, [1])
    assert "does not map names to numbers" in judged(folder).reason()


@pytest.mark.parametrize(
    ("changes", "name"),
    [
        ({"unplaced_items": 1}, "unplaced_items"),
        ({"mse_added_by_moves": 0.4}, "mse_added_by_moves"),
        ({"gini_of_different": 0.8}, "gini_of_different"),
        ({"largest_bucket": 2}, "largest_bucket"),
        ({"conflict_rate": 0.1}, "conflict_rate_after"),
        (
            {"embedding_hitrate_sessions": 500, "embedding_hitrate_raw@30": 0.0},
            "embedding_hitrate_raw",
        ),
        (
            {
                "embedding_hitrate_sessions": 500,
                "embedding_hitrate_raw@30": 0.5,
                "embedding_hitrate_reconstructed@30": 0.2,
            },
            "embedding_hitrate_kept",
        ),
    ],
)
def test_each_number_out_of_its_limit_is_stopped_by_name(folder, changes, name):
    write_report(folder, **changes)
    assert failed(judged(folder)) == {name}


def test_without_interactions_hit_rates_do_not_apply_and_nothing_fails(folder):
    write_report(
        folder,
        **{
            "embedding_hitrate_raw@30": None,
            "embedding_hitrate_reconstructed@30": None,
            "embedding_hitrate_sessions": 0,
            "embedding_i2i_lift": None,
        },
    )
    verdict = judged(folder)
    assert verdict.passed
    skipped = {o.expectation for o in verdict.outcomes if not o.applicable}
    rates = {"embedding_hitrate_raw", "embedding_hitrate_kept", "embedding_i2i_lift"}
    assert skipped == rates | {"index_share"}  # the policy appends none


def test_buckets_of_a_policy_that_promises_nothing_are_not_judged(folder):
    write_report(folder, bucket_limit=None, largest_bucket=9, conflict_rate=0.3)
    assert judged(folder).passed
    write_report(folder, bucket_limit=5)
    assert failed(judged(folder)) == {"largest_bucket"}


def test_a_warning_does_not_stop(folder):
    write_report(folder, load=0.95)
    verdict = judged(folder)
    assert verdict.passed
    assert [o.expectation for o in verdict.outcomes if not o.passed] == ["load"]


def test_a_failed_gate_leaves_its_verdict_on_disk_and_says_by_how_much(folder, run_in):
    params = {"quality_gate": {"gini_of_different": {"maximum": -1}}}
    (folder / "params.yaml").write_text(yaml.safe_dump(params))
    done = run_in("quality_gate", folder)
    assert done.returncode == 1
    gini = json.loads((folder / "data/collision_report/report.json").read_text())[
        "gini_of_different"
    ]
    last = done.stderr.strip().splitlines()[-1]
    assert last.startswith("error: quality_gate: gini_of_different is ")
    assert f"off by {gini + 1:g}" in last
    verdict = Verdict.load(folder / "data" / "quality_gate")
    assert failed(verdict) == {"gini_of_different"}
    assert json.loads((folder / "data/quality_gate/verdict.json").read_text())["passed"] is False
    assert json.loads((folder / "data/quality_gate/report.json").read_text())["passed"] is False


def test_limits_hold_at_their_bounds_and_no_number_keeps_to_none():
    chosen = {
        "top": Limit(maximum=1.0),
        "over": Limit(maximum=1.0),
        "low": Limit(minimum=0.5, maximum=0.6),
        "none": Limit(maximum=1.0),
    }
    observed = {"top": 1.0, "over": 1.0001, "low": 0.4, "none": float("nan")}
    assert judge(observed, chosen) == {"top": True, "over": False, "low": False, "none": False}


def test_unexpected_cells_are_counted():
    import great_expectations.expectations as gxe

    table = pd.DataFrame({"item_id": ["a", "b", "b", None], "code_0": [0.0, 5.0, -1.0, 2.0]})
    expected = [gxe.ExpectColumnValuesToBeBetween(column="code_0", min_value=0, max_value=4)]
    assert count_unexpected(table, expected) == 2
    assert count_unexpected(table, [gxe.ExpectColumnValuesToBeUnique(column="item_id")]) == 2
    assert count_unexpected(table, [gxe.ExpectColumnValuesToNotBeNull(column="item_id")]) == 1
