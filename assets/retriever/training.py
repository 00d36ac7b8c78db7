"""Training: a step reads one batch of every task there is and adds both heads' losses.

The best moment by validation is what is kept; a killed training goes on from its last look.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from assets.machine import bfloat16_is_fast
from assets.ranking import Rows, Task
from assets.retriever.artifact import Generator
from assets.retriever.examples import Examples
from assets.retriever.losses import sid_loss
from assets.retriever.model import CompactModel, Features, Shape
from assets.retriever.params import RetrieverParams
from assets.retriever.validation import Validation
from assets.semantic_ids.artifact import SemanticIds
from assets.semantic_ids.buckets import Buckets
from assets.sequential.sampled_softmax import sampled_softmax_loss
from assets.sequential.spectral import spectral_vectors
from assets.training.course import Course, Plan, follow
from assets.training.processes import Place, place

SEARCH_SHARE = 0.25  # of a pass over queries and documents, the least in an epoch


def untrained(
    params: RetrieverParams,
    ids: SemanticIds,
    text: NDArray[np.float32],
    popularity: NDArray[np.int64],
    tasks: Sequence[Task],
    device: str,
) -> Generator:
    """Make a generator that has yet to learn `tasks`; weights are drawn from torch's generator.

    Args:
        params: Those of the stage, their precision decided.
        ids: The Semantic IDs.
        text: (items, dim) the documents' vectors.
        popularity: (items,) train interactions; who has any gets a vector of its own.
        tasks: What there is to learn from.
        device: ``cpu`` or ``cuda``.
    """
    model = CompactModel(Shape.of(params), Features(ids.codes, text, popularity > 0, ids.sizes))
    return Generator(
        model=model.to(device),
        ids=ids,
        buckets=Buckets.of(ids.codes, popularity),
        ties=np.argsort(-popularity, kind="stable"),
        tasks=tuple(tasks),
        trained_as={"precision": params.precision, "device": device},
    )


def train(
    generator: Generator,
    examples: Examples,
    validation: Validation,
    params: RetrieverParams,
    folder: Path,
    say: Callable[[str], None],
    epochs: int | None = None,
) -> tuple[Course, int]:
    """Train the generator's model in place and leave it as it was at its best look at validation.

    Processes of a group share the questions of each step and draw the same negatives, so that they
    learn what one does.

    Args:
        generator: The generator.
        examples: What to learn from.
        validation: Looked at every `check_every` epochs and at the end.
        params: Those of the stage, their precision decided.
        folder: Holds a checkpoint of each look; a killed training goes on from the last one.
        say: Takes lines for whoever watches.
        epochs: Passes after which it ends, the learning rate where it is then; None: all.

    Returns:
        How it went, losses as ``<task>_<head>_loss``, and the passes that were kept.
    """
    model, rng = generator.model, np.random.default_rng(params.seed)
    if examples.sequences is not None and params.vectors_start == "transitions":
        catalogue = len(generator.ids.item_ids)
        own = spectral_vectors(examples.sequences, catalogue, params.hidden, rng)
        with torch.no_grad():
            model.own.weight.copy_(torch.from_numpy(own))
    lesson = _Lesson(generator, examples, params)
    batches: list[Rows | None] = []

    def losses() -> tuple[Tensor, dict[str, Tensor]]:
        if not batches:
            batches.extend(lesson.epoch(rng))
        parts = lesson.losses(batches.pop(), rng)
        return lesson.weighted(parts), parts

    def measure() -> tuple[float, dict[str, float]]:
        # what a generator computes once of its weights is computed anew
        numbers = validation.measure(replace(generator))
        return validation.score(numbers), numbers

    plan = Plan(
        what="training",
        steps=params.epochs * lesson.steps,
        look=params.check_every * lesson.steps,
        learning_rate=params.learning_rate,
        warmup=params.warmup,
        weight_decay=params.weight_decay,
        adam_beta2=params.adam_beta2,
        gradient_clip=params.gradient_clip,
        shorter=_shorter(params, model.device.type),
        end=None if epochs is None else epochs * lesson.steps,
    )
    course = follow(plan, model, losses, measure, rng, folder, say)
    return course, course.kept // lesson.steps


class _Lesson:
    """What is learnt in one epoch, batch by batch."""

    def __init__(self, generator: Generator, examples: Examples, params: RetrieverParams) -> None:
        self._generator, self._examples, self._params = generator, examples, params
        queries = len(examples.search) // params.search_batch if examples.search else 0
        if examples.sequences is None:
            self.steps = max(1, queries)
        else:  # windows are cut anew each time, so that their number is settled beforehand
            rng, width = np.random.default_rng(params.seed), params.history + 1
            windows = len(examples.sequences.batches(rng, width, params.positions))
            # a few histories beside a large catalogue must not end the search before it began
            self.steps = max(windows, round(SEARCH_SHARE * queries))

    def epoch(self, rng: np.random.Generator) -> list[Rows | None]:
        """Return a batch of windows for each step; None where there are no histories."""
        sequences, params = self._examples.sequences, self._params
        if sequences is None:
            return [None] * self.steps
        return [*sequences.epoch(rng, params.history + 1, params.positions, self.steps)]

    def losses(self, windows: Rows | None, rng: np.random.Generator) -> dict[str, Tensor]:
        """Return the losses of a step, by ``<task>_<head>_loss``.

        In a group they are this process's share: those of its rows, weighted by their number.
        """
        generator, params, here = self._generator, self._params, place()
        model = generator.model
        found: dict[str, Tensor] = {}
        dropped = None
        if params.item_dropout and params.item_vectors:
            drawn = rng.random(len(generator.ids.item_ids)) < params.item_dropout
            dropped = torch.from_numpy(drawn).to(model.device)

        def heads(task: Task, states: Tensor, items: Tensor, share: float) -> None:
            losses = {"sid": sid_loss(model, generator.trie, generator.leaf_of, states, items)}
            if params.item_weight:
                losses["item"] = sampled_softmax_loss(
                    states,
                    items,
                    lambda rows: model.item_vectors(rows, dropped),
                    len(model.item_codes),
                    params.negatives,
                    rng,
                )
            for head, loss in losses.items():
                found[f"{task}_{head}_loss"] = share * loss

        with torch.autocast(
            model.device.type, torch.bfloat16, enabled=params.precision == "bfloat16"
        ):
            if windows is not None:
                own, share = _share_of(here, np.count_nonzero(windows[:, 1:] >= 0, axis=1))
                read = torch.from_numpy(windows[own]).to(model.device)
                after = read[:, 1:]
                there = after >= 0
                states = model.history_states(read[:, :-1].clamp(min=0), dropped)
                heads("recommendation", states[there], after[there], share)
            if self._examples.search is not None:
                vectors, items = self._examples.search.draw(
                    rng, params.search_batch, params.document_share, params.noise
                )
                own, share = _share_of(here, np.ones(len(items)))
                states = model.query_states(torch.from_numpy(vectors[own]).to(model.device))
                heads("search", states, torch.from_numpy(items[own]).to(model.device), share)
        return found

    def weighted(self, losses: dict[str, Tensor]) -> Tensor:
        """Add the losses of a step up."""
        params = self._params
        tasks = {"recommendation": params.recommend_weight, "search": params.search_weight}
        heads = {"sid": params.sid_weight, "item": params.item_weight}
        total = []
        for name, loss in losses.items():
            task, head, _ = name.split("_")
            total.append(tasks[task] * heads[head] * loss)
        return torch.stack(total).sum()


def _share_of(here: Place, questions: NDArray[Any]) -> tuple[slice, float]:
    """Return which rows of a batch a process of a group reads, and what they weigh.

    Args:
        here: The process.
        questions: (rows,) how many questions each row asks.
    """
    own = slice(here.rank, None, here.count)
    if here.rank < len(questions):
        return own, float(questions[own].sum() / questions.sum())
    return slice(1), 0.0  # it reads along, so that all of them draw the same


def _shorter(params: RetrieverParams, device: str) -> list[str]:
    """Name what would make a training shorter."""
    knobs = [
        f"fewer `retriever.epochs` (now {params.epochs})",
        f"fewer `retriever.negatives` (now {params.negatives})",
        f"a smaller `retriever.hidden` (now {params.hidden})",
    ]
    if params.precision == "bfloat16" and not bfloat16_is_fast(device):
        knobs.insert(0, "`retriever.precision: auto` (bfloat16 is slow on this machine)")
    return knobs
