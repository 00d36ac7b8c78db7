"""Beam search against an oracle that scores every SID alone, in plain loops."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from assets.retriever.beam_search import beam_search, dead_nodes
from assets.retriever.model import RetrieverModel
from assets.retriever.params import RetrieverParams
from assets.retriever.sequences import recommend_prompts
from assets.retriever.vocabulary import Vocabulary
from assets.semantic_ids.buckets import Buckets
from assets.semantic_ids.trie import Trie

DIM, CODES = 6, 4
PARAMS = RetrieverParams(hidden=16, heads=2, layers=2, feed_forward=24, query_tokens=2, history=4)


@dataclass
class World:
    """A random catalogue and an untrained model with large weights, so that scores differ."""

    buckets: Buckets
    trie: Trie
    model: RetrieverModel

    @classmethod
    def make(cls, seed: int, items: int, levels: int, guided: int) -> World:
        rng = np.random.default_rng(seed)
        torch.manual_seed(seed)
        buckets = Buckets.of(rng.integers(0, CODES, (items, levels)), np.zeros(items, int))
        books = [rng.normal(size=(CODES, DIM)).astype(np.float32) for _ in range(guided)]
        vocabulary = Vocabulary.of([CODES] * levels, "search:", "recommend:")
        model = RetrieverModel.create(PARAMS, vocabulary, books, DIM).eval()
        with torch.no_grad():
            for weights in model.lm.parameters():
                weights.mul_(8 if weights.dim() > 1 else 1)
        return cls(buckets, Trie.build(buckets.sids), model)

    @property
    def tokens(self) -> np.ndarray:
        return self.model.vocabulary.encode(self.buckets.sids)

    @torch.inference_mode()
    def oracle(
        self, prompt: torch.Tensor, latent: torch.Tensor | None, weight: float = 0.0
    ) -> list[float]:
        """Score of every leaf after one (length, hidden) prompt."""
        sids = [tuple(row) for row in self.buckets.sids.tolist()]
        scores = []
        for sid, tokens in zip(sids, torch.from_numpy(self.tokens), strict=True):
            read = torch.cat([prompt, self.model.embed(tokens)])[None]
            hidden = self.model.lm.model(inputs_embeds=read).last_hidden_state[0]
            total = 0.0
            for level, code in enumerate(sid):
                state = hidden[len(prompt) - 1 + level][None]
                similarity = self.model.similarity(latent, level)
                logits = self.model.logits(state, level, similarity)[0]
                if similarity is not None:
                    total += weight * float(similarity[0, code])
                allowed = sorted({s[level] for s in sids if s[:level] == sid[:level]})
                total += float(logits[allowed].log_softmax(0)[allowed.index(code)])
            scores.append(total)
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


@settings(deadline=None, max_examples=25)
@given(
    seed=st.integers(0, 10_000),
    items=st.integers(1, 25),
    levels=st.integers(1, 3),
    guided=st.integers(0, 3),
    weight=st.sampled_from([0.0, 2.0]),
)
def test_wide_beams_find_every_sid_with_the_score_of_the_oracle(
    seed, items, levels, guided, weight
):
    world = World.make(seed, items, levels, min(guided, levels))
    vectors = torch.randn(3, DIM)
    prompt = world.model.search_prompt(vectors).detach()
    leaves, scores, tokens = beam_search(
        world.model, world.trie, prompt, 40, latent=vectors, similarity_weight=weight
    )
    assert leaves.shape == scores.shape == (3, 40)
    for row in range(3):
        expected = dict(enumerate(world.oracle(prompt[row], vectors[row : row + 1], weight)))
        _is_ranking_of(leaves[row], scores[row], expected)
    there = leaves >= 0
    assert (tokens[there].numpy() == world.tokens[leaves[there].numpy()]).all()
    assert (tokens[~there] == -1).all()


@settings(deadline=None, max_examples=25)
@given(seed=st.integers(0, 10_000), items=st.integers(1, 25), data=st.data())
def test_what_is_in_the_history_is_never_found_and_the_rest_is(seed, items, data):
    world = World.make(seed, items, 3, 2)
    some = st.lists(st.integers(0, items - 1), max_size=8)
    histories = [np.array(data.draw(some), dtype=np.int64) for _ in range(3)]
    leaf_of = world.buckets.leaf_of
    tokens, mask = recommend_prompts([leaf_of[h] for h in histories], world.tokens, PARAMS.history)
    prompt = world.model.embed(torch.from_numpy(tokens)).detach()
    row = np.repeat(np.arange(3), [len(h) for h in histories])
    dead = dead_nodes(
        world.trie,
        torch.from_numpy(world.buckets.sizes),
        torch.from_numpy(leaf_of),
        torch.from_numpy(row),
        torch.from_numpy(np.concatenate(histories)),
    )
    leaves, scores, _ = beam_search(
        world.model, world.trie, prompt, 40, prompt_mask=torch.from_numpy(mask), dead=dead
    )
    for number, history in enumerate(histories):
        alone = world.oracle(prompt[number][mask[number]], None)
        left = {int(leaf_of[item]) for item in range(items) if item not in history}
        _is_ranking_of(leaves[number], scores[number], {leaf: alone[leaf] for leaf in left})


@settings(deadline=None, max_examples=25)
@given(seed=st.integers(0, 10_000), items=st.integers(1, 40), beams=st.integers(1, 12))
def test_narrow_beams_find_as_many_distinct_sids_as_there_can_be(seed, items, beams):
    world = World.make(seed, items, 3, 2)
    vectors = torch.randn(2, DIM)
    prompt = world.model.search_prompt(vectors).detach()
    leaves, scores, _ = beam_search(world.model, world.trie, prompt, beams, latent=vectors)
    for row in range(2):
        found = leaves[row][leaves[row] >= 0].tolist()
        assert len(found) == len(set(found)) == min(beams, len(world.buckets.sids))
        truth = world.oracle(prompt[row], vectors[row : row + 1])
        torch.testing.assert_close(
            scores[row][: len(found)],
            torch.tensor([truth[leaf] for leaf in found]),
            atol=2e-4,
            rtol=1e-4,
        )


@settings(deadline=None, max_examples=15)
@given(seed=st.integers(0, 10_000), data=st.data())
def test_exclusions_cost_no_beams(seed, data):
    world = World.make(seed, 30, 3, 0)
    gone = sorted(data.draw(st.sets(st.integers(0, 29), max_size=25)))
    gone = np.array(gone, dtype=np.int64)
    dead = dead_nodes(
        world.trie,
        torch.from_numpy(world.buckets.sizes),
        torch.from_numpy(world.buckets.leaf_of),
        torch.zeros(len(gone), dtype=torch.int64),
        torch.from_numpy(gone),
    )
    left = set(world.buckets.leaf_of[np.setdiff1d(np.arange(30), gone)].tolist())
    prompt = world.model.embed(torch.tensor([[2]])).detach()
    leaves, _, _ = beam_search(world.model, world.trie, prompt, 5, dead=dead)
    found = leaves[leaves >= 0].tolist()
    assert len(found) == min(5, len(left))
    assert set(found) <= left


def test_a_batch_gives_what_each_row_gives_alone():
    world = World.make(3, 40, 3, 2)
    vectors = torch.randn(7, DIM)
    prompt = world.model.search_prompt(vectors).detach()
    together = beam_search(world.model, world.trie, prompt, 6, latent=vectors)
    for row in range(7):
        one = slice(row, row + 1)
        alone = beam_search(world.model, world.trie, prompt[one], 6, latent=vectors[one])
        assert (alone[0] == together[0][one]).all()
        torch.testing.assert_close(alone[1], together[1][one])


@pytest.mark.parametrize("length", [1, 2, 9])
def test_padding_a_prompt_on_the_left_changes_nothing(length):
    world = World.make(5, 40, 3, 0)
    histories = [np.arange(length) % len(world.buckets.sids), np.arange(12) % 5]
    tokens, mask = recommend_prompts(histories, world.tokens, 12)
    short, _ = recommend_prompts(histories[:1], world.tokens, 12)
    padded = beam_search(
        world.model,
        world.trie,
        world.model.embed(torch.from_numpy(tokens)).detach(),
        10,
        prompt_mask=torch.from_numpy(mask),
    )
    plain = beam_search(
        world.model, world.trie, world.model.embed(torch.from_numpy(short)).detach(), 10
    )
    torch.testing.assert_close(padded[1][:1], plain[1], atol=2e-4, rtol=1e-4)
    assert (padded[0][:1] == plain[0]).all()
