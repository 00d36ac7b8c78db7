"""The trie and the buckets against what plain Python says."""

from __future__ import annotations

import numpy as np
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as arrays

from assets.semantic_ids.buckets import Buckets
from assets.semantic_ids.trie import Trie

CODES = st.integers(1, 4).flatmap(
    lambda levels: st.integers(1, 30).flatmap(
        lambda items: arrays.arrays(np.int32, (items, levels), elements=st.integers(0, 4))
    )
)


def _children(sids: list[tuple[int, ...]], prefix: tuple[int, ...]) -> list[int]:
    return sorted({sid[len(prefix)] for sid in sids if sid[: len(prefix)] == prefix})


@settings(deadline=None, max_examples=60)
@given(CODES)
def test_the_children_of_every_node_are_the_codes_that_follow_its_prefix(codes):
    sids = Buckets.of(codes, np.zeros(len(codes), int)).sids
    trie = Trie.build(sids)
    known = [tuple(row) for row in sids.tolist()]
    assert known == sorted(set(map(tuple, codes.tolist())))
    for leaf, sid in enumerate(known):
        for depth in range(len(sid)):
            node = trie.paths[leaf, depth]
            children, exists = trie.children(node, depth)
            assert trie.code[children[exists]].tolist() == _children(known, sid[:depth])
            step = trie.paths[leaf, depth + 1]
            assert trie.code[step] == sid[depth]
            assert step in children[exists]
        assert trie.paths[leaf, -1] - trie.depth_starts[-2] == leaf


@settings(deadline=None, max_examples=40)
@given(CODES)
def test_probabilities_are_shared_among_existing_children_alone(codes):
    sids = Buckets.of(codes, np.zeros(len(codes), int)).sids
    trie = Trie.build(sids)
    for depth in range(trie.levels):
        nodes = torch.unique(trie.paths[:, depth])
        children, exists = trie.children(nodes, depth)
        logits = torch.randn(len(nodes), 5, generator=torch.Generator().manual_seed(0))
        found = trie.log_probabilities(logits, children, exists)
        assert torch.isneginf(found[~exists]).all()
        for row in range(len(nodes)):
            allowed = trie.code[children[row][exists[row]]]
            torch.testing.assert_close(found[row][exists[row]], logits[row][allowed].log_softmax(0))


@given(CODES, st.integers(0, 3))
def test_items_of_a_bucket_come_by_popularity_then_by_row(codes, seed):
    popularity = np.random.default_rng(seed).integers(0, 3, len(codes))
    buckets = Buckets.of(codes, popularity)
    for leaf, sid in enumerate(buckets.sids):
        found = buckets.items[buckets.starts[leaf] : buckets.starts[leaf + 1]].tolist()
        members = [row for row in range(len(codes)) if (codes[row] == sid).all()]
        assert found == sorted(members, key=lambda row: (-popularity[row], row))
        assert set(buckets.leaf_of[found]) == {leaf}


def test_expanding_leaves_keeps_their_order_and_skips_missing_ones():
    codes = np.array([[0], [1], [0], [2]])
    buckets = Buckets.of(codes, np.array([1, 0, 5, 0]))
    row, beam, item = buckets.expand(np.array([[1, 0, -1], [-1, -1, -1], [2, 1, 0]]))
    assert row.tolist() == [0, 0, 0, 2, 2, 2, 2]
    assert beam.tolist() == [0, 1, 1, 0, 1, 2, 2]
    assert item.tolist() == [1, 2, 0, 3, 1, 2, 0]


def test_the_order_of_rows_never_changes_the_sids():
    codes = np.random.default_rng(0).integers(0, 4, (50, 3))
    shuffled = codes[np.random.default_rng(1).permutation(50)]
    nothing = np.zeros(50, int)
    assert (Buckets.of(codes, nothing).sids == Buckets.of(shuffled, nothing).sids).all()
