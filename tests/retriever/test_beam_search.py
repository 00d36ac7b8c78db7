"""Beam search against an oracle that scores every SID alone, in plain loops."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from unittest import mock

import numpy as np
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from assets.ranking import Ranked
from assets.retriever.beam_search import beam_search, dead_nodes
from assets.retriever.guides import NodeVectors, list_guide
from assets.retriever.model import CompactModel, Features, Shape
from assets.retriever.params import RetrieverParams
from assets.semantic_ids.buckets import Buckets
from assets.semantic_ids.trie import Trie

DIM, CODES = 6, 4
SHAPE = Shape.of(
    RetrieverParams(hidden=16, heads=2, layers=1, decoder_layers=2, feed_forward=24, history=4)
)
Worth = Callable[[int], float]  # leaf to what a guide adds to it


@dataclass
class World:
    """A random catalogue and an untrained model with large weights, so that scores differ."""

    buckets: Buckets
    trie: Trie
    model: CompactModel

    @classmethod
    def make(cls, seed: int, items: int, levels: int) -> World:
        rng = np.random.default_rng(seed)
        torch.manual_seed(seed)
        codes = rng.integers(0, CODES, (items, levels))
        text = rng.normal(size=(items, DIM)).astype(np.float32)
        features = Features(codes, text, np.ones(items, bool), [CODES] * levels)
        model = CompactModel(SHAPE, features).eval()
        with torch.no_grad():
            for weights in model.parameters():
                weights.mul_(30 if weights.dim() > 1 and weights.std() < 0.03 else 1)
        buckets = Buckets.of(codes, np.zeros(items, int))
        return cls(buckets, Trie.build(buckets.sids), model)

    @torch.inference_mode()
    def oracle(self, state: torch.Tensor, worth: Worth = lambda _: 0.0) -> dict[int, float]:
        """Score of every leaf after one (hidden) state."""
        sids = [tuple(row) for row in self.buckets.sids.tolist()]
        scores = {}
        for leaf, sid in enumerate(sids):
            logits = self.model.sid_logits(state[None], torch.tensor([sid]))
            total = worth(leaf)
            for level, code in enumerate(sid):
                allowed = sorted({s[level] for s in sids if s[:level] == sid[:level]})
                likely = logits[level][0, allowed].log_softmax(0)
                total += float(likely[allowed.index(code)])
            scores[leaf] = total
        return scores


def _is_ranking_of(leaves, scores, expected: dict[int, float]) -> None:
    """Assert that one row lists exactly the expected leaves, in order of their score."""
    found = leaves[leaves >= 0].tolist()
    assert sorted(found) == sorted(expected)
    assert (leaves[len(found) :] == -1).all()
    assert torch.isneginf(scores[len(found) :]).all()
    torch.testing.assert_close(
        scores[: len(found)], torch.tensor([expected[leaf] for leaf in found]), atol=2e-4, rtol=1e-4
    )
    assert (scores[: len(found)].diff() <= 0).all()


def _dead(world: World, histories: list[np.ndarray]) -> torch.Tensor:
    row = np.repeat(np.arange(len(histories)), [len(h) for h in histories])
    return dead_nodes(
        world.trie,
        torch.from_numpy(world.buckets.sizes),
        torch.from_numpy(world.buckets.leaf_of),
        torch.from_numpy(row),
        torch.from_numpy(np.concatenate(histories)),
    )


@settings(deadline=None, max_examples=25)
@given(
    seed=st.integers(0, 10_000),
    items=st.integers(1, 25),
    levels=st.integers(1, 3),
    listed=st.integers(0, 25),
)
def test_wide_beams_find_every_sid_with_the_score_of_the_oracle(seed, items, levels, listed):
    """Guided by a list, a leaf adds what its best item is worth, or as much as the last listed."""
    world = World.make(seed, items, levels)
    states, rng = torch.randn(3, SHAPE.hidden), np.random.default_rng(seed)
    rows = np.array([rng.permutation(items)[:listed] for _ in range(3)])
    worth = -np.sort(-rng.normal(size=rows.shape).astype(np.float32), axis=1)
    rows, worth = (np.pad(x, ((0, 0), (0, 2)), constant_values=y) for x, y in
                   ((rows, -1), (worth, -np.inf)))  # fmt: skip
    leaf_of = torch.from_numpy(world.buckets.leaf_of)
    guide = list_guide(world.trie, leaf_of, Ranked(rows, worth), 2.0)
    leaves, scores, codes = beam_search(world.model, world.trie, states, 40, guide=guide)
    assert leaves.shape == scores.shape == (3, 40)
    for row in range(3):
        found = dict(zip(rows[row].tolist(), worth[row].tolist(), strict=True))
        found.pop(-1)

        def added(leaf: int, found: dict[int, float] = found) -> float:
            least = min(found.values(), default=0.0)
            items_there = np.flatnonzero(world.buckets.leaf_of == leaf).tolist()
            return 2.0 * max(found.get(item, least) for item in items_there)

        _is_ranking_of(leaves[row], scores[row], world.oracle(states[row], added))
    there = leaves >= 0
    assert (codes[there].numpy() == world.buckets.sids[leaves[there].numpy()]).all()
    assert (codes[~there] == -1).all()


@settings(deadline=None, max_examples=25)
@given(seed=st.integers(0, 10_000), items=st.integers(1, 25), data=st.data())
def test_what_is_in_the_history_is_never_found_and_the_rest_is(seed, items, data):
    world = World.make(seed, items, 3)
    some = st.lists(st.integers(0, items - 1), max_size=8)
    histories = [np.array(data.draw(some), dtype=np.int64) for _ in range(3)]
    states, leaf_of = torch.randn(3, SHAPE.hidden), world.buckets.leaf_of
    dead = _dead(world, histories)
    leaves, scores, _ = beam_search(world.model, world.trie, states, 40, dead=dead)
    for number, history in enumerate(histories):
        alone = world.oracle(states[number])
        left = {int(leaf_of[item]) for item in range(items) if item not in history}
        _is_ranking_of(leaves[number], scores[number], {leaf: alone[leaf] for leaf in left})


@settings(deadline=None, max_examples=25)
@given(seed=st.integers(0, 10_000), items=st.integers(1, 40), beams=st.integers(1, 12))
def test_narrow_beams_find_as_many_distinct_sids_as_there_can_be(seed, items, beams):
    world = World.make(seed, items, 3)
    states = torch.randn(2, SHAPE.hidden)
    leaves, scores, _ = beam_search(world.model, world.trie, states, beams)
    for row in range(2):
        found = leaves[row][leaves[row] >= 0].tolist()
        assert len(found) == len(set(found)) == min(beams, len(world.buckets.sids))
        truth = world.oracle(states[row])
        expected = torch.tensor([truth[leaf] for leaf in found])
        torch.testing.assert_close(scores[row][: len(found)], expected, atol=2e-4, rtol=1e-4)


@settings(deadline=None, max_examples=15)
@given(seed=st.integers(0, 10_000), data=st.data())
def test_exclusions_cost_no_beams(seed, data):
    world = World.make(seed, 30, 3)
    gone = sorted(data.draw(st.sets(st.integers(0, 29), max_size=25)))
    dead = _dead(world, [np.array(gone, dtype=np.int64)])
    left = set(world.buckets.leaf_of[np.setdiff1d(np.arange(30), gone)].tolist())
    states = torch.randn(1, SHAPE.hidden)
    leaves, _, _ = beam_search(world.model, world.trie, states, 5, dead=dead)
    found = leaves[leaves >= 0].tolist()
    assert len(found) == min(5, len(left))
    assert set(found) <= left


def test_a_batch_gives_what_each_row_gives_alone():
    world = World.make(3, 40, 3)
    states = torch.randn(7, SHAPE.hidden)
    together = beam_search(world.model, world.trie, states, 6)
    for row in range(7):
        one = slice(row, row + 1)
        alone = beam_search(world.model, world.trie, states[one], 6)
        assert (alone[0] == together[0][one]).all()
        torch.testing.assert_close(alone[1], together[1][one])


def test_a_beam_of_one_follows_a_list_to_its_best_item():
    """However narrow the beam: each node on the way is worth what the best item under it is."""
    world = World.make(8, 40, 3)
    states, leaf_of = torch.randn(40, SHAPE.hidden), world.buckets.leaf_of
    best = np.arange(40)[:, None]
    worst = (best + 1) % 40
    ranked = Ranked(np.hstack([best, worst]), np.tile(np.float32([1, 0]), (40, 1)))
    guide = list_guide(world.trie, torch.from_numpy(leaf_of), ranked, 1000.0)
    leaves, _, _ = beam_search(world.model, world.trie, states, 1, guide=guide)
    assert leaves[:, 0].tolist() == leaf_of.tolist()


def _expected_best(vectors: np.ndarray, query: np.ndarray) -> float:
    """The best similarity that vectors can be expected to hold, as the docstring says it."""
    deviation = np.sqrt(((vectors - vectors.mean(0)) ** 2).sum(1).mean() / DIM)
    return float(vectors.mean(0) @ query + 2.5 * deviation * np.sqrt(2 * np.log(len(vectors))))


@settings(deadline=None, max_examples=40)
@given(
    seed=st.integers(0, 10_000),
    items=st.integers(1, 40),
    asked=st.integers(1, 30),
    most=st.sampled_from([0, 1, 4, 10, 1 << 16]),
)
def test_a_node_is_worth_what_its_best_child_can_be_expected_to_hold(seed, items, asked, most):
    """What a loop over items gives; a level of too many nodes is not looked ahead to."""
    world, rng = World.make(seed, items, 3), np.random.default_rng(seed)
    text = rng.normal(size=(items, DIM)).astype(np.float32)
    queries = rng.normal(size=(2, DIM)).astype(np.float32)
    leaf_of, starts = world.buckets.leaf_of, world.trie.depth_starts
    paths = world.trie.paths.numpy()
    with mock.patch("assets.retriever.guides.MULTIPLIED", most):
        guide = NodeVectors(world.trie, world.buckets, text).guide(torch.from_numpy(queries), 3.0)
        for depth in range(1, 4):
            nodes = rng.integers(*starts[depth : depth + 2], (2, asked))
            found = guide(depth, torch.from_numpy(nodes)).numpy()
            ahead = depth < 3 and starts[depth + 2] - starts[depth + 1] <= most
            for (row, place), node in np.ndenumerate(nodes):
                under = paths[:, depth] == node
                judged = np.unique(paths[under, depth + 1]) if ahead else [node]
                level = paths[:, depth + 1 if ahead else depth]
                best = max(
                    _expected_best(text[(level == one)[leaf_of]], queries[row]) for one in judged
                )
                np.testing.assert_allclose(found[row, place], 3.0 * best, rtol=1e-3, atol=1e-3)
