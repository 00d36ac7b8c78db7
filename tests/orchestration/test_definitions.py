"""What Dagster is shown: the same graph as DVC's, and nothing that surprises."""

from __future__ import annotations

import ast
import json
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import dagster as dg
import pytest
import yaml

from assets.quality_gate.expectations import EXPECTATIONS
from orchestration.definitions import build_definitions

ROOT = Path(__file__).parents[2]
SNAPSHOT = Path(__file__).with_name("asset_specs.json")
DVC = yaml.safe_load((ROOT / "dvc.yaml").read_text(encoding="utf-8"))["stages"]


@pytest.fixture(scope="module")
def definitions() -> dg.Definitions:
    return build_definitions(ROOT)


def keys(selection: str, definitions: dg.Definitions) -> set[str]:
    graph = definitions.resolve_asset_graph()
    found = dg.AssetSelection.from_string(selection).resolve(graph)
    return {key.to_user_string() for key in found}


def test_definitions_load(definitions):
    dg.Definitions.validate_loadable(definitions)


def test_asset_specs_are_those_of_the_snapshot(definitions):
    """A change of the graph is seen in review: write the file anew when it is meant.

    python tests/orchestration/test_definitions.py
    """
    assert specs(definitions) == json.loads(SNAPSHOT.read_text(encoding="utf-8"))


def test_a_string_selects_everything_after_an_asset(definitions):
    """This breaks first where antlr and Dagster's parser do not fit: pip does not notice."""
    after = ["semantic_ids", "collision_report", "quality_gate", "retriever", "answers"]
    after += ["metrics", "final_fit", "release"]
    assert keys("key:codebooks+", definitions) == {"codebooks", *after}
    assert keys("codebooks*", definitions) == {"codebooks", *after}
    assert keys("codebooks+", definitions) < {"codebooks", *after}  # one step only


def test_strings_select_by_group_kind_and_everything(definitions):
    assert keys("*", definitions) == {*DVC, "release"}
    assert keys("group:semantic_ids and kind:faiss", definitions) == {
        name
        for name, stage in DVC.items()
        if stage["meta"]["group"] == "semantic_ids" and "faiss" in stage["meta"]["kinds"]
    }


def test_the_graph_is_that_of_dvc_dag(definitions):
    done = subprocess.run(
        [sys.executable, "-m", "dvc", "dag", "--mermaid"],
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=True,
    )
    nodes, edges = {}, set()
    for line in map(str.strip, done.stdout.splitlines()):
        if "[" in line:
            node, _, name = line.partition("[")
            nodes[node] = name.strip('"]')
        elif "-->" in line:
            edges.add(tuple(line.split("-->")))
    assert edges
    assert {(nodes[a], nodes[b]) for a, b in edges} == {
        (dep.asset_key.to_user_string(), spec.key.to_user_string())
        for spec in definitions.resolve_all_asset_specs()
        for dep in spec.deps
        if spec.key.to_user_string() != "release"
    }


def test_every_expectation_is_a_blocking_check_on_the_gate(definitions):
    checks = {
        key.name: check
        for assets in definitions.assets
        for key, check in ((c.key, c) for c in assets.check_specs)
    }
    assert list(checks) == [expectation.name for expectation in EXPECTATIONS]
    assert all(
        c.blocking and c.asset_key.to_user_string() == "quality_gate" for c in checks.values()
    )


def test_nothing_starts_by_itself_but_the_note_taking(definitions):
    repository = definitions.get_repository_def()
    on = [s.name for s in repository.sensor_defs if s.default_status.value == "RUNNING"]
    on += [s.name for s in repository.schedule_defs if s.default_status.value == "RUNNING"]
    assert on == ["dvc_repro"]
    assert {s.name for s in repository.sensor_defs} == {"dvc_repro", "incoming_files"}
    assert [s.cron_schedule for s in repository.schedule_defs] == ["0 3 * * 0"]


def test_one_run_at_a_time(tmp_path):
    text = (ROOT / "orchestration" / "commands" / "dagster.yaml").read_text(encoding="utf-8")
    (tmp_path / "dagster.yaml").write_text(text)
    with dg.DagsterInstance.from_config(str(tmp_path)) as instance:
        concurrency = instance.get_concurrency_config()
        assert concurrency.run_queue_config.max_concurrent_runs == 1
        assert concurrency.pool_config.default_pool_limit == 1
        assert not instance.telemetry_enabled


@pytest.mark.parametrize("stage", DVC)
def test_deps_of_a_stage_are_exactly_the_code_it_imports(stage):
    own = f"assets/{stage}/"
    imported = {file for file in imports_of(f"assets/{stage}/__main__.py") if own not in file}
    imported -= {file for file in imported if file.endswith("/__init__.py")}
    deps = {dep for dep in DVC[stage]["deps"] if dep.startswith("assets/")}
    assert f"assets/{stage}" in deps
    covered = {file for file in imported if any(_covers(dep, file) for dep in deps)}
    assert imported - covered == set(), "imported, but no dep"
    idle = {dep for dep in deps - {own[:-1]} if not any(_covers(dep, file) for file in imported)}
    assert idle == set(), "a dep, but never imported"


# A file of code -> the stages that run again when it is touched. What follows from their outputs
# runs too, if these come out otherwise; nothing else does.
TRAINING = {"bi_encoder", "codebooks", "retriever", "rankers", "final_fit"}
RERUN = {
    "assets/interactions/warehouse.py": {"interactions"},
    "assets/synthetic_queries/attributes.py": {"synthetic_queries"},
    "assets/bi_encoder/training.py": {"bi_encoder"},
    "assets/bi_encoder/loss.py": {"bi_encoder"},
    "assets/embeddings/geometry.py": {"embeddings"},
    "assets/codebooks/fitting/rq_vae_training.py": {"codebooks"},
    "assets/codebooks/fitting/collapse_doctor.py": {"codebooks"},
    "assets/semantic_ids/rrs.py": {"semantic_ids"},
    "assets/collision_report/page.py": {"collision_report"},
    "assets/quality_gate/judging.py": {"quality_gate"},
    "assets/retriever/training.py": {"retriever", "final_fit"},
    "assets/rankers/fitting.py": {"rankers", "final_fit"},
    "assets/answers/choosing.py": {"answers"},
    "assets/metrics/figures.py": {"metrics"},
    "assets/final_fit/again.py": {"final_fit"},
    "assets/sequential/spectral.py": {"retriever", "rankers", "final_fit"},
    "assets/training/schedules.py": {*TRAINING},
}


@pytest.mark.parametrize("file", RERUN)
def test_a_touched_file_reruns_its_own_stage_alone(file):
    assert (ROOT / file).is_file()
    assert touched(file) == RERUN[file]


def test_a_touched_file_of_training_reruns_stages_that_train_alone():
    for file in (ROOT / "assets" / "training").glob("[!_]*.py"):
        assert touched(str(file.relative_to(ROOT))) <= TRAINING


def test_dvc_reruns_what_its_deps_say(hollow_house):
    assert hollow_house.pipeline.stale() == {}
    for name in ("assets/retriever/training.py", "assets/machine.py"):
        file = hollow_house.root / name
        code = file.read_text(encoding="utf-8")
        file.write_text(f"{code}\n# touched\n", encoding="utf-8")
        assert set(json.loads(hollow_house.dvc("status", "--json").stdout)) == touched(name)
        file.write_text(code, encoding="utf-8")


def test_no_knob_has_a_name_that_dvc_leaves_out_of_its_run_cache():
    """DVC drops keys `size` and `nfiles` at any depth when it hashes what a stage ran with.

    Changing such a knob would restore the result of its old value.
    """
    params = yaml.safe_load((ROOT / "params.yaml").read_text(encoding="utf-8"))
    assert not {"size", "nfiles"} & set(_all_keys(params))


def test_the_walls_between_packages_stand():
    done = subprocess.run(
        [str(Path(sys.executable).with_name("lint-imports")), "--no-cache"],
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stdout


def specs(definitions: dg.Definitions) -> list[dict[str, object]]:
    return [
        {
            "key": spec.key.to_user_string(),
            "deps": sorted(dep.asset_key.to_user_string() for dep in spec.deps),
            "group": spec.group_name,
            "kinds": sorted(spec.kinds),
            "description": spec.description,
        }
        for spec in sorted(definitions.resolve_all_asset_specs(), key=lambda spec: spec.key)
    ]


def imports_of(file: str, seen: set[str] | None = None) -> set[str]:
    """Files under assets/ that a file imports, and what those import."""
    seen = set() if seen is None else seen
    for module in _modules(ast.parse((ROOT / file).read_text(encoding="utf-8"))):
        path = module.replace(".", "/")
        for candidate in (f"{path}.py", f"{path}/__init__.py"):
            if (
                module.startswith("assets.")
                and (ROOT / candidate).is_file()
                and candidate not in seen
            ):
                seen.add(candidate)
                imports_of(candidate, seen)
    return seen


def _modules(tree: ast.AST) -> Iterator[str]:
    """Modules that are imported at run time, anywhere in a file."""
    for node in ast.iter_child_nodes(tree):
        if isinstance(node, ast.If) and ast.unparse(node.test) == "TYPE_CHECKING":
            continue
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom) and node.module:
            yield node.module
            yield from (f"{node.module}.{alias.name}" for alias in node.names)
        else:
            yield from _modules(node)


def touched(file: str) -> set[str]:
    """Stages that have a file among their deps."""
    return {name for name, stage in DVC.items() if any(_covers(dep, file) for dep in stage["deps"])}


def _covers(dep: str, file: str) -> bool:
    return file == dep or file.startswith(f"{dep}/")


def _all_keys(value: object) -> Iterator[str]:
    if isinstance(value, dict):
        for key, inner in value.items():
            yield key
            yield from _all_keys(inner)


if __name__ == "__main__":
    text = json.dumps(specs(build_definitions(ROOT)), indent=1) + "\n"
    SNAPSHOT.write_text(text, encoding="utf-8")
