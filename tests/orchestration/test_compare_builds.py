"""Builds beside each other: what is best is marked, what changed is told."""

import json
import shutil
from dataclasses import replace

import pytest

from assets.semantic_ids.artifact import SemanticIds
from assets.stage import UserError
from orchestration.commands.main import main
from orchestration.studies.comparison import compare
from orchestration.studies.ranking import Column, Ranking, Row

PARTS = ("semantic_ids", "codebooks", "collision_report", "quality_gate")


@pytest.fixture
def builds(project, tmp_path):
    """A project with two builds: the real small one, and one in which items moved and left."""
    project.make("quality_gate")
    for name in ("old", "new"):
        for part in PARTS:
            shutil.copytree(project.folder / "data" / part, tmp_path / name / part)
    ids = SemanticIds.load(tmp_path / "new" / "semantic_ids")
    codes = ids.codes.copy()
    codes[:10, 2] = (codes[:10, 2] + 1) % 16
    codes[10, 0] = (codes[10, 0] + 1) % 16
    kept = slice(0, 290)
    changed = replace(
        ids,
        item_ids=ids.item_ids[kept],
        codes=codes[kept],
        raw_codes=ids.raw_codes[kept],
        moved_level=ids.moved_level[kept],
        distances=ids.distances[kept],
        policy="by hand",
    )
    changed.save(tmp_path / "new" / "semantic_ids")
    edit(tmp_path / "new" / "collision_report" / "report.json", mse=0.9, gini_worst_level=0.01)
    (tmp_path / "params.yaml").write_text("{}")
    (tmp_path / "dvc.yaml").write_text("stages: {}")
    return tmp_path


def edit(file, **changes) -> None:
    file.write_text(json.dumps(json.loads(file.read_text()) | changes))


def test_the_best_value_is_marked_and_what_changed_is_told(builds):
    ranking = compare(builds, ["old", "new"])
    old, new = ranking.rows
    best = {
        (row.name, column.name): ranking.is_best(row, column)
        for row in ranking.rows
        for column in ranking.columns
    }
    assert (best[old.name, "MSE after"], best[new.name, "MSE after"]) == (True, False)
    assert best[new.name, "Gini, worst level"]
    assert not best[old.name, "conflicts after"]  # equal: nobody is better
    assert old.notes == []
    words = " ".join(new.notes)
    assert (
        "Against old: 10 items gone; 279 of 290 (96.2%) kept their ID, 10 more their first" in words
    )
    assert "policy was rrs, is by hand" in words
    assert "better are Gini, worst level" in words
    assert "worse are MSE after" in words


def test_ids_of_other_codebooks_are_not_compared(builds):
    file = builds / "new" / "semantic_ids" / "manifest.json"
    edit(file, codebook_version="0" * 64)
    words = " ".join(compare(builds, ["old", "new"]).rows[1].notes)
    assert "no ID means what it did" in words
    assert "kept their ID" not in words


def test_a_build_that_the_gate_refused_is_never_the_best(builds):
    shutil.copy(builds / "old/semantic_ids/semantic_ids.parquet", builds / "new/semantic_ids")
    shutil.copy(builds / "old/semantic_ids/manifest.json", builds / "new/semantic_ids")
    file = builds / "new" / "quality_gate" / "verdict.json"
    verdict = json.loads(file.read_text())
    outcomes = {outcome["expectation"]: outcome for outcome in verdict["outcomes"]}
    outcomes["sid_version_agrees"] |= {"passed": False, "observed": 0.0}
    file.write_text(json.dumps(verdict))
    ranking = compare(builds, ["old", "new"])
    new = ranking.rows[1]
    assert "The quality gate refused it: sid_version_agrees is 0" in new.notes[0]
    assert not any(ranking.is_best(new, column) for column in ranking.columns)


def test_the_command_prints_tables_writes_a_page_and_knows_json(builds, monkeypatch, capsys):
    monkeypatch.chdir(builds)
    with pytest.raises(SystemExit) as ended:
        main(["ids", "compare", "old", "new"])
    assert ended.value.code == 0
    printed = capsys.readouterr().out
    assert "What the codes keep (* best)" in printed
    assert "Against old: 10 items gone" in printed
    assert "kept their ID" in (builds / "data" / "ids_compare.html").read_text()
    with pytest.raises(SystemExit):
        main(["ids", "compare", "old", "new", "--json", "--page", "here.html"])
    rows = json.loads(capsys.readouterr().out)["rows"]
    assert [row["policy"] for row in rows] == ["rrs", "by hand"]
    assert (builds / "here.html").is_file()


def test_a_build_that_does_not_exist_is_named_with_those_that_do(builds, monkeypatch):
    monkeypatch.chdir(builds)
    with pytest.raises(UserError, match="older is neither a release nor an experiment"):
        compare(builds, ["old", "older"])
    with pytest.raises(UserError, match="nothing is built yet"):
        compare(builds, [])
    shutil.rmtree(builds / "new" / "codebooks")
    with pytest.raises(UserError, match="lacks codebooks/"):
        compare(builds, ["new"])


def test_a_release_and_an_experiment_can_be_named(builds, put_release):
    put_release(builds)
    ranking = compare(builds, ["r1", "current", "r1-00000000", "old"])
    assert [row.labels["sid_version"] for row in ranking.rows] == [
        ranking.rows[3].labels["sid_version"]
    ] * 4
    assert "the same IDs for the same 300 items" in ranking.rows[1].notes[0]
    assert len(compare(builds, []).rows) == 1


def test_a_page_escapes_names_and_csv_holds_every_value(tmp_path):
    columns = [Column("a.x", "x", "g", "highest"), Column("a.y", "y", "g", form="share")]
    rows = [Row("<i>one", {"a.x": 1.0}, {"a.x": 0.5}), Row("two", {"a.x": 2.0, "a.y": 0.25})]
    ranking = Ranking.of(rows, [*columns, Column("a.z", "z", "g")])
    ranking.write_page(tmp_path / "p.html", "T", [], "")
    page = (tmp_path / "p.html").read_text()
    assert "&lt;i&gt;one" in page
    assert page.count('class="best"') == 1
    assert "±0.5000" in page
    assert ranking.csv().splitlines()[0] == "name,a.x,a.x spread,a.y,sound,notes"
    assert ranking.csv().splitlines()[2] == "two,2.0,,0.25,True,"
    assert "| two | **2.0000** | 25.0% |" in ranking.markdown(columns)


def test_a_terminal_shows_least_and_most_of_the_seeds_and_lays_a_wide_table_on_its_side():
    x, y = Column("a.x", "x", "g", "highest"), Column("a.y", "y", "g", form="share")
    rows = [
        Row("one", {"a.x": 1.0, "a.y": 0.5}, ends={"a.x": (0.5, 1.5), "a.y": (0.5, 0.5)}),
        Row("two", {"a.x": 22.0}, ends={"a.x": (9.0, 35.0)}),
    ]
    ranking = Ranking.of(rows, [x, y])
    assert ranking.printed([x, y]) == (
        ["", "x", "y"],
        [
            ["one", " 1.0000  (0.5000-1.5000)", "50.0%"],
            ["two", "22.0000* (9.0000-35.0000)", ""],
        ],
    )
    wide = Ranking.of(rows[:1], [x, y])
    assert wide.printed([x, y]) == (
        ["", "one"],
        [["x", "1.0000  (0.5000-1.5000)"], ["y", " 50.0%"]],
    )
    assert "| two | **22.0000** (9.0000-35.0000) |" in ranking.markdown([x])
    (first, _) = ranking.content()
    assert (first["a.x least"], first["a.x most"]) == (0.5, 1.5)
