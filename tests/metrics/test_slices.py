import tempfile
from pathlib import Path

import numpy as np
import pandas as pd
from hypothesis import given, settings
from hypothesis import strategies as st

from assets.interactions.artifact import Interactions
from assets.metrics.catalogue import SLICES, Catalogue
from assets.metrics.questions import Questions, sample

COUNTS = st.lists(st.integers(0, 20), min_size=1, max_size=12)


def _catalogue(counts):
    names = [f"i{n:02}" for n in range(len(counts))]
    rated = [name for name, count in zip(names, counts, strict=True) for _ in range(count)]
    rated += names  # one test interaction each, which must not count
    splits = ["train"] * sum(counts) + ["test"] * len(names)
    with tempfile.TemporaryDirectory() as folder:
        pd.DataFrame({"item_id": names, "document": "x"}).to_parquet(f"{folder}/items.parquet")
        pd.DataFrame({"item_id": rated, "split": splits}).to_parquet(
            f"{folder}/interactions.parquet"
        )
        return Catalogue.of(Interactions.load(Path(folder)))


@settings(deadline=None, max_examples=40)
@given(COUNTS)
def test_rows_come_by_train_popularity_then_item_id(counts):
    catalogue = _catalogue(counts)
    expected = sorted((-count, f"i{n:02}") for n, count in enumerate(counts))
    assert catalogue.item_ids.tolist() == [name for _, name in expected]
    assert catalogue.rows(catalogue.item_ids).tolist() == list(range(len(counts)))
    assert catalogue.rows(["nobody"]).tolist() == [-1]


@settings(deadline=None, max_examples=40)
@given(COUNTS)
def test_head_is_the_fewest_popular_items_with_half_of_the_interactions(counts):
    catalogue = _catalogue(counts)
    names = np.array(SLICES)[catalogue.slices]
    total = sum(counts)
    head = catalogue.popularity[names == "head"]
    assert (names == "cold").tolist() == (catalogue.popularity == 0).tolist()
    assert 2 * head.sum() >= total
    if total:
        assert 2 * head[:-1].sum() < total
        assert names[0] == "head"
    assert names.tolist() == sorted(names, key=SLICES.index)  # the head is the most popular


def test_a_query_belongs_to_the_slice_of_its_most_popular_answer():
    catalogue = _catalogue([10, 1, 0])
    questions = Questions.of(
        "search", ["a", "b", "c"], [["i02", "i00"], ["i01"], ["i02"]], catalogue
    )
    assert [SLICES[place] for place in questions.slices] == ["head", "torso", "cold"]
    assert questions.answers.tolist() == [2, 1, 1]


@given(st.lists(st.text(max_size=4), unique=True, max_size=30), st.integers(1, 10))
def test_a_sample_is_the_same_whatever_else_comes_later_in_the_file(ids, most):
    chosen = [ids[place] for place in sample(ids, most, seed=3)]
    assert len(chosen) == min(most, len(ids))
    backwards = ids[::-1]
    assert {backwards[place] for place in sample(backwards, most, seed=3)} == set(chosen)
    assert [ids[place] for place in sample(ids, None, seed=3)] == ids
