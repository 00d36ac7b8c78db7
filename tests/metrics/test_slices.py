import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from assets.evaluation import choose_by_hash
from assets.interactions.catalogue import SLICES, Catalogue
from assets.metrics.questions import Questions
from assets.ranking import Queries
from assets.stage import UserError

COUNTS = st.lists(st.integers(0, 20), min_size=1, max_size=12)


def _catalogue(counts):
    """Items, the last of which has the first count."""
    names = np.array([f"i{n:02}" for n in range(len(counts))], dtype=object)
    return Catalogue(names, names, names, np.array(counts[::-1], dtype=np.int64))


@given(COUNTS)
def test_ties_come_by_train_popularity_then_item_id(counts):
    catalogue = _catalogue(counts)
    names = catalogue.item_ids.tolist()
    expected = sorted(names, key=lambda name: (-catalogue.popularity[names.index(name)], name))
    assert catalogue.item_ids[catalogue.by_popularity].tolist() == expected
    assert catalogue.rows(names[::-1]).tolist() == list(range(len(counts)))[::-1]
    with pytest.raises(UserError, match="unknown item `nobody`"):
        catalogue.rows([names[0], "nobody"])


@given(COUNTS)
def test_head_is_the_fewest_popular_items_with_half_of_the_interactions(counts):
    catalogue = _catalogue(counts)
    names = np.array(SLICES)[catalogue.slices[catalogue.by_popularity]]
    popularity = catalogue.popularity[catalogue.by_popularity]
    total = sum(counts)
    head = popularity[names == "head"]
    assert (names == "cold").tolist() == (popularity == 0).tolist()
    assert 2 * head.sum() >= total
    if total:
        assert 2 * head[:-1].sum() < total
        assert names[0] == "head"
    assert names.tolist() == sorted(names, key=SLICES.index)  # the head is the most popular


def test_a_query_belongs_to_the_slice_of_its_most_popular_answer():
    catalogue = _catalogue([0, 1, 10])
    asked = Queries(["a", "b", "c"], np.zeros((3, 1), np.float32))
    questions = Questions.of(
        "search", asked, asked.texts, [["i02", "i00"], ["i01"], ["i02"]], catalogue
    )
    assert [SLICES[place] for place in questions.slices] == ["head", "torso", "cold"]
    assert questions.answers.tolist() == [2, 1, 1]


@given(st.lists(st.text(max_size=4), unique=True, max_size=30), st.integers(1, 10))
def test_a_sample_is_the_same_whatever_else_comes_later_in_the_file(ids, most):
    chosen = [ids[place] for place in choose_by_hash(ids, most, seed=3)]
    assert len(chosen) == min(most, len(ids))
    backwards = ids[::-1]
    assert {backwards[place] for place in choose_by_hash(backwards, most, seed=3)} == set(chosen)
    assert [ids[place] for place in choose_by_hash(ids, None, seed=3)] == ids
