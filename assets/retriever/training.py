"""Training: each step reads one batch of every task there is and adds their weighted losses."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence

import numpy as np
import torch
from torch import Tensor

from assets.codebooks.artifact import Codebooks
from assets.ranking import Task
from assets.retriever.artifact import Generator
from assets.retriever.examples import Examples
from assets.retriever.model import RetrieverModel
from assets.retriever.params import RetrieverParams
from assets.retriever.vocabulary import RECOMMEND, Vocabulary
from assets.semantic_ids.artifact import SemanticIds
from assets.semantic_ids.buckets import Buckets
from assets.semantic_ids.trie import Trie
from assets.stage import progress


def untrained(
    params: RetrieverParams,
    ids: SemanticIds,
    buckets: Buckets,
    codebooks: Codebooks,
    query_dim: int,
    tasks: Sequence[Task],
    device: str,
) -> Generator:
    """Make a generator that has yet to learn `tasks`."""
    vocabulary = Vocabulary.of(ids.sizes, params.search_prompt, params.recommend_prompt)
    model = RetrieverModel.create(params, vocabulary, codebooks.quantizer.codebooks, query_dim)
    return Generator(
        model=model.to(device),
        ids=ids,
        buckets=buckets,
        codebooks=codebooks,
        history=params.history,
        tasks=tuple(tasks),
        trained_as={},
    )


def search_loss(
    model: RetrieverModel,
    trie: Trie,
    tokens: Tensor,
    vectors: Tensor,
    latent: Tensor,
    leaves: Tensor,
) -> Tensor:
    """Return the mean negative log probability of each query's SID.

    Args:
        model: The model.
        trie: All SIDs.
        tokens: (leaves, levels) token ids of every leaf.
        vectors: (queries, dim).
        latent: (queries, latent dim), the same in the space of the codebooks.
        leaves: (queries,) the answer.
    """
    prompt = model.search_prompt(vectors)
    embedded = torch.cat([prompt, model.embed(tokens[leaves][:, :-1])], dim=1)
    hidden = model.lm.model(inputs_embeds=embedded, use_cache=False).last_hidden_state
    return _sid_loss(model, trie, hidden[:, prompt.shape[1] - 1 :], leaves, latent).mean()


def recommend_loss(model: RetrieverModel, trie: Trie, tokens: Tensor, windows: Tensor) -> Tensor:
    """Return the mean negative log probability of the next SID at every place of every window.

    Args:
        model: The model.
        trie: All SIDs.
        tokens: (leaves, levels) token ids of every leaf.
        windows: (windows, width) leaves, -1 after the end.
    """
    real = windows >= 0
    leaves = windows.clamp(min=0)
    start = torch.full((len(windows), 1), RECOMMEND, device=windows.device)
    read = torch.cat([start, tokens[leaves].flatten(1)[:, :-1]], dim=1)
    hidden = model.lm.model(input_ids=read, use_cache=False).last_hidden_state
    hidden = hidden.view(*windows.shape, trie.levels, -1)
    return _sid_loss(model, trie, hidden[real], leaves[real], None).mean()


def _sid_loss(
    model: RetrieverModel, trie: Trie, hidden: Tensor, leaves: Tensor, latent: Tensor | None
) -> Tensor:
    """(n, levels, hidden) states and (n,) leaves to (n,) negative log probabilities of the SIDs."""
    paths = trie.paths[leaves]
    total = torch.zeros(len(leaves), device=hidden.device)
    for level in range(trie.levels):
        children, exists = trie.children(paths[:, level], level)
        logits = model.logits(hidden[:, level], level, model.similarity(latent, level))
        right = paths[:, level + 1, None] - children[:, :1]
        total -= trie.log_probabilities(logits, children, exists).gather(1, right)[:, 0]
    return total


def learning_rate(step: int, params: RetrieverParams) -> float:
    """Return the learning rate of a step: linear warm-up, then a cosine down to zero."""
    if step < params.warmup_steps:
        return params.learning_rate * (step + 1) / params.warmup_steps
    done = (step - params.warmup_steps) / max(1, params.steps - params.warmup_steps)
    return params.learning_rate * 0.5 * (1 + math.cos(math.pi * done))


def train(
    generator: Generator,
    examples: Examples,
    params: RetrieverParams,
    look: Callable[[int], None],
) -> list[dict[str, float]]:
    """Train the generator's model in place.

    Args:
        generator: The generator.
        examples: What to learn from.
        params: Those of the stage.
        look: Called with the number of steps done, every `check_every` steps and at the end.

    Returns:
        One row per step: step, recommendation_loss, search_loss (those there are).
    """
    model, trie, device = generator.model, generator.trie, generator.model.device
    rng = np.random.default_rng(params.seed)
    tokens = torch.from_numpy(generator.tokens).to(device)
    optimizer = torch.optim.AdamW(
        model.parameters(),
        lr=params.learning_rate,
        weight_decay=params.weight_decay,
        betas=(0.9, params.adam_beta2),
    )
    # bfloat16 makes a step 1.6 times as fast on a CPU, but not through torch's fused attention
    model.lm.set_attn_implementation("eager")
    curve = []
    for step in progress(range(params.steps), "training"):
        model.train()
        for group in optimizer.param_groups:
            group["lr"] = learning_rate(step, params)
        row: dict[str, float] = {"step": step}
        losses = []
        with torch.autocast(device.type, torch.bfloat16, enabled=params.half_precision):
            if examples.histories is not None:
                windows = examples.histories.windows(
                    rng, params.recommend_batch, params.history + 1
                )
                loss = recommend_loss(model, trie, tokens, torch.from_numpy(windows).to(device))
                losses.append(params.recommend_weight * loss)
                row["recommendation_loss"] = loss.item()
            if examples.search is not None:
                vectors, leaves = examples.search.draw(
                    rng, params.search_batch, params.document_share, params.noise
                )
                latent = torch.from_numpy(generator.latent(vectors)).to(device)
                loss = search_loss(
                    model,
                    trie,
                    tokens,
                    torch.from_numpy(vectors).to(device),
                    latent,
                    torch.from_numpy(leaves).to(device),
                )
                losses.append(params.search_weight * loss)
                row["search_loss"] = loss.item()
        optimizer.zero_grad(set_to_none=True)
        torch.stack(losses).sum().backward()
        torch.nn.utils.clip_grad_norm_(model.parameters(), params.gradient_clip)
        optimizer.step()
        curve.append(row)
        if (step + 1) % params.check_every == 0 or step + 1 == params.steps:
            model.eval()
            model.lm.set_attn_implementation("sdpa")
            look(step + 1)
            model.lm.set_attn_implementation("eager")
    model.lm.set_attn_implementation("sdpa")
    model.eval()
    return curve
