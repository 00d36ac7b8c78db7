"""Whether popular items are found by name, beside what a user sees who types it."""

from __future__ import annotations

import json
import shutil

import pandas as pd
import pytest

from assets.answers.artifact import Answers
from assets.interactions.artifact import Interactions, normalised
from assets.metrics.named import named_questions

ITEMS = ["item_id", "title", "train_interactions"]


@pytest.fixture
def answers(project):
    project.make("metrics")
    return Answers.load(project.folder / "data", "cpu")


@pytest.fixture
def popular(project):
    """item_id and title of the items of the small project, the most popular first."""
    file = project.make("interactions") / "items.parquet"
    items = pd.read_parquet(file, columns=ITEMS)
    return items.sort_values(["train_interactions", "item_id"], ascending=[False, True])


@pytest.fixture
def changed(project, tmp_path):
    """``changed(**columns)``: the items of the small project, some of their values replaced."""

    def change(**columns):
        folder = tmp_path / "interactions"
        shutil.copytree(project.make("interactions"), folder)
        file = folder / "items.parquet"
        items = pd.read_parquet(file).set_index("item_id")
        for name, values in columns.items():
            items[name] = items[name].where(
                ~items.index.isin(list(values)), items.index.map(values)
            )
        items.reset_index().to_parquet(file, index=False)
        return Interactions.load(folder)

    return change


def test_the_shares_are_those_of_who_types_the_titles(project, answers, popular):
    report = json.loads((project.make("metrics") / "report.json").read_text())
    titles = popular[popular["train_interactions"] > 0]["title"].dropna().head(200).tolist()
    assert report["named.items"] == len(titles) == 200
    for row in report["named"]:
        if row["method"].startswith("retriever"):  # in expectation over the items of an ID
            assert 0 <= row["first"] <= row["found@10"] <= 1
            continue
        by = None if row["method"] == "answers" else row["method"]
        found = [
            [normalised(result.title) == normalised(title) for result in results]
            for title, results in zip(titles, answers.search_many(titles, by=by), strict=True)
        ]
        assert row["found@10"] == pytest.approx(sum(map(any, found)) / 200)
        assert row["first"] == pytest.approx(sum(places[0] for places in found) / 200)
    whole = report["named"][0]
    assert whole["method"] == "answers"
    assert (report["named.found@10"], report["named.first"]) == (whole["found@10"], whole["first"])


def test_namesakes_count_and_who_has_no_title_is_not_asked_for(answers, popular, changed):
    first, second, *_, last = popular["item_id"]
    data = changed(title={first: None, last: " Twins  (1988)", second: "TWINS (1988)"})
    questions = named_questions(data, answers.parts, 3)
    assert questions.asked.texts[0] == "twins (1988)"
    ids = answers.parts.catalogue.item_ids
    assert {ids[row] for row in questions.relevant[0]} == {second, last}
    assert [set(ids[rows]) for rows in questions.relevant[1:]] == [
        {item} for item in popular["item_id"][2:4]
    ]


def test_without_titles_nothing_is_asked(answers, changed, popular):
    assert (
        named_questions(changed(title=dict.fromkeys(popular["item_id"])), answers.parts, 3) is None
    )
