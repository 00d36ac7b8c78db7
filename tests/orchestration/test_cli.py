"""The command line as people and machines use it."""

from __future__ import annotations

import io
import json
import os
import re
import select
import shutil
import signal
import socket
import subprocess
import sys

import pytest
import torch
from rich.console import Console

from assets.interactions.artifact import Interactions
from assets.semantic_ids.artifact import SemanticIds
from assets.training.forecast import Forecast
from orchestration.commands.full_run import Watcher
from orchestration.commands.main import main
from orchestration.commands.terminal import cell
from orchestration.releases.publishing import publish
from orchestration.releases.store import current

STAGES = ["interactions", "codebooks", "semantic_ids", "quality_gate", "retriever", "metrics"]


@pytest.fixture
def released(shop, monkeypatch):
    """The shop with one release; the current folder is in it."""
    publish(shop.root)
    monkeypatch.chdir(shop.root)
    return shop


@pytest.fixture
def answering(put_release, tmp_path, monkeypatch):
    """The current folder holds a release that answers, and nothing else."""
    put_release(tmp_path)
    for name in ("params.yaml", "dvc.yaml"):
        (tmp_path / name).touch()
    monkeypatch.chdir(tmp_path)


def sidmill(capsys, *words):
    """Run a command in this process: exit code, stdout, stderr."""
    capsys.readouterr()
    with pytest.raises(SystemExit) as end:
        main(words)
    out, err = capsys.readouterr()
    return end.value.code or 0, out, err


def test_help_names_every_command_and_imports_nothing_heavy():
    check = "import sys; from orchestration.commands import main as cli; print(*sys.modules)"
    done = subprocess.run([sys.executable, "-c", check], capture_output=True, text=True, check=True)
    heavy = {"torch", "transformers", "pandas", "numpy", "pydantic", "dagster", "dvc"}
    assert not heavy & set(done.stdout.split())
    code = "from orchestration.commands.main import main; main(['--help'])"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    commands = [
        "run",
        "publish",
        "releases",
        "rollback",
        "status",
        "ui",
        "search",
        "recommend",
        "show",
        "export",
        "serve",
        "doctor",
    ]
    assert all(f" {command} " in done.stdout for command in commands)


def test_on_a_terminal_a_forecast_stays_where_progress_comes_and_goes():
    out = io.StringIO()
    watcher = Watcher(Console(file=out, force_terminal=True, width=200))
    forecast = Forecast("training", 800, ["fewer `retriever.steps` (now 800)"])
    said = [forecast.after(seconds) for seconds in (20.0, 20.0)]
    with watcher.watching():
        watcher.take("Running stage 'retriever':")
        watcher.take(said[-1])
        watcher.take("  training: 2 of 800, 15960 s left")
    assert re.search(
        r"takes about 4.4 h .* fewer `retriever.steps` \(now 800\)\S*\n", out.getvalue()
    )


@pytest.mark.parametrize(
    "command", ["search star", "recommend --items 1", "export recommendations", "serve"]
)
@pytest.mark.usefixtures("answering")
def test_a_device_that_is_not_there_is_named_by_every_command(monkeypatch, capsys, command):
    monkeypatch.setattr(torch.cuda, "is_available", lambda: False)
    monkeypatch.setenv("SIDMILL_DEVICE", "cuda")
    code, _, err = sidmill(capsys, *command.split())
    assert code == 1
    assert "SIDMILL_DEVICE is `cuda`, but torch sees no GPU" in err


def test_show_needs_no_model_library(released):
    check = (
        "import sys; from orchestration.commands.main import main\n"
        "try: main(['show', sys.argv[1], '--json'])\n"
        "except SystemExit: print(*sys.modules)"
    )
    item = SemanticIds.load(released.root / "data" / "semantic_ids").item_ids[0]
    command = [sys.executable, "-c", check, item]
    done = subprocess.run(command, cwd=released.root, capture_output=True, text=True, check=True)
    answer, modules = done.stdout.splitlines()
    assert json.loads(answer)["item_id"] == item
    assert not {"torch", "transformers", "sentence_transformers"} & set(modules.split())


def test_outside_a_project_a_sentence_says_where_to_go(tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    code, out, err = sidmill(capsys, "releases")
    assert (code, out) == (1, "")
    assert "error: no project in" in err
    assert "params.yaml and dvc.yaml" in err


def test_a_folder_inside_the_project_will_do(released, monkeypatch, capsys):
    monkeypatch.chdir(released.root / "made" / "codebooks")
    code, out, _ = sidmill(capsys, "releases", "--json")
    assert code == 0
    assert [row["current"] for row in json.loads(out)] == [True]


@pytest.mark.parametrize(
    "words",
    [
        ("search", "robots"),
        ("recommend", "--items", "1"),
        ("show", "1"),
        ("rollback",),
        ("export",),
        ("serve", "--port", "18000"),
    ],
)
def test_without_a_release_a_sentence_says_so(shop, monkeypatch, capsys, words):
    monkeypatch.chdir(shop.root)
    code, out, err = sidmill(capsys, *words)
    assert (code, out) == (1, "")
    assert err.startswith("error: nothing is released yet")
    assert "Traceback" not in err


def test_wrong_usage_ends_with_two(released, capsys):
    assert sidmill(capsys, "recommend")[0] == 2
    assert sidmill(capsys, "recommend", "--user", "1", "--items", "1")[0] == 2
    assert sidmill(capsys, "search", "robots", "-k", "0")[0] == 2
    assert sidmill(capsys, "no-such-command")[0] == 2


def test_a_run_names_every_stage_publishes_and_then_has_nothing_to_do(shop):
    shutil.rmtree(shop.root / "data" / "codebooks")
    (shop.root / "dvc.lock").unlink()
    shutil.rmtree(shop.root / ".dvc" / "cache")
    done = shop.sidmill("run")
    assert done.returncode == 0, done.stderr
    assert "codebooks: copied" in done.stdout
    found = [line.split() for line in done.stdout.splitlines() if line.startswith("✓")]
    assert [(words[1], words[2]) for words in found[:-1]] == [(name, "ran") for name in STAGES]
    assert found[-1][1:3] == ["release", "published"]
    assert "Running stage" not in done.stdout
    assert "0.3000" in done.stdout  # the closing table

    again = shop.sidmill("run", "--json")
    assert again.returncode == 0, again.stderr
    result = json.loads(again.stdout)
    assert [stage["name"] for stage in result["stages"]] == STAGES
    assert {stage["outcome"] for stage in result["stages"]} == {"unchanged"}
    assert result["release"] == current(shop.root).name == result["release"]
    assert result["table"][0]["recall@10"] == 0.3
    assert "unchanged, still r1-" in again.stderr


def test_what_dvc_restores_is_not_called_run(released):
    released.measured(search=0.4)
    assert released.sidmill("run").returncode == 0
    released.measured(search=0.3)
    stages = json.loads(released.sidmill("run", "--json").stdout)["stages"]
    assert {stage["name"]: stage["outcome"] for stage in stages}["metrics"] == "restored from cache"


def test_a_folder_without_git_or_dvc_settings_just_runs(shop):
    (shop.root / ".dvc" / "config.local").unlink()
    done = shop.sidmill("run")
    assert done.returncode == 0, done.stderr
    assert "no git repository here" in done.stdout
    shutil.rmtree(shop.root / ".dvc")
    done = shop.sidmill("run")
    assert done.returncode == 0, done.stderr
    assert "made .dvc" in done.stdout


def test_a_failed_gate_names_the_expectation_and_the_release_still_answers(released, capsys):
    file = released.root / "made" / "quality_gate" / "verdict.json"
    outcome = json.loads(file.read_text())["outcomes"][0] | {"observed": 0.7, "passed": False}
    file.write_text(json.dumps(json.loads(file.read_text()) | {"outcomes": [outcome]}))
    (released.root / "fail-quality_gate").touch()
    before = current(released.root)
    done = released.sidmill("run")
    assert done.returncode == 1
    assert "gini_of_different is 0.7, expected at most 0.6: off by 0.1" in done.stderr
    assert f"released {before.name} is untouched and still answers" in done.stderr
    assert "retriever" not in done.stdout
    assert "Traceback" not in done.stderr
    assert current(released.root) == before
    item = SemanticIds.load(before.folder / "semantic_ids").item_ids[0]
    assert sidmill(capsys, "show", item)[0] == 0


def test_a_failed_stage_is_named_with_its_own_last_lines(shop):
    (shop.root / "fail-codebooks").touch()
    shop.change("codebooks/note.json", {"new": True})
    done = shop.sidmill("run")
    assert done.returncode == 1
    assert "error: stage codebooks failed:\n  codebooks: copied\nNothing is released" in done.stderr


def test_a_run_whose_result_is_worse_shows_it_but_publishes_nothing(released):
    released.measured(search=0.1)
    done = released.sidmill("run")
    assert done.returncode == 1
    assert "not published: search recall@10 falls from 0.3000 to 0.1000" in done.stderr
    assert "`sidmill publish --force` publishes all the same" in done.stderr
    assert released.sidmill("publish").returncode == 1
    forced = released.sidmill("publish", "--force", "--json")
    entry = json.loads(forced.stdout)
    assert entry["number"] == 2
    assert "search recall@10 falls" in entry["accepted"][0]
    assert any("could not have been told from chance" in note for note in entry["notes"])
    assert "nothing to do: r2-" in released.sidmill("publish").stdout
    assert "current is now r1-" in released.sidmill("rollback").stdout


def test_status_says_what_is_stale_why_and_what_is_released(released, capsys):
    code, out, _ = sidmill(capsys, "status")
    assert code == 0
    assert "out of date" not in out
    assert "these very assets" in out
    released.change("codebooks/note.json", {"new": True})
    code, out, _ = sidmill(capsys, "status", "--json")
    told = json.loads(out)
    assert told["stale"]["codebooks"] == ["made/codebooks modified"]
    assert told["stale"]["semantic_ids"] == ["follows codebooks"]
    assert "interactions" not in told["stale"]
    assert told["release"]["name"] == current(released.root).name
    assert not told["released"]


def test_show_tells_who_shares_each_prefix(released, capsys):
    ids = SemanticIds.load(released.root / "data" / "semantic_ids")
    place = len(ids.item_ids) // 2
    code, out, _ = sidmill(capsys, "show", ids.item_ids[place], "--json")
    assert code == 0
    told = json.loads(out)
    for length, row in enumerate(told["prefixes"], start=1):
        same = [
            item
            for item, codes in zip(ids.item_ids, ids.codes.tolist(), strict=True)
            if codes[:length] == ids.codes[place].tolist()[:length]
        ]
        assert row["items"] == len(same)
        assert {other["item_id"] for other in row["others"]} <= set(same) - {ids.item_ids[place]}
        assert len(row["others"]) == min(5, len(same) - 1)
    assert told["sid"] == told["prefixes"][-1]["prefix"]
    assert told["prefixes"][0]["labels"][0]["share"] > 0


def test_an_unknown_item_is_answered_with_titles_that_hold_the_word(released, capsys):
    items = Interactions.load(released.root / "data" / "interactions").items
    word = items["title"].iloc[0].split()[0]
    code, out, err = sidmill(capsys, "show", word)
    assert (code, out) == (1, "")
    assert f"no item has the id '{word}'" in err
    assert items["item_id"].iloc[0] in err or len(err.split("(")) > 5
    assert "titles with" not in sidmill(capsys, "show", "[bold]no such thing")[2]


def test_text_from_data_cannot_steer_the_terminal():
    assert cell("\x1b[31mred\nline [bold]").plain == " [31mred line [bold]"


@pytest.mark.parametrize("command", ["ui", "serve"])
def test_a_taken_port_is_a_sentence(released, capsys, command):
    with socket.socket() as other:
        other.bind(("127.0.0.1", 0))
        other.listen()
        port = other.getsockname()[1]
        code, _, err = sidmill(capsys, command, "--port", str(port))
    assert code == 1
    assert f"port {port} is taken: try `sidmill {command} --port {port + 1}`" in err


def test_stopping_a_run_stops_the_stage_too(shop):
    os.mkfifo(shop.root / "alive")  # open for writing as long as the stage lives
    graph = (shop.root / "dvc.yaml").read_text()
    waits = "exec tail -f /dev/null > alive"
    (shop.root / "dvc.yaml").write_text(graph.replace("echo codebooks: copied", waits))
    script = [sys.executable, "-c", "from orchestration.commands.main import main; main(['run'])"]
    with (
        subprocess.Popen(script, cwd=shop.root, stdout=subprocess.DEVNULL) as run,
        (shop.root / "alive").open("rb") as alive,
    ):
        run.send_signal(signal.SIGTERM)
        assert run.wait(timeout=30) == 143
        assert select.select([alive], [], [], 30)[0] == [alive]
        assert alive.read() == b""


@pytest.mark.usefixtures("answering")
def test_a_real_release_searches_and_recommends(project, tmp_path, capsys):
    data = Interactions.load(project.folder / "data" / "interactions")
    titles = data.items.set_index("item_id")["title"]

    code, out, _ = sidmill(capsys, "search", "star wars", "-k", "5", "--json")
    rows = json.loads(out)
    assert code == 0
    assert [row["rank"] for row in rows] == [1, 2, 3, 4, 5]
    assert all(titles[row["item_id"]] == row["title"] for row in rows)
    code, out, err = sidmill(capsys, "search", " ")
    assert (code, out) == (1, "")
    assert "the query is empty" in err
    for part in ("retriever", "dense", "bm25"):
        assert "star" in sidmill(capsys, "search", "star wars", "--by", part)[1].lower()
    code, out, _ = sidmill(capsys, "search", "star wars", "-k", "5", "--explain")
    assert "rank by each part" in out
    assert f"1. {rows[0]['title']}: <a_" in out
    code, _, err = sidmill(capsys, "search", "star wars", "--by", "nobody")
    assert (code, "no part `nobody`: there are retriever," in err) == (1, True)

    user = data.interactions("train")["user_id"].iloc[0]
    history = data.histories()[user]
    code, out, _ = sidmill(capsys, "recommend", "--user", user, "--json")
    assert code == 0
    assert not {row["item_id"] for row in json.loads(out)} & set(history)
    words = ",".join(history[:2])
    assert "goes with" in sidmill(capsys, "recommend", "--items", words, "--explain")[1]
    assert len(json.loads(sidmill(capsys, "recommend", "--items", words, "--json")[1])) == 10
    code, _, err = sidmill(capsys, "recommend", "--items", "no such item")
    assert code == 1
    assert "no such item" in err
    code, _, err = sidmill(capsys, "recommend", "--user", "nobody")
    assert (code, "user nobody has no interactions in r1-" in err) == (1, True)

    piped = subprocess.run(
        [
            sys.executable,
            "-c",
            "from orchestration.commands.main import main; main(['search', '--json'])",
        ],
        input="star wars\n\nrobots\n",
        cwd=tmp_path,
        capture_output=True,
        text=True,
        check=True,
    )
    told = [json.loads(line) for line in piped.stdout.splitlines()]
    assert [line["query"] for line in told] == ["star wars", "robots"]
    assert told[0]["results"][:5] == rows
