"""`sidmill example` and `sidmill check`, as people and CI call them."""

from __future__ import annotations

import json
import shutil

import pytest
from conftest import ROOT
from typer.testing import CliRunner

from assets.stage import UserError, stage_names
from orchestration.commands.main import app
from orchestration.commands.run_estimate import STAGES, estimate


@pytest.fixture
def home(tmp_path, monkeypatch):
    """A project without data, the current folder."""
    for name in ("params.yaml", "dvc.yaml"):
        shutil.copy(ROOT / name, tmp_path)
    (tmp_path / "data" / "incoming").mkdir(parents=True)
    monkeypatch.chdir(tmp_path)
    return tmp_path


def sidmill(*arguments):
    return CliRunner().invoke(app, arguments)


def test_the_example_is_fine_in_every_row_and_has_all_splits(home):
    assert sidmill("example").exit_code == 0
    done = sidmill("check", "--json")
    assert done.exit_code == 0, done.output
    found = json.loads(done.stdout)
    assert (found["problems"], found["rejects"], found["skipped"]) == ([], [], [])
    assert (found["items"], found["users"], found["queries"]) == (12, 7, 7)
    assert {row["split"] for row in found["splits"]} == {"train", "validation", "test"}
    assert found["users_below_three"] == 1
    assert "texts are cut after 64 tokens; no document is longer" in found["remarks"][-1]


def test_an_example_never_mixes_with_what_is_there(home):
    mine = home / "data" / "incoming" / "queries" / "mine.csv"
    mine.parent.mkdir()
    mine.write_text("query,item_id\n")
    done = sidmill("example")
    assert isinstance(done.exception, UserError)
    assert "mine.csv is there already" in str(done.exception)
    assert list((home / "data" / "incoming").rglob("*.csv")) == [mine]
    assert sidmill("example", "elsewhere").exit_code == 0
    assert isinstance(sidmill("example", "elsewhere").exception, UserError)
    assert sidmill("check", "elsewhere").exit_code == 0


def test_ci_can_tell_from_the_exit_code(home):
    assert sidmill("example").exit_code == 0
    log = home / "data" / "incoming" / "interactions" / "interactions.csv"
    log.write_text(log.read_text() + "zoe,b99,2024-01-01,read,5\n")
    done = sidmill("check")
    assert done.exit_code == 3
    for words in ["refused 1 interactions: item_id is not among the items", "fix: add the item",
                  "interactions.csv, row 27", '"b99"', "a run takes about"]:  # fmt: skip
        assert words in done.output
    log.write_text("user_id,item_id\nzoe,b01\n")
    done = sidmill("check", "--json")
    assert done.exit_code == 1
    assert "no column `timestamp`" in json.loads(done.stdout)["problems"][0]
    assert "no column `timestamp`" in sidmill("check").output


def test_a_cell_cannot_steer_the_terminal(home):
    assert sidmill("example").exit_code == 0
    log = home / "data" / "incoming" / "interactions" / "interactions.csv"
    log.write_text(log.read_text() + "\x1b[31m[bold]zoe,b99,2024-01-01,read,5\n")
    output = sidmill("check").output
    assert "\x1b" not in output
    assert "[bold]zoe" in output


def test_params_that_cannot_be_read_are_a_sentence(home):
    (home / "params.yaml").write_text("interactions: {spilt: x}\n")
    done = sidmill("check")
    assert isinstance(done.exception, UserError)
    assert "unknown param `interactions.spilt`" in str(done.exception)


def test_the_estimate_knows_every_stage_and_grows_with_the_data():
    assert sorted(STAGES) == stage_names()
    small = {"items": 9061, "characters": 394_860, "interactions": 99_997, "users": 671}
    large = {name: 100 * size for name, size in small.items()}
    assert 200 < estimate(small)["seconds"] < 1000
    assert not estimate(small)["extrapolated"]
    assert estimate(large)["extrapolated"]
    for name in ("seconds", "memory_mb"):
        assert estimate(large)[name] > estimate(small)[name]
    plain, final = estimate(small)["stages"], estimate(small, final=True)["stages"]
    assert final["final_fit"] > plain["retriever"] + plain["rankers"] > plain["final_fit"]
