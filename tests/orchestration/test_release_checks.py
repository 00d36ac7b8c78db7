"""What speaks against a release: a fall, items that vanish, refused rows, IDs of no item."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from orchestration.releases.publishing import publish
from orchestration.releases.store import PublishError, current, rollback


def test_a_fall_of_either_task_is_refused_with_both_numbers_unless_forced(shop):
    first = publish(shop.root)
    shop.measured(recommendation=0.06)
    shop.rebuild()
    with pytest.raises(PublishError, match=r"recommendation recall@10 falls from 0.0800 to 0.0600"):
        publish(shop.root)
    assert current(shop.root).name == first.name
    assert publish(shop.root, force=True).number == 2
    shop.measured(search=0.28)
    shop.rebuild()
    with pytest.raises(PublishError, match=r"search recall@10 falls from 0.3000 to 0.2800"):
        publish(shop.root)


def test_a_fall_within_the_tolerance_of_params_passes(shop):
    publish(shop.root)
    shop.measured(search=0.26)
    shop.set("release", max_recall_fall=0.05)
    shop.rebuild()
    assert publish(shop.root).metrics["search"] == 0.26


def test_a_fall_that_may_be_chance_passes_and_the_smallest_that_would_show_is_told(shop):
    publish(shop.root)
    draw = np.random.default_rng(0)
    shop.measured(recommendation=0.065)
    shop.answered("recommendation", (draw.random(2000) < 0.065).astype(np.float32))
    shop.set("release", max_recall_fall=0)
    shop.rebuild()
    release = publish(shop.root)
    assert release.metrics["recommendation"] < 0.08
    row = next(row for row in release.comparisons if row["task"] == "recommendation")
    assert row["before"] - row["now"] > 0.01
    assert row["low"] < 0 < row["high"]
    assert any(f"a fall below {row['smallest_fall']:.4f}" in note for note in release.notes)
    assert current(shop.root).comparisons == list(release.comparisons)


def test_small_losses_do_not_add_up_unseen(shop):
    first = publish(shop.root)
    shop.set("release", max_recall_fall=0.015)
    for recall in (0.29, 0.286):
        shop.measured(search=recall)
        shop.rebuild()
        publish(shop.root)
    shop.measured(search=0.28)
    shop.rebuild()
    with pytest.raises(PublishError) as refusal:
        publish(shop.root)
    assert "search recall@10 falls from 0.3000 to 0.2800 on the 2,000 questions" in str(
        refusal.value
    )
    assert f"{first.name}, one of the last 5, answered too (-0.0200, 99% interval" in str(
        refusal.value
    )
    assert "sidmill publish --force" in str(refusal.value)
    forced = publish(shop.root, force=True)
    assert "falls from 0.3000 to 0.2800" in forced.accepted[0]
    # Who forced it set a new mark: the better ones before do not stop what comes next.
    shop.measured(search=0.275)
    shop.rebuild()
    assert {row["release"] for row in publish(shop.root).comparisons} == {forced.name}


def test_what_was_forced_for_another_reason_sets_no_mark(shop):
    first = publish(shop.root)
    shop.set("release", max_recall_fall=0.015)
    shop.measured(search=0.29)
    shop.edit_items(lambda items: items.slice(0, 200))
    assert "items of" in publish(shop.root, force=True).accepted[0]
    shop.measured(search=0.28)
    shop.rebuild()
    with pytest.raises(PublishError, match=rf"{first.name}, one of the last 5"):
        publish(shop.root)


def test_fewer_releases_are_looked_back_at_where_params_say_so(shop):
    publish(shop.root)
    shop.set("release", max_recall_fall=0.015, compared_releases=1)
    for recall in (0.29, 0.28):
        shop.measured(search=recall)
        shop.rebuild()
        assert publish(shop.root).metrics["search"] == recall


def test_who_was_rolled_back_from_is_no_mark(shop):
    first = publish(shop.root)
    shop.measured(search=0.4)
    shop.rebuild()
    publish(shop.root)
    rollback(shop.root)
    shop.measured(search=0.31)
    shop.rebuild()
    assert {row["release"] for row in publish(shop.root).comparisons} == {first.name}


def test_a_release_measured_by_another_version_is_not_compared_and_that_is_told(shop):
    first = publish(shop.root)
    file = first.folder / "metrics" / "per_query.parquet"
    rows = pd.read_parquet(file).drop(columns="question")
    file.unlink()
    rows.to_parquet(file)
    shop.measured(search=0.1)
    shop.rebuild()
    (note,) = publish(shop.root).notes
    assert f"nothing is compared with {first.name}: its metrics/per_query.parquet" in note
    assert "has no `question`: it was measured by another version" in note


def test_a_truncated_file_is_refused_by_the_items_that_vanish(shop):
    publish(shop.root)
    shop.edit_items(lambda items: items.slice(0, 269))
    with pytest.raises(PublishError, match=r"31 of the 300 items of r1-\w+ are gone \(10\.3%"):
        publish(shop.root)
    shop.edit_items(lambda items: items.slice(0, 20))
    with pytest.raises(PublishError, match="280 of the 300 items"):
        publish(shop.root)
    assert "280 of the 300 items" in publish(shop.root, force=True).accepted[0]


def test_a_grown_catalogue_is_compared(shop):
    whole = shop.root / "made" / "interactions" / "items.parquet"
    items = pq.read_table(whole)
    shop.edit_items(lambda items: items.slice(0, 100))
    publish(shop.root)
    shop.measured(search=0.2)
    shop.edit_items(lambda _: items)
    with pytest.raises(PublishError, match="search recall@10 falls from 0"):
        publish(shop.root)


def test_refused_rows_are_too_many_unless_the_current_release_had_as_many(shop):
    def refused(rows: int, of: int = 1000) -> None:
        table = {"table": "interactions"}
        reject = table | {"reason": "item_id is not among the items", "rows": rows}
        files = [table | {"file": "a.csv", "rows": of, "rejected": 0}]
        shop.change("interactions/report.json", {"rejects": [reject], "files": files})
        shop.rebuild()

    refused(51)
    words = r"51 of 1,000 rows of interactions were refused \(5\.1%, more than the 5\.0% of"
    with pytest.raises(PublishError, match=words):
        publish(shop.root)
    refused(50)
    publish(shop.root)
    refused(80)
    with pytest.raises(PublishError, match="80 of 1,000 rows"):
        publish(shop.root)
    publish(shop.root, force=True)
    refused(79)
    assert publish(shop.root).number == 3


@pytest.mark.parametrize("task", ["search", "recommendation"])
def test_ids_of_no_item_are_refused(shop, task):
    key = f"{task}.retriever.valid_ids"
    shop.change("metrics/report.json", {key: 0.998})
    shop.rebuild()
    with pytest.raises(PublishError, match=rf"0\.20% of the IDs .* for {task} belong to no item"):
        publish(shop.root)
    shop.change("metrics/report.json", {key: None, f"{task}.retriever.recall@10": 0.1})
    shop.rebuild()
    with pytest.raises(PublishError, match=f"has no `{key}`"):
        publish(shop.root)
    shop.change("metrics/report.json", {key: 1.0})
    shop.rebuild()
    assert publish(shop.root).number == 1


def test_popular_items_that_are_not_found_by_name_are_refused_unless_forced(shop):
    def found(share: float | None) -> None:
        shop.change("metrics/report.json", {"named.items": 200, "named.found@10": share})
        shop.rebuild()

    found(0.945)
    words = (
        r"94\.5% of the 200 most popular items are .* less than the 95\.0% of `release\.min_found"
    )
    with pytest.raises(PublishError, match=words):
        publish(shop.root)
    assert "94.5% of the 200" in publish(shop.root, force=True).accepted[0]
    found(0.9)
    shop.set("release", min_found_by_name=0.9)
    assert publish(shop.root).number == 2
    shop.set("release", min_found_by_name=0.95)
    found(0.95)
    assert publish(shop.root).accepted == []
    found(None)  # without interactions
    assert publish(shop.root).number == 4


def test_a_task_that_is_not_measured_any_more_is_a_fall(shop):
    publish(shop.root)
    shop.change("metrics/report.json", {"recommendation.answers.recall@10": None})
    shop.rebuild()
    with pytest.raises(PublishError, match="recommendation is not measured any more"):
        publish(shop.root)


def test_items_of_other_titles_are_compared_and_items_of_other_names_have_replaced_the_old(shop):
    publish(shop.root)
    shop.measured(search=0.01)
    shop.edit_items(lambda items: items.set_column(1, "title", items.column("document")))
    with pytest.raises(PublishError, match="search recall@10 falls from 0"):
        publish(shop.root)
    renamed = pa.array([f"other {number}" for number in range(300)])
    shop.edit_items(lambda items: items.set_column(0, "item_id", renamed))
    with pytest.raises(PublishError, match=r"300 of the 300 items of r1-\w+ are gone"):
        publish(shop.root)


def test_the_users_own_catalogue_takes_the_place_of_the_packaged_one(shop):
    def came_from(file: str) -> None:
        files = [{"table": "items", "file": file, "rows": 300, "rejected": 0}]
        shop.change("interactions/report.json", {"files": files})

    came_from("movielens-small")
    shop.rebuild()
    first = publish(shop.root)
    came_from("data/incoming/items/items.csv")
    shop.measured(search=0.01, recommendation=0.01)
    shop.edit_items(lambda items: items.slice(0, 20))
    release = publish(shop.root)
    assert release.number == 2
    assert release.notes == [f"{first.name} is of another data set, so nothing is compared with it"]
