from __future__ import annotations

import numpy as np
import pandas as pd
import pytest
from sentence_transformers import SentenceTransformer

from assets.bi_encoder.examples import Examples
from assets.bi_encoder.params import BiEncoderParams
from assets.bi_encoder.vector_lookup import VectorLookup
from assets.interactions.artifact import Interactions
from assets.stage import UserError
from assets.synthetic_queries.artifact import SyntheticQueries


@pytest.fixture(scope="module")
def inputs(project):
    return (
        Interactions.load(project.make("interactions")),
        SyntheticQueries.load(project.make("synthetic_queries")),
    )


def params(**values):
    return BiEncoderParams(variant="multi_task", train_batch=64, steps=10_000, **values)


def named(examples, task):
    return {(examples.texts[one], examples.texts[other]) for one, other in examples.pairs[task]}


def test_pairs_are_those_of_the_train_split_and_no_other(inputs):
    interactions, queries = inputs
    examples = Examples.of("multi_task", *inputs)
    document = interactions.items.set_index("item_id")["document"]
    tasks = queries.tasks("train")
    assert named(examples, "search") == {
        (query, document[item])
        for query, right in zip(tasks.queries, tasks.targets, strict=True)
        for item in right
    }
    pairs = interactions.pairs("train")
    assert named(examples, "recommendation") == {
        (document[one], document[other])
        for one, other in zip(pairs["item_id"], pairs["other_item_id"], strict=True)
    }
    held_out = set(queries.tasks("validation", "test").queries)
    assert held_out.isdisjoint(examples.texts)


@pytest.mark.parametrize(
    ("variant", "tasks"),
    [
        ("content", []),
        ("search", ["search"]),
        ("recommendation", ["recommendation"]),
        ("multi_task", ["search", "recommendation"]),
    ],
)
def test_a_variant_learns_from_its_tasks(inputs, variant, tasks):
    examples = Examples.of(variant, *inputs)
    assert list(examples.pairs) == tasks
    assert examples.lacking == []


def test_items_that_share_a_document_are_one_text_and_no_pair(tmp_path):
    items = {"item_id": list("abcd"), "document": ["red", "red", "blue", "green"]}
    pairs = {"item_id": list("abac"), "other_item_id": list("bacd"), "split": ["train"] * 4}
    queries = {"query": ["warm", "warm"], "item_id": ["a", "b"], "query_id": ["q"] * 2}
    pd.DataFrame(items).to_parquet(tmp_path / "items.parquet")
    pd.DataFrame(pairs).to_parquet(tmp_path / "pairs.parquet")
    table = pd.DataFrame(queries | {"split": "train", "kind": "real"})
    examples = Examples.of("multi_task", Interactions.load(tmp_path), SyntheticQueries(table))
    assert named(examples, "search") == {("warm", "red")}
    assert named(examples, "recommendation") == {("red", "blue"), ("blue", "green")}
    assert len(examples.documents) == 3


def test_right_answers_and_the_item_itself_are_known_and_nothing_else(inputs):
    examples = Examples.of("multi_task", *inputs)
    size = len(examples.texts)
    for task, pairs in examples.pairs.items():
        expected = {int(one) * size + int(other) for one, other in pairs}
        if task == "recommendation":
            expected |= {int(row) * size + int(row) for row in examples.documents}
        assert examples.known[task].tolist() == sorted(expected)


def test_each_pair_comes_once_before_any_comes_twice(inputs):
    examples = Examples.of("multi_task", *inputs)
    rows = examples.dataset(params(), None)
    label = np.array(rows["label"])
    assert len(rows) % 64 == 0
    for start, (_, pairs) in zip((0, 2), examples.pairs.items(), strict=True):
        drawn = label[:, start : start + 2]
        for column in (start, start + 1):
            texts = [examples.texts[row] for row in label[:, column]]
            assert texts == list(rows[f"text_{column}"])
        times = pd.Series(list(map(tuple, drawn))).value_counts()
        assert len(times) == len(pairs)
        assert times.max() - times.min() <= 1
    few = BiEncoderParams(variant="multi_task", train_batch=8, steps=3)
    assert len(examples.dataset(few, None)) == 24


def test_mined_negatives_are_close_to_the_query_and_never_right(inputs):
    examples = Examples.of("search", *inputs)
    draw = np.random.default_rng(0)
    vectors = draw.normal(size=(len(examples.texts), 8)).astype(np.float32)
    vectors[examples.pairs["search"][:, 0]] = vectors[examples.pairs["search"][:, 1]] + 0.3
    miner = SentenceTransformer(modules=[VectorLookup(examples.texts, vectors)], device="cpu")
    wanted = params(hard_negatives=2)
    rows = np.array(examples.dataset(wanted, miner)["label"])
    assert rows.shape[1] == 4
    assert [task.columns for task in examples.weighted_tasks(wanted)] == [4]
    unit = vectors / np.linalg.norm(vectors, axis=1, keepdims=True)
    size = len(examples.texts)
    for column in (2, 3):
        keys = rows[:, 0] * size + rows[:, column]
        assert not np.isin(keys, examples.known["search"]).any()
        assert np.isin(rows[:, column], examples.documents).all()
    mined = (unit[rows[:, 0]] * unit[rows[:, 2]]).sum(axis=1)
    anything = unit[rows[:, 0]] @ unit[examples.documents].T
    assert mined.mean() > np.quantile(anything, 0.95)
    right = (unit[rows[:, 0]] * unit[rows[:, 1]]).sum(axis=1)
    assert (mined <= right * 0.95 + 1e-5).all()


def test_a_search_for_negatives_that_finds_none_says_what_to_change(inputs):
    examples = Examples.of("search", *inputs)
    alike = np.ones((len(examples.texts), 4), np.float32)
    miner = SentenceTransformer(modules=[VectorLookup(examples.texts, alike)], device="cpu")
    with pytest.raises(UserError, match="negatives_margin"):
        examples.dataset(params(hard_negatives=2), miner)
