"""Studies on the toy pipeline, and one on the small real project; every number is DVC's own."""

import json
import re
import shutil
import subprocess

import pytest
import yaml
from conftest import ROOT

from assets.stage import UserError
from orchestration.dvc_pipeline import Pipeline
from orchestration.studies.build_columns import COLUMNS
from orchestration.studies.experiments import fetch, references
from orchestration.studies.running import run_study
from orchestration.studies.study import jobs, load_study, records, studies
from orchestration.studies.table import study_table, write_study

STUDY = {
    "title": "Lines <b>and</b> times",
    "last_stage": "quality_gate",
    "seeds": [0, 1],
    "seeded": ["codebooks"],
    "grid": {
        "first": {"few": {"embeddings.times": 1}, "many": {"embeddings.times": 4}},
        "then": {"twice": {"codebooks.times": 2}, "often": {"codebooks.times": 3}},
    },
    "leave_out": [{"first": "few", "then": ["often"]}, {"first": "many", "then": "twice"}],
}
ONE = {
    "title": "One",
    "last_stage": "quality_gate",
    "variants": {"too much": {"codebooks.times": 9}},
}


def git(root, *words) -> str:
    who = ["-c", "user.name=t", "-c", "user.email=t@example.org"]
    return subprocess.run(
        ["git", *who, *words], cwd=root, check=True, capture_output=True, text=True
    ).stdout


def commit(root) -> None:
    git(root, "add", "--all")
    git(root, "commit", "--quiet", "--message", "start")


@pytest.fixture(scope="module")
def built_template(toy_template, tmp_path_factory):
    """The toy pipeline as a user has it, committed, and its study, run once."""
    root = tmp_path_factory.mktemp("study") / "toy"
    shutil.copytree(toy_template, root)
    make_ready(root)
    write_study_file(root, STUDY)
    commit(root)
    before = git(root, "status", "--porcelain")
    said = run(root, side_by_side=2)
    assert said[0].startswith("4 experiments, 0 of them there already, 4 to run")
    assert git(root, "status", "--porcelain") == before
    return root


@pytest.fixture
def built(built_template, toy, tmp_path):
    return type(toy)(shutil.copytree(built_template, tmp_path / "built"))


def make_ready(root) -> None:
    (root / "data" / "incoming" / ".gitkeep").touch()
    file = root / "params.yaml"
    params = yaml.safe_load(file.read_text())
    seeded = {section: {**values, "seed": 0} for section, values in params.items()}
    file.write_text(yaml.safe_dump(seeded, sort_keys=False))
    file = root / "dvc.yaml"
    pipeline = yaml.safe_load(file.read_text())
    reports = [f"data/{stage}/report.json" for stage in pipeline["stages"]]
    file.write_text(yaml.safe_dump(pipeline | {"metrics": reports}, sort_keys=False))


def write_study_file(root, content, name="lines") -> None:
    (root / "studies").mkdir(exist_ok=True)
    (root / "studies" / f"{name}.yaml").write_text(yaml.safe_dump(content, sort_keys=False))


def run(root, name="lines", **how) -> list[str]:
    said: list[str] = []
    run_study(root, name, said.append, **how)
    return said


class EnoughError(Exception):
    """Stops a study before it starts anything."""


def plan_of(root, **how) -> str:
    """What a study says that it would do."""

    def stop(line: str) -> None:
        raise EnoughError(line)

    with pytest.raises(EnoughError) as said:
        run_study(root, "lines", stop, **how)
    return str(said.value)


def all_jobs(root):
    pipeline = Pipeline.load(root)
    return jobs(load_study(root, "lines", pipeline), "lines", pipeline)


def test_every_variant_is_a_row_and_a_failed_one_says_why_and_what_it_was_like(built):
    ranking = study_table(built.root, "lines")
    few, many = ranking.rows
    assert (few.name, many.name) == ("few-twice", "many-often")
    assert (few.values["codebooks.lines"], many.values["codebooks.lines"]) == (2, 12)
    assert (few.sound, many.sound) == (True, False)
    assert few.notes == []
    (reason,) = many.notes  # the same for both seeds
    assert reason.startswith("quality_gate failed: ")
    assert "is 12, expected at most 10: off by 2" in reason
    assert few.labels == {"first": "few", "then": "twice", "seeds": 2}
    assert few.spread["codebooks.lines"] == 0
    assert few.ends["codebooks.lines"] == (2, 2)
    assert set(references(built.root)) == {job.name for job in all_jobs(built.root)}


def test_what_variants_share_is_made_once_also_side_by_side(built):
    seconds = [record.seconds for record in records(built.root, "lines").values()]
    assert sum("embeddings" in found for found in seconds) == 2  # once for each `first`
    for row in study_table(built.root, "lines").rows:
        assert row.spread["seconds.embeddings"] == 0  # both seeds tell the one time


def test_a_study_goes_on_where_it_stopped_and_repeats_only_what_changed(built):
    root = built.root
    assert plan_of(root) == "4 experiments, 4 of them there already, 0 to run"
    assert plan_of(root, again=True).endswith("2 of them there already, 2 to run")  # failed before
    write_study_file(root, STUDY | {"seeds": [0, 1, 2]})
    assert plan_of(root) == "6 experiments, 4 of them there already, 2 to run"
    assert "not run yet (seed 2)" in study_table(root, "lines").rows[0].notes
    write_study_file(root, STUDY)
    done = built.dvc("exp", "remove", "lines-few-twice-s1")
    assert done.returncode == 0, done.stderr
    assert run(root)[0] == "4 experiments, 3 of them there already, 1 to run"
    assert plan_of(root) == "4 experiments, 4 of them there already, 0 to run"
    built.set("quality_gate", most=15)
    commit(root)
    assert plan_of(root) == "4 experiments, 0 of them there already, 4 to run"


def test_the_table_is_written_as_csv_json_and_a_page(built):
    root = built.root
    page = write_study(root, "lines", study_table(root, "lines"))
    text = page.read_text()
    assert "Lines &lt;b&gt;and&lt;/b&gt; times" in text
    assert not re.findall(r"(?:src|href)=\"", text)  # nothing beside it is needed
    rows = json.loads(page.with_name("table.json").read_text())["rows"]
    assert [row["name"] for row in rows] == ["few-twice", "many-often"]
    assert rows[1]["notes"][0].startswith("quality_gate failed")
    assert len(page.with_name("table.csv").read_text().splitlines()) == 3
    assert "data" not in git(root, "status", "--porcelain")


def test_an_experiment_gives_back_any_file(built, tmp_path):
    rev = references(built.root)["lines-many-often-s0"][0]
    fetch(built.root, rev, "data/codebooks/report.json", tmp_path / "report.json")
    assert json.loads((tmp_path / "report.json").read_text()) == {"lines": 12}


def test_dagster_runs_a_study_and_shows_its_table(built, instance):
    import dagster as dg

    from orchestration.definitions import build_definitions

    job = build_definitions(built.root).resolve_job_def("study_lines")
    done = job.execute_in_process(instance=instance)
    assert done.success
    (event,) = instance.fetch_observations(dg.AssetKey("study_lines"), limit=2).records
    metadata = event.asset_observation.metadata
    assert "| many-often |" in metadata["What it took"].md_str
    assert metadata["page"].path.endswith("data/studies/lines/study.html")


def test_a_stage_that_fails_for_one_is_not_tried_for_those_that_share_it(built):
    root = built.root
    choices = {"a": {"retriever.seed": 1}, "b": {"retriever.seed": 2}}
    grid = {"lines": {"many": {"codebooks.times": 20}}, "seed": choices}
    study = {"title": "Two", "last_stage": "retriever", "grid": grid}
    write_study_file(root, study, "two")
    said = run(root, "two")
    assert any("two-many-b-s0: quality_gate fails as in two-many-a-s0" in line for line in said)
    first, second = study_table(root, "two").rows
    assert first.notes == second.notes
    assert "expected at most 10" in first.notes[0]


def test_files_that_people_dropped_are_there_in_every_experiment(built):
    root = built.root
    incoming = root / "data" / "incoming" / "items"
    incoming.mkdir()
    (incoming / "a.csv").write_text("item_id\n1\n")
    file = root / "dvc.yaml"
    command = "cmd: cat data/incoming/items/a.csv && python toy.py embeddings"
    file.write_text(file.read_text().replace("cmd: python toy.py embeddings", command))
    write_study_file(root, ONE, "one")
    commit(root)
    assert "items" not in git(root, "ls-files", "data")
    run(root, "one")
    (record,) = records(root, "one").values()
    assert (record.failed, "expected at most 10" in record.reason) == ("quality_gate", True)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"last_stage": "gate"}, "no stage is called `gate`; there are embeddings"),
        ({"variants": {"x": {"codebook.times": 1}}}, "no stage is called `codebook`"),
        ({"seed": 3}, "seed: Extra inputs are not permitted"),
        ({"variants": {}, "grid": {}, "leave_out": []}, "name some `variants` or a `grid`"),
        ({"leave_out": [{"first": "none"}]}, "`leave_out` names first 'none'"),
    ],
)
def test_a_study_that_cannot_be_is_refused_with_a_sentence(toy, change, message):
    write_study_file(toy.root, STUDY | change)
    with pytest.raises(UserError, match=r"studies/lines\.yaml: ") as error:
        run(toy.root)
    assert message in str(error.value)


def test_a_study_says_what_is_missing_before_it_starts(toy):
    root = toy.root
    with pytest.raises(UserError, match=r"studies/lines.yaml not found; the studies here are: n"):
        run(root)
    write_study_file(root, STUDY)
    with pytest.raises(UserError, match="has no commit yet"):
        run(root)
    make_ready(root)
    commit(root)
    toy.set("codebooks", times=5)
    with pytest.raises(UserError, match=r"not committed: params\.yaml\."):
        run(root)
    commit(root)
    (root / "toy.py").rename(root / "other.py")
    with pytest.raises(UserError, match=r"not committed: toy\.py\."):
        run(root)


def test_the_studies_of_the_house_name_params_that_exist():
    params = yaml.safe_load((ROOT / "params.yaml").read_text())
    for name in studies(ROOT):
        for variant in load_study(ROOT, name, Pipeline.load(ROOT)).plan():
            for key in variant.overrides:
                section, *rest = key.split(".")
                value = params[section]
                for part in rest:
                    assert part in value, f"{name}: {variant.name}: {key}"
                    value = value[part]


def test_every_measure_of_a_real_run_that_a_study_compares_is_a_column(project):
    """Whoever answers in it has a column of each task, but for what is off by default."""
    report = json.loads((project.make("metrics") / "report.json").read_text())
    keys = {column.key for column in COLUMNS if column.key.startswith("metrics.")}
    measured = {f"metrics.{key}" for key in report}
    off = {f"metrics.recommendation.repurchase.{name}@10" for name in ("recall", "ndcg")}
    assert keys - measured == off
    asked = [(row["task"], row["method"]) for row in report["table"]]
    assert keys >= {f"metrics.{task}.{method}.recall@10" for task, method in asked}


def test_without_git_a_study_says_how_to_begin(shop):
    write_study_file(shop.root, ONE | {"last_stage": "metrics"})
    with pytest.raises(UserError, match=r"no git repository.*git init"):
        run(shop.root)
