"""Twenty kinds of bad input, 19 to 21: no readable file, and files that change while read."""

from __future__ import annotations

import errno
import os
import tempfile
from pathlib import Path

import pytest
from interactions.files import FORMS, encoded

from assets.interactions.incoming import incoming
from assets.interactions.warehouse import bring_up_to_date, opened
from assets.machine import Machine
from assets.stage import UserError

NOBODY = 65534


# --- 19 and 20: what is no readable file ---------------------------------------------------------


@pytest.mark.parametrize("form", FORMS)
def test_19_an_empty_folder_where_a_file_should_be_is_refused(bench, says, form):
    (bench.folder / "data" / "incoming" / "items" / f"x.{form}").mkdir()
    says(f"x.{form} is a folder, and empty", "mend it")


@pytest.mark.parametrize("form", FORMS)
def test_19_a_folder_of_parts_as_spark_writes_it_is_read(bench, form):
    for part in "xy":
        content = encoded([{"item_id": part, "title": "t"}], form)
        bench.write(f"items/x.{form}/part-{part}.{form}", content)
    assert bench.run().items["item_id"].tolist() == ["a", "b", "c", "d", "x", "y"]


def test_19_a_file_where_a_folder_should_be_is_refused(bench, says):
    bench.write("queries", "query,item_id\n")
    says("data/incoming/queries", "move it into")


def test_19_a_file_in_place_of_incoming_is_refused(bench, says):
    incoming_folder = bench.folder / "data" / "incoming"
    (incoming_folder / "items" / "items.csv").unlink()
    (incoming_folder / "items").rmdir()
    incoming_folder.rmdir()
    incoming_folder.write_text("item_id,title\n")
    says("data/incoming is a file where a folder should be", "remove it")


def test_19_a_folder_in_place_of_the_warehouse_is_refused(bench, says):
    (bench.folder / "data" / "warehouse.duckdb").mkdir()
    says("warehouse.duckdb is a folder where a file should be", "remove it")


@pytest.mark.parametrize(
    ("target", "words"),
    [("nowhere.csv", "link to nowhere"), ("x.csv", "link that leads to itself")],
)
def test_20_a_link_that_leads_to_no_file_is_refused(bench, says, target, words):
    (bench.folder / "data" / "incoming" / "items" / "x.csv").symlink_to(target)
    says("items/x.csv cannot be read", words, "remove")


def test_20_a_link_to_a_folder_is_refused_and_never_left_out(bench, says, tmp_path):
    (tmp_path / "elsewhere").mkdir()
    (bench.folder / "data" / "incoming" / "items" / "more").symlink_to(tmp_path / "elsewhere")
    says("items/more is a link to a folder", "link its files")


@pytest.fixture
def as_nobody(monkeypatch):
    """A folder in which this process is an ordinary user, whoever runs the tests."""
    with tempfile.TemporaryDirectory(dir="/tmp") as name:
        folder = Path(name)
        folder.chmod(0o755)
        monkeypatch.chdir(folder)
        is_root = os.geteuid() == 0
        if is_root:
            os.chown(folder, NOBODY, -1)
            os.seteuid(NOBODY)
        try:
            yield folder
        finally:
            if is_root:
                os.seteuid(0)


@pytest.mark.parametrize("form", FORMS)
def test_20_a_file_without_read_permission_is_refused(as_nobody, form):
    file = as_nobody / "data" / "incoming" / "items" / f"x.{form}"
    file.parent.mkdir(parents=True)
    file.write_bytes(encoded([{"item_id": "x", "title": "t"}], form))
    file.chmod(0)
    with pytest.raises(UserError) as error:
        incoming(Path("data/incoming"))
    assert str(error.value) == (
        f"data/incoming/items/x.{form} cannot be read ({os.strerror(errno.EACCES)}): give yourself "
        f"the right to read it, such as with `chmod u+r`."
    )


@pytest.mark.parametrize("where", ["items", "items/more"])
def test_20_a_folder_without_permission_is_refused_and_never_left_out(as_nobody, where):
    folder = as_nobody / "data" / "incoming" / where
    folder.mkdir(parents=True)
    (folder / "x.csv").write_text("item_id,title\nx,t\n")
    folder.chmod(0)
    try:
        with pytest.raises(UserError, match=f"data/incoming/{where} cannot be read"):
            incoming(Path("data/incoming"))
    finally:
        folder.chmod(0o755)


# --- 21: a file that changes while it is read ----------------------------------------------------


@pytest.mark.parametrize("form", FORMS)
def test_21_a_file_that_grows_during_the_load_is_refused_and_read_whole_later(bench, form):
    bench.write("interactions/1.csv", "user_id,item_id,timestamp\nu,a,1\n")
    rows = [{"user_id": "v", "item_id": "a", "timestamp": n} for n in range(3)]
    growing = bench.write(f"interactions/2.{form}", encoded(rows[:2], form))

    def grow(line):
        if "1.csv" in line:  # while the file before it is being read
            growing.write_bytes(encoded(rows, form))

    warehouse = Path("data/warehouse.duckdb")
    with opened(warehouse, Machine(), {}) as db:
        with pytest.raises(UserError, match=rf"2\.{form} changed while it was read: let whoever"):
            bring_up_to_date(db, incoming(Path("data/incoming")), {}, grow)
        assert db.execute("SELECT count(*) FROM loads").fetchall() == [(0,)]
    assert len(bench.run().interactions("train", "validation", "test")) == 4


def test_21_a_file_that_vanishes_during_the_load_is_named(bench):
    bench.write("interactions/1.csv", "user_id,item_id,timestamp\nu,a,1\n")
    sources = incoming(Path("data/incoming"))
    Path(sources[0].file).unlink()
    with (
        opened(Path("data/warehouse.duckdb"), Machine(), {}) as db,
        pytest.raises(UserError, match=r"1\.csv cannot be read .*: it is gone"),
    ):
        bring_up_to_date(db, sources, {}, print)


def test_21_a_file_that_was_merely_touched_is_taken(bench):
    sources = incoming(Path("data/incoming"))
    os.utime(sources[0].file, (1, 1))
    with opened(Path("data/warehouse.duckdb"), Machine(), {}) as db:
        bring_up_to_date(db, sources, {}, print)
        assert db.execute("SELECT count(*) FROM items").fetchall() == [(4,)]
