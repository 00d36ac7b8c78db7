"""A wheel of Sidmill, installed into an empty environment and used from another folder."""

from __future__ import annotations

import shutil
import subprocess
import sys
import sysconfig
from pathlib import Path

import pytest
from conftest import ROOT

PACKAGES = ("sidmill", "assets", "orchestration")
FOUND = """
import sys, sidmill
print(sidmill.__file__)
print(*{"numpy", "torch", "pandas", "pydantic", "orchestration"} & set(sys.modules))
for name in sidmill.__all__:
    getattr(sidmill, name)
from assets.synthetic_queries import prompts
from orchestration.commands.incoming import EXAMPLE
print(EXAMPLE)
"""
BUILT = """
import numpy, sidmill
vectors = numpy.random.default_rng(0).normal(size=(60, 8)).astype("float32")
vectors[1] = vectors[0]
names = numpy.array([f"item {n:02}" for n in range(60)], dtype=object)
params = sidmill.CodebooksParams(codebook_size=8, levels=2)
fitted = sidmill.fit_quantizer(sidmill.TrainingData(vectors), params)
codebooks = sidmill.Codebooks(fitted.quantizer, "mine", {})
problem = sidmill.Problem.of(names, vectors, codebooks)
placed = sidmill.place_items(problem, sidmill.SemanticIdsParams(policy="rrs"))
print(len(problem.raw_codes), len(set(map(tuple, placed.codes.tolist()))))
"""
ASKED = """
import sys, sidmill
answers = sidmill.load(sys.argv[1])
print(*(one.item_id for one in answers.search("comedy", k=3)))
print(*(one.item_id for one in answers.recommend(sys.argv[2:], k=3)))
"""


@pytest.fixture(scope="module")
def environment(tmp_path_factory) -> Path:
    """An environment that holds the wheel, and sees what is installed here beside it."""
    folder = tmp_path_factory.mktemp("wheel")
    source = folder / "source"
    for name in PACKAGES:
        ignored = shutil.ignore_patterns("__pycache__")
        shutil.copytree(ROOT / name, source / name, ignore=ignored)
    for name in ("pyproject.toml", "README.md", "LICENSE"):
        shutil.copy(ROOT / name, source)
    pip = [sys.executable, "-m", "pip", "--quiet", "--disable-pip-version-check"]
    offline = ["--no-deps", "--no-index"]
    call([*pip, "wheel", *offline, "--no-build-isolation", "-w", str(folder), str(source)])
    home = folder / "environment"
    call([sys.executable, "-m", "venv", "--without-pip", str(home)])
    python = str(home / "bin" / "python")
    call([*pip, "--python", python, "install", *offline, str(next(folder.glob("*.whl")))])
    place = Path(call([python, "-c", "import sysconfig; print(sysconfig.get_path('purelib'))"]))
    (place / "beside.pth").write_text(sysconfig.get_path("purelib") + "\n")
    return home


@pytest.fixture
def elsewhere(tmp_path, monkeypatch) -> Path:
    """A folder that is no project and not the source's."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.delenv("PYTHONPATH", raising=False)
    return tmp_path


def call(command: list[str]) -> str:
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout.strip()


def test_it_holds_everything_that_is_no_code_and_imports_at_once(environment, elsewhere):
    python = str(environment / "bin" / "python")
    file, heavy, *_, example = call([python, "-c", FOUND]).splitlines()
    place = Path(file).parents[1]
    assert environment in place.parents
    assert heavy == ""
    assert place in Path(example).parents
    wanted = {
        str(path.relative_to(ROOT))
        for package in PACKAGES
        for path in (ROOT / package).rglob("*")
        if path.is_file() and "__pycache__" not in path.parts and path.suffix != ".py"
    }
    assert {Path(name).suffix for name in wanted} == {".j2", ".css", ".txt", ".yaml", ".csv"}
    assert {name for name in wanted if not (place / name).is_file()} == set()


def test_the_command_writes_an_example_and_examines_the_machine(environment, elsewhere):
    sidmill = str(environment / "bin" / "sidmill")
    call([sidmill, "example", "my-data"])
    assert len(list((elsewhere / "my-data").glob("*/*.csv"))) == 3
    done = subprocess.run([sidmill, "doctor"], capture_output=True, text=True, check=False)
    assert "none in" in done.stdout
    assert str(environment / "lib") in done.stdout


def test_ids_are_built_by_another_program(environment, elsewhere):
    assert call([str(environment / "bin" / "python"), "-c", BUILT]) == "60 60"


def test_a_release_is_asked_by_another_program(environment, elsewhere, project):
    project.make("answers")
    data = project.folder / "data"
    history = ["1", "260"]
    told = call([str(environment / "bin" / "python"), "-c", ASKED, str(data), *history])
    searched, recommended = (line.split() for line in told.splitlines()[-2:])
    assert len(set(searched)) == len(set(recommended)) == 3
    assert not set(history) & set(recommended)
