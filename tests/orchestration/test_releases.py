"""Releases: what is refused, what is kept, and that a kill leaves nothing half-way."""

from __future__ import annotations

import fcntl
import json
import shutil
import signal
import subprocess
import sys

import pyarrow.parquet as pq
import pytest

from orchestration.releases.publishing import publish
from orchestration.releases.store import PublishError, current, releases, rollback


def files_of(folder):
    return {
        file.relative_to(folder).as_posix(): file.read_bytes()
        for file in folder.rglob("*")
        if file.is_file()
    }


def test_a_release_is_a_read_only_copy_of_every_asset(shop):
    release = publish(shop.root)
    assert release.name == f"r1-{release.sid_version[:8]}"
    copied = files_of(release.folder)
    entry = json.loads(copied.pop("release.json"))
    assert release.name.encode() in copied.pop("report.html")
    stages = list(shop.pipeline.stages)
    made = {
        f"{name}/{file}": content
        for name in stages
        for file, content in files_of(shop.root / "data" / name).items()
    }
    left_out = {f"{name}/{file}" for name, files in entry["left_out"].items() for file in files}
    assert copied == {name: content for name, content in made.items() if name not in left_out}
    assert left_out == {
        f"interactions/{name}.parquet" for name in ("interactions", "queries", "rejects")
    }
    assert all(not f.stat().st_mode & 0o222 for f in release.folder.rglob("*") if f.is_file())
    assert entry["metrics"] == {"search": 0.3, "recommendation": 0.08}
    assert list(entry["assets"]) == stages
    assert entry["params"]["release"]["keep"] == 5
    assert current(shop.root) == releases(shop.root)[0] != release.folder
    link = shop.root / "data" / "releases" / "current"
    assert link.is_symlink()
    assert str(link.readlink()) == release.name


def test_a_release_holds_no_user(shop):
    release = publish(shop.root)
    tables = [file for file in release.folder.rglob("*.parquet") if file.is_file()]
    assert len(tables) > 3
    assert not [file for file in tables if "user_id" in pq.read_schema(file).names]


def test_a_release_does_not_change_when_the_workbench_does(shop):
    release = publish(shop.root)
    before = files_of(release.folder)
    shop.measured(search=0.5)
    shop.rebuild()
    assert files_of(release.folder) == before


def test_publishing_the_same_assets_again_makes_no_release(shop):
    first = publish(shop.root)
    assert publish(shop.root, force=True).name == first.name
    assert len(releases(shop.root)) == 1


def test_before_the_first_release_there_is_none_and_no_way_back(shop):
    assert current(shop.root) is None
    assert releases(shop.root) == []
    with pytest.raises(PublishError, match="nothing is released yet"):
        rollback(shop.root)


def test_stale_and_edited_assets_are_refused_even_by_force(shop):
    shop.measured(search=0.4)
    with pytest.raises(PublishError, match=r"metrics out of date \(made/metrics modified"):
        publish(shop.root, force=True)
    shop.rebuild()
    (shop.root / "data" / "codebooks" / "note.txt").write_text("by hand")
    with pytest.raises(PublishError, match=r"codebooks and 4 more out of date"):
        publish(shop.root, force=True)
    assert releases(shop.root) == []


def test_assets_that_do_not_fit_together_are_refused_even_by_force(shop):
    manifest = "retriever/manifest.json"
    version = json.loads((shop.root / "made" / manifest).read_text())["sid_version"]
    shop.change(manifest, {"sid_version": "f" * 64})
    shop.rebuild()
    with pytest.raises(PublishError, match="retriever was trained on SID version ffffffffffff"):
        publish(shop.root, force=True)

    shop.change(manifest, {"sid_version": version})
    shop.change("quality_gate/verdict.json", {"sid_version": "e" * 64})
    shop.rebuild()
    with pytest.raises(PublishError, match="judged SID version eeeeeeeeeeee"):
        publish(shop.root, force=True)

    shop.change("quality_gate/verdict.json", {"sid_version": version})
    shop.change("semantic_ids/manifest.json", {"codebook_version": "d" * 64})
    shop.rebuild()
    with pytest.raises(PublishError, match="made with codebooks dddddddddddd"):
        publish(shop.root, force=True)
    assert current(shop.root) is None


def test_a_failed_verdict_is_never_published(shop):
    file = shop.root / "made" / "quality_gate" / "verdict.json"
    outcome = json.loads(file.read_text())["outcomes"][0]
    shop.change("quality_gate/verdict.json", {"outcomes": [outcome | {"passed": False}]})
    shop.rebuild()
    with pytest.raises(
        PublishError, match=r"the quality gate did not pass: gini_of_different is 0\.2"
    ):
        publish(shop.root, force=True)


def test_unknown_keys_of_the_release_section_are_named(shop):
    shop.set("release", keeps=3)
    with pytest.raises(PublishError, match=r"unknown param `release.keeps`"):
        publish(shop.root)


def test_the_newest_are_kept_and_the_current_one_always(shop):
    shop.set("release", keep=2)
    names = []
    for recall in (0.30, 0.31, 0.32):
        shop.measured(search=recall)
        shop.rebuild()
        names.append(publish(shop.root).name)
    assert [release.name for release in releases(shop.root)] == names[1:]
    assert rollback(shop.root).name == names[1]
    for recall in (0.33, 0.34):
        shop.measured(search=recall)
        shop.rebuild()
        names.append(publish(shop.root).name)
    assert [release.name for release in releases(shop.root)] == names[3:]
    assert releases(shop.root)[-1].number == 5


def test_rolling_back_moves_current_and_is_not_undone_by_publishing_the_same(shop):
    first = publish(shop.root)
    shop.measured(search=0.4)
    shop.rebuild()
    second = publish(shop.root)
    assert rollback(shop.root).name == first.name == current(shop.root).name
    with pytest.raises(PublishError, match=f"these assets are release {second.name}, which was"):
        publish(shop.root)
    with pytest.raises(PublishError, match="no release is older"):
        rollback(shop.root)
    with pytest.raises(PublishError, match="no release is called r9; there are r1-"):
        rollback(shop.root, "r9")
    assert rollback(shop.root, "r2").name == second.name == current(shop.root).name
    assert rollback(shop.root, first.name).name == current(shop.root).name


def test_two_publications_at_once_do_not_mix(shop):
    publish(shop.root)
    with (shop.root / "data" / "releases" / ".lock").open("a") as other:
        fcntl.flock(other, fcntl.LOCK_EX)
        with pytest.raises(PublishError, match="another process is publishing"):
            publish(shop.root)
    assert publish(shop.root).number == 1


# Publishes, and kills itself when it has touched the file system for the n-th time.
KILLED = """
import os, signal, sys
from pathlib import Path
from orchestration.releases.publishing import publish

steps, last = 0, int(sys.argv[1])
def hook(event, args):
    global steps
    if event in {"shutil.copyfile", "os.chmod", "os.rename", "os.symlink", "os.remove"}:
        if any("data/releases" in str(arg) for arg in args):
            steps += 1
            if steps == last:
                os.kill(os.getpid(), signal.SIGKILL)
sys.addaudithook(hook)
publish(Path.cwd())
print(steps)
"""


def killed_at(root, step):
    command = [sys.executable, "-c", KILLED, str(step)]
    return subprocess.run(command, cwd=root, capture_output=True, text=True, check=False)


def test_a_publication_killed_anywhere_leaves_nothing_half_way(shop, tmp_path):
    first = publish(shop.root)
    shop.measured(search=0.4)
    shop.rebuild()
    complete = shutil.copytree(shop.root, tmp_path / "complete", symlinks=True)
    steps = int(killed_at(complete, 0).stdout)
    names = {release.name for release in releases(complete)}
    assert len(names) == 2
    for step in (steps // 2, steps - 2, steps - 1, steps):
        root = shutil.copytree(shop.root, tmp_path / f"killed-{step}", symlinks=True)
        assert killed_at(root, step).returncode == -signal.SIGKILL
        used = current(root)
        assert used.name == first.name, f"killed at step {step} of {steps}"
        assert files_of(used.folder) == files_of(first.folder)
        assert publish(root).metrics["search"] == 0.4
        assert {release.name for release in releases(root)} == names
        left = {path.name for path in (root / "data" / "releases").iterdir()}
        assert left == names | {"current", ".lock"}
