"""Reads the source of every stage: the test split is named where it is made, and by metrics.

The final fit, whose work nobody measures, names no split: it has all of them taken for train.
"""

from __future__ import annotations

import ast
import re
from pathlib import Path

import pytest

from assets.stage import stage_names

ASSETS = Path(__file__).parents[2] / "assets"
READERS = {"interactions", "queries", "pairs", "popularity", "sessions", "tasks"}
# These two decide which split a row lies in; the second passes real queries of all splits on.
MAKERS = {"interactions", "synthetic_queries"}
STAGES = [stage for stage in stage_names() if stage != "metrics"]


def _trees(stage: str) -> list[tuple[Path, ast.Module]]:
    files = sorted((ASSETS / stage).glob("**/*.py"))
    return [(file, ast.parse(file.read_text(encoding="utf-8"))) for file in files]


def _names_test(node: ast.AST) -> bool:
    return isinstance(node, ast.Constant) and node.value == "test"


@pytest.mark.parametrize("stage", [stage for stage in STAGES if stage not in MAKERS])
def test_no_stage_that_learns_names_the_test_split(stage):
    for file, tree in _trees(stage):
        lines = [node.lineno for node in ast.walk(tree) if _names_test(node)]
        assert not lines, f"{file} names the test split in lines {lines}"


@pytest.mark.parametrize("stage", STAGES)
def test_every_reader_of_splits_is_told_which_and_never_test(stage):
    """A split is a literal where it is read, so that this test can see it."""
    for file, tree in _trees(stage):
        for node in ast.walk(tree):
            if not (isinstance(node, ast.Call) and isinstance(node.func, ast.Attribute)):
                continue
            if node.func.attr not in READERS or file == ASSETS / "interactions" / "artifact.py":
                continue
            if node.func.attr == "queries" and stage in MAKERS:
                continue
            named = [arg.value for arg in node.args if isinstance(arg, ast.Constant)]
            where = f"{file}:{node.lineno}"
            assert len(named) == len(node.args), f"{where} reads a split that is no literal"
            assert set(named) <= {"train", "validation"}, f"{where} reads {named}"


@pytest.mark.parametrize("stage", [stage for stage in STAGES if stage not in MAKERS])
def test_no_stage_that_learns_opens_the_tables_itself(stage):
    for file, tree in _trees(stage):
        for node in ast.walk(tree):
            if isinstance(node, ast.Attribute):
                where = f"{file}:{node.lineno}"
                private = node.attr == "_read" and ast.unparse(node.value) != "self"
                assert not private, f"{where} reads a table whatever the split"
            if isinstance(node, ast.Constant) and isinstance(node.value, str):
                taken = {"interactions.parquet", "queries.parquet", "pairs.parquet"}
                assert node.value not in taken, f"{file}:{node.lineno} opens {node.value} itself"


@pytest.mark.parametrize("stage", [stage for stage in STAGES if stage not in MAKERS])
def test_a_table_of_all_queries_is_cut_to_a_split_where_it_is_read(stage):
    for file, tree in _trees(stage):
        for node in ast.walk(tree):
            if not isinstance(node, ast.stmt) or hasattr(node, "body"):
                continue
            source = ast.unparse(node)
            if "queries.table" in source:
                cut = re.search(r"\['split'\] == '(train|validation)'", source)
                assert cut, f"{file}:{node.lineno} reads queries of all splits"


@pytest.mark.parametrize("stage", [stage for stage in STAGES if stage not in MAKERS])
def test_the_final_fit_alone_takes_all_splits_for_train(stage):
    for file, tree in _trees(stage):
        taken = [
            node.lineno
            for node in ast.walk(tree)
            if isinstance(node, ast.Attribute) and node.attr == "all_as_train"
        ]
        # the processes that train for it read anew what it was given
        learn_all = {ASSETS / "final_fit" / "again.py", ASSETS / "retriever" / "processes.py"}
        assert bool(taken) == (file in learn_all), f"{file}:{taken}"
