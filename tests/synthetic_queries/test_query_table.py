from __future__ import annotations

import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st

from assets.synthetic_queries.artifact import SearchTasks, SyntheticQueries
from assets.synthetic_queries.generator import MadeQuery
from assets.synthetic_queries.keywords import Keywords
from assets.synthetic_queries.quality import bm25_recall, distinct, leak_share
from assets.synthetic_queries.table import join_queries

REAL = pd.DataFrame(
    [("q1", "red shoes", "1", "test"), ("q1", "red shoes", "2", "test")],
    columns=["query_id", "query", "item_id", "split"],
)
MADE = st.lists(
    st.builds(
        MadeQuery,
        st.sampled_from(["red shoes", "blue hat", "shoe"]),
        st.sampled_from(["1", "2", "3"]),
        st.sampled_from(["navigational", "descriptive"]),
    )
)


def split_of(text):
    return "validation" if text == "shoe" else "train"


@given(MADE, st.randoms(use_true_random=False))
def test_a_text_has_one_id_one_split_and_one_kind_and_row_order_has_no_effect(made, draw):
    table = join_queries(REAL, made, split_of)
    for column in ("query_id", "split", "kind"):
        assert table.drop_duplicates(["query", column])["query"].is_unique
    assert not table.duplicated(["query", "item_id"]).any()
    shuffled = draw.sample(made, len(made))
    pd.testing.assert_frame_equal(table, join_queries(REAL, shuffled, split_of))


def test_a_made_query_with_the_text_of_a_real_one_is_dropped():
    made = [MadeQuery("red shoes", "3", "descriptive"), MadeQuery("hat", "3", "descriptive")]
    table = join_queries(REAL, made, split_of)
    assert sorted(table.loc[table["query"] == "red shoes", "item_id"]) == ["1", "2"]
    assert table.loc[table["item_id"] == "3", "query"].tolist() == ["hat"]


def test_no_queries_at_all_make_an_empty_table_that_can_be_saved(tmp_path):
    SyntheticQueries(join_queries(REAL.iloc[:0], [], split_of)).save(tmp_path)
    assert SyntheticQueries.load(tmp_path).tasks("train").queries == []


def test_leaks_are_counted():
    items = pd.DataFrame({"item_id": ["1", "2"], "title": ["Red Shoes, The", None]})
    made = pd.DataFrame(
        {"query": ["the red shoes drama", "shoes red", "x"], "item_id": ["1", "1", "2"]}
    )
    assert leak_share(made, items) == pytest.approx(1 / 3)


def test_distinct_n_is_the_share_of_different_runs_of_words():
    assert distinct(["a b a", "a b"], 1) == pytest.approx(2 / 5)
    assert distinct(["a b a", "a b"], 2) == pytest.approx(2 / 3)
    assert distinct([], 2) == 0


def test_bm25_finds_what_shares_words_and_nothing_for_unknown_words():
    items = pd.DataFrame({"item_id": ["1", "2", "3"], "document": ["red shoes", "hat", "blue sea"]})
    tasks = SearchTasks(["shoes", "zzz"], [["1"], ["2"]], ["mixture", "real"])
    table = bm25_recall(tasks, items, k=10, most=10, seed=0)
    assert {row["kind"]: row["bm25_recall@10"] for row in table} == {
        "all": 0.5,
        "mixture": 1.0,
        "real": 0.0,
    }
    wordless = items.assign(document="? !")
    assert bm25_recall(tasks, wordless, k=10, most=10, seed=0) == []


def test_keywords_are_frequent_here_and_rare_elsewhere():
    texts = ["radar radar the wind one", "the radar", "the wind wind sea", "the sea the", "the sea"]
    best = Keywords(texts, 2).best(texts[0], 5)
    assert best == ["radar", "wind"]  # `one` stands in one text only, half of the rest is kept
