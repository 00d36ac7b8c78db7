from __future__ import annotations

import json

from assets.interactions.artifact import Interactions
from assets.synthetic_queries.artifact import SyntheticQueries


def test_made_queries_lie_in_the_split_that_their_text_hashes_to(project):
    interactions = Interactions.load(project.make("interactions"))
    table = SyntheticQueries.load(project.make("synthetic_queries")).table
    assert (table["query"].map(interactions.query_split) == table["split"]).all()
    assert set(table["item_id"]) <= set(interactions.items["item_id"])
    assert table[["query_id", "item_id"]].apply(tuple, axis=1).is_monotonic_increasing


def test_the_report_tells_counts_leaks_and_how_hard_the_queries_are(project):
    report = json.loads((project.make("synthetic_queries") / "report.json").read_text())
    assert report["leak_share"] == 0
    assert sum(row["queries"] for row in report["counts"]) == report["queries"]
    assert 0.4 < report["bm25_recall@10"] < 1
    assert len(report["samples"]) == 20
