from __future__ import annotations

import json
import os
import shutil
import signal
import subprocess
import sys

import pytest
import yaml
from synthetic_queries.chat_server import serving

from assets.interactions.artifact import Interactions
from assets.synthetic_queries.artifact import SyntheticQueries


@pytest.fixture
def shop(project, tmp_path):
    """A folder with params.yaml and the small project's interactions."""
    interactions = project.make("interactions")
    (tmp_path / "data").mkdir()
    shutil.copytree(interactions, tmp_path / "data" / "interactions")

    def settle(server, llm=(), **openai):
        params = yaml.safe_load((project.folder / "params.yaml").read_text())
        section = params["synthetic_queries"]
        section["generator"] = "openai"
        section["llm"] |= {"queries": 3, "most_items": 40, **dict(llm)}
        section["openai"] |= {"model": "m", "base_url": server.url, "backoff": 0.0, **openai}
        (tmp_path / "params.yaml").write_text(yaml.safe_dump(params))
        return tmp_path

    return settle


def contents(folder):
    return {f.name: f.read_bytes() for f in (folder / "data" / "synthetic_queries").iterdir()}


def test_written_queries_stand_beside_composed_ones_and_the_report_tells_all(shop, run_in):
    with serving() as server:
        folder = shop(server)
        done = run_in("synthetic_queries", folder, SIDMILL_OPENAI_KEY="hush")
    assert done.returncode == 0, done.stderr
    assert server.keys == {"Bearer hush"}
    assert "hush" not in done.stdout + done.stderr
    assert "items get queries of `attributes` instead (not asked, llm.most_items: " in done.stdout

    table = SyntheticQueries.load(folder / "data" / "synthetic_queries").table
    interactions = Interactions.load(folder / "data" / "interactions")
    assert (table["query"].map(interactions.query_split) == table["split"]).all()
    assert set(table["item_id"]) == set(interactions.items["item_id"])
    kinds = table.drop_duplicates("query")["kind"].value_counts()
    assert kinds["written"] == pytest.approx(120, abs=3)
    assert kinds["paraphrase"] == pytest.approx(120, abs=3)
    assert kinds["navigational"] > 100

    text = (folder / "data" / "synthetic_queries" / "report.json").read_text()
    report = json.loads(text)
    assert "hush" not in text
    assert report["answers"] == 80
    assert report["answer_lines"] == 240
    assert report["answers_malformed"] == 0
    assert len(report["side_by_side"]) == 20
    assert all(row["written"] and row["attributes"] for row in report["side_by_side"])


def test_without_a_stand_in_items_without_written_queries_have_none_and_a_line_says_so(
    shop, run_in
):
    with serving() as server:
        folder = shop(server, llm={"otherwise": "none", "paraphrases": 0}, max_requests=10)
        done = run_in("synthetic_queries", folder)
    assert "get no made query (not asked, llm.most_items: " in done.stdout
    assert "spending limit: 30" in done.stdout
    assert " items have no query in the train split" in done.stdout
    table = SyntheticQueries.load(folder / "data" / "synthetic_queries").table
    assert table["item_id"].nunique() == 10
    assert set(table["kind"]) == {"written"}


def test_a_run_killed_half_way_goes_on_where_it_was_and_ends_with_the_same_bytes(shop, run_in):
    with serving() as undisturbed:
        folder = shop(undisturbed)
        assert run_in("synthetic_queries", folder).returncode == 0
        expected = contents(folder)
        shutil.rmtree(folder / "data" / "cache")

    process: list[subprocess.Popen] = []

    def kill_at_30(number, prompt):
        if number == 30:
            process[0].kill()

    with serving(fault=kill_at_30) as server:
        folder = shop(server)
        command = [sys.executable, "-m", "assets.synthetic_queries"]
        environment = os.environ | {"SIDMILL_OPENAI_CONCURRENCY": "2"}
        process.append(
            subprocess.Popen(command, cwd=folder, env=environment, stdout=subprocess.DEVNULL)
        )
        assert process[0].wait() == -signal.SIGKILL
        asked = len(server.bodies)
        done = run_in("synthetic_queries", folder)
        assert done.returncode == 0, done.stderr
        assert len(server.bodies) - asked <= 80 - 30 + 2
        assert max(server.prompts.values()) <= 2
        assert sum(count == 2 for count in server.prompts.values()) <= 3

        before = len(server.bodies)
        assert run_in("synthetic_queries", folder).returncode == 0
        assert len(server.bodies) == before
    assert contents(folder) == expected
