"""Training: each step reads one batch of every task there is and adds their weighted losses.

The best moment by validation is what is kept; a killed training goes on from its last look.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
import torch
from torch import Tensor

from assets.codebooks.artifact import Codebooks
from assets.machine import bfloat16_is_fast
from assets.ranking import Task
from assets.retriever.artifact import Generator
from assets.retriever.examples import Examples
from assets.retriever.model import RetrieverModel
from assets.retriever.params import RetrieverParams
from assets.retriever.validation import Validation
from assets.retriever.vocabulary import RECOMMEND, Vocabulary
from assets.semantic_ids.artifact import SemanticIds
from assets.semantic_ids.buckets import Buckets
from assets.semantic_ids.trie import Trie
from assets.training.best import BestMoment
from assets.training.checkpoints import Checkpoint
from assets.training.forecast import steps_foreseen
from assets.training.schedules import set_learning_rate, warmup_cosine


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
        trained_as={"precision": params.precision, "device": device},
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


@dataclass
class Course:
    """How a training went.

    Attributes:
        curve: One row per step: step, recommendation_loss, search_loss (those there are).
        looks: One row per look at validation: step, recalls.
        kept: Steps done at the look whose weights were kept.
    """

    curve: list[dict[str, float]] = field(default_factory=list)
    looks: list[dict[str, float]] = field(default_factory=list)
    kept: int = 0


def train(
    generator: Generator,
    examples: Examples,
    validation: Validation,
    params: RetrieverParams,
    folder: Path,
    say: Callable[[str], None],
) -> Course:
    """Train the generator's model in place and leave it as it was at its best look at validation.

    Args:
        generator: The generator.
        examples: What to learn from.
        validation: Looked at every `check_every` steps and at the end.
        params: Those of the stage, their precision decided.
        folder: Holds a checkpoint of each look; a killed training goes on from the last one.
        say: Takes lines for whoever watches.
    """
    model, rng = generator.model, np.random.default_rng(params.seed)
    tokens = torch.from_numpy(generator.tokens).to(model.device)
    optimiser = torch.optim.AdamW(
        model.parameters(),
        lr=params.learning_rate,
        weight_decay=params.weight_decay,
        betas=(0.9, params.adam_beta2),
    )
    best, checkpoint, course = BestMoment(model), Checkpoint(folder), Course()
    done = 0
    if state := checkpoint.load():
        done = state["done"]
        model.load_state_dict(state["model"])
        optimiser.load_state_dict(state["optimiser"])
        rng.bit_generator.state = state["rng"]
        torch.set_rng_state(state["torch_rng"])
        best.restore(state["best"])
        course = Course(state["curve"], state["looks"])
        say(f"training goes on after step {done}")
    shorter = _shorter(params, model.device.type)
    for step in steps_foreseen(range(done, params.steps), "training", shorter):
        share = warmup_cosine(step, params.warmup_steps, params.steps)
        set_learning_rate(optimiser, params.learning_rate * share)
        losses = _learn(generator, tokens, examples, params, optimiser, rng)
        course.curve.append({"step": step, **losses})
        done = step + 1
        if done % params.check_every and done < params.steps:
            continue
        model.eval()
        numbers = validation.measure(generator)
        say(f"after {done} steps " + ", ".join(f"{k} {v:.3f}" for k, v in numbers.items()))
        course.looks.append({"step": done, **numbers})
        best.look(done, validation.score(numbers))
        checkpoint.save(
            {
                "done": done,
                "model": model.state_dict(),
                "optimiser": optimiser.state_dict(),
                "rng": rng.bit_generator.state,
                "torch_rng": torch.get_rng_state(),
                "best": best.state(),
                "curve": course.curve,
                "looks": course.looks,
            }
        )
    best.put_back()
    model.eval()
    course.kept = best.step
    return course


def _learn(
    generator: Generator,
    tokens: Tensor,
    examples: Examples,
    params: RetrieverParams,
    optimiser: torch.optim.Optimizer,
    rng: np.random.Generator,
) -> dict[str, float]:
    """Make one step; return its loss on each task."""
    model, device = generator.model, generator.model.device
    half = params.precision == "bfloat16"
    model.train()
    if half and device.type == "cpu":  # through torch's fused attention bfloat16 is no faster there
        model.lm.set_attn_implementation("eager")
    losses = {}
    with torch.autocast(device.type, torch.bfloat16, enabled=half):
        if examples.histories is not None:
            windows = examples.histories.windows(rng, params.recommend_batch, params.history + 1)
            losses["recommendation"] = recommend_loss(
                model, generator.trie, tokens, torch.from_numpy(windows).to(device)
            )
        if examples.search is not None:
            vectors, leaves = examples.search.draw(
                rng, params.search_batch, params.document_share, params.noise
            )
            losses["search"] = search_loss(
                model,
                generator.trie,
                tokens,
                torch.from_numpy(vectors).to(device),
                torch.from_numpy(generator.latent(vectors)).to(device),
                torch.from_numpy(leaves).to(device),
            )
    weights = {"recommendation": params.recommend_weight, "search": params.search_weight}
    optimiser.zero_grad(set_to_none=True)
    torch.stack([weights[task] * loss for task, loss in losses.items()]).sum().backward()
    torch.nn.utils.clip_grad_norm_(model.parameters(), params.gradient_clip)
    optimiser.step()
    model.lm.set_attn_implementation("sdpa")
    return {f"{task}_loss": loss.item() for task, loss in losses.items()}


def _shorter(params: RetrieverParams, device: str) -> list[str]:
    """Name what would make a training shorter."""
    knobs = [
        f"fewer `retriever.steps` (now {params.steps})",
        f"a smaller `retriever.search_batch` (now {params.search_batch})",
        f"a smaller `retriever.recommend_batch` (now {params.recommend_batch})",
    ]
    if params.precision == "bfloat16" and not bfloat16_is_fast(device):
        knobs.insert(0, "`retriever.precision: auto` (bfloat16 is slow on this machine)")
    return knobs
