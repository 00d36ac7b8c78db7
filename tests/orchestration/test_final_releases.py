"""Releases of a final fit: what takes whose place, what is said of it, and how it is asked for."""

from __future__ import annotations

import json

import pytest
import yaml

from assets.interactions.artifact import Interactions
from orchestration.commands.full_run import get_ready
from orchestration.growth import base_name, final_asked, set_base, set_final
from orchestration.releases.publishing import publish
from orchestration.releases.store import FINAL_FIT, releases
from orchestration.stage_assets import release_metadata

# Like the stage, which looks into the same file; its work is ready-made.
COMMAND = (
    "mkdir -p data/final_fit && if grep -q 'final: true' data/base.yaml; then"
    " cp -r made/final_fit/. data/final_fit; else echo '{\"enabled\": false}'"
    " > data/final_fit/report.json; fi"
)


def _files(folder):
    return {
        file.relative_to(folder).as_posix(): file.read_bytes()
        for file in folder.rglob("*")
        if file.is_file() and file.name not in {"release.json", "report.html"}
    }


@pytest.fixture
def finishing_shop(shop):
    """The shop with the stage, off; never run since."""
    version = json.loads((shop.root / "made/retriever/manifest.json").read_text())["sid_version"]
    for stage, file, content in (
        (".", "report.json", {"enabled": True}),
        ("retriever", "manifest.json", {"sid_version": version, "trained_as": "on all splits"}),
    ):
        folder = shop.root / "made" / "final_fit" / stage
        folder.mkdir(parents=True, exist_ok=True)
        (folder / file).write_text(json.dumps(content))
    counted = shop.root / "made" / "final_fit" / "interactions"
    counted.mkdir()
    Interactions.load(shop.root / "made" / "interactions").all_as_train().save_items(counted)
    file = shop.root / "dvc.yaml"
    raw = yaml.safe_load(file.read_text())
    raw["stages"]["final_fit"] = {
        "cmd": COMMAND,
        "deps": ["made/final_fit", "data/metrics"],
        "params": [{"data/base.yaml": ["final"]}],
        "outs": ["data/final_fit"],
    }
    file.write_text(yaml.safe_dump(raw, sort_keys=False))
    set_base(shop.root, None)
    return shop


def test_off_it_changes_no_byte_of_a_release(finishing_shop):
    """Before the stage was there, and with it."""
    shop = finishing_shop
    raw = yaml.safe_load((shop.root / "dvc.yaml").read_text())
    stage = raw["stages"].pop("final_fit")
    (shop.root / "dvc.yaml").write_text(yaml.safe_dump(raw, sort_keys=False))
    before = publish(shop.root)
    raw["stages"]["final_fit"] = stage
    (shop.root / "dvc.yaml").write_text(yaml.safe_dump(raw, sort_keys=False))
    shop.rebuild()
    after = publish(shop.root)
    assert not before.final_fit
    assert not after.final_fit
    copied = _files(after.folder)
    assert json.loads(copied.pop("final_fit/report.json")) == {"enabled": False}
    assert copied == _files(before.folder)
    assert "Final fit" not in (after.folder / "report.html").read_text()


def test_what_was_trained_again_is_released_in_its_place_and_marked(finishing_shop):
    shop = finishing_shop
    shop.rebuild()
    measured = publish(shop.root)
    set_final(shop.root, True)
    assert shop.pipeline.stale() == {"final_fit": ["final was False, is True"]}
    shop.rebuild()
    final = publish(shop.root)
    assert final.final_fit
    assert json.loads((final.folder / "release.json").read_text())["final_fit"] is True
    old, new = _files(measured.folder), _files(final.folder)
    changed = {name for name in new if new[name] != old.get(name)}
    places = {"retriever/manifest.json", "interactions/items.parquet"}
    assert changed == {*places, "final_fit/report.json"}
    assert old.keys() == new.keys()
    for name in places:
        assert new[name] == (shop.root / "made" / "final_fit" / name).read_bytes()
    assert all(not f.stat().st_mode & 0o222 for f in final.folder.rglob("*") if f.is_file())
    assert (final.folder / "report.html").read_text().count("<strong>Final fit</strong>") == 2
    assert release_metadata(final)["final fit"] == FINAL_FIT
    assert "final fit" not in release_metadata(measured)
    # What it is known by, and compared by with those before it, is what was measured.
    assert final.metrics == measured.metrics
    assert {(row["before"], row["now"]) for row in final.comparisons} == {(0.3, 0.3), (0.08, 0.08)}
    assert publish(shop.root).name == final.name


def test_a_run_asks_for_it_and_the_next_one_does_not(finishing_shop):
    shop = finishing_shop
    done = shop.sidmill("run", "--final")
    assert done.returncode == 0, done.stderr
    (final,) = releases(shop.root)
    assert f"{final.name}: {FINAL_FIT}" in " ".join(done.stdout.split())
    assert final_asked(shop.root)
    assert shop.pipeline.stale() == {}
    plain = shop.sidmill("run", "--json")
    assert plain.returncode == 0, plain.stderr
    assert json.loads(plain.stdout)["final_fit"] is False
    assert not final_asked(shop.root)
    told = json.loads(shop.sidmill("releases", "--json").stdout)
    assert [row["final_fit"] for row in told] == [True, False]


def test_a_pipeline_without_the_stage_says_so(shop):
    done = shop.sidmill("run", "--final")
    assert done.returncode == 1
    assert "dvc.yaml has no stage that takes `final` of data/base.yaml" in done.stderr


def test_a_file_of_an_earlier_version_gets_the_key(finishing_shop):
    from rich.console import Console

    root = finishing_shop.root
    file = root / "data" / "base.yaml"
    file.write_text("release: r1-00000000\n")
    get_ready(root, Console(quiet=True))
    assert yaml.safe_load(file.read_text()) == {"release": "r1-00000000", "final": False}
    set_final(root, True)
    assert (base_name(root), final_asked(root)) == ("r1-00000000", True)
    file.write_text("release: [")  # the business of the stages, which refuse it
    set_final(root, True)
    assert file.read_text() == "release: ["
