"""SASRec learns from the train histories, for as long as validation gains by it."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import numpy as np
import torch
from torch import Tensor

from assets.rankers.log import Log, TooLargeError
from assets.rankers.params import SASRecParams
from assets.rankers.sasrec import Model, SASRec, Shape
from assets.rankers.tuning import CUT, Worth
from assets.ranking import Histories, Ranker, Rows
from assets.sequential.sampled_softmax import sampled_softmax_loss
from assets.sequential.sequences import Sequences
from assets.sequential.spectral import spectral_vectors
from assets.training.course import Plan, follow


def train_sasrec(
    log: Log,
    params: SASRecParams,
    ties: Rows,
    exam: Callable[[Ranker[Histories]], Worth] | None,
    seed: int,
    folder: Path,
    say: Callable[[str], None],
    epochs: int | None = None,
    *,
    dropout: float,
) -> SASRec:
    """Train a model and keep its best moment.

    Args:
        log: The train interactions.
        params: What it is like and how it is trained.
        ties: (items,) rows in the order in which equals are shown.
        exam: What decides which moment is best; None: the last one is.
        seed: Of the weights and of all that is drawn.
        folder: Holds a checkpoint of each look; a killed training goes on from the last one.
        say: Takes lines for whoever watches.
        epochs: Passes after which it ends, the learning rate where it is then; None: all.
        dropout: Share of activations set to 0 in training.

    Raises:
        TooLargeError: Training would take more products than `most_products`.
    """
    known, items = np.unique(log.items, return_inverse=True)
    sequences = Sequences.of(log.users, items.astype(np.int64))
    against = min(params.negatives, len(known))
    passes = params.epochs if epochs is None else epochs
    products = 3.0 * passes * len(items) * against * params.hidden
    if products > params.most_products:
        raise TooLargeError(
            f"training it takes {products:.1e} products, more than "
            f"`rankers.sasrec.most_products` ({params.most_products:.1e}) allows."
        )
    torch.manual_seed(seed)
    rng = np.random.default_rng(seed)
    shape = Shape(params.hidden, params.layers, params.heads, params.history, dropout)
    model = Model(len(known), shape)
    start = spectral_vectors(sequences, len(known), params.hidden, rng)
    with torch.no_grad():
        model.items.weight.copy_(torch.from_numpy(start))
    width = params.history + 1
    # windows are cut anew in each pass, so that their number is settled beforehand
    steps = len(sequences.batches(np.random.default_rng(seed), width, params.positions))
    batches: list[Rows] = []

    def losses() -> tuple[Tensor, dict[str, Tensor]]:
        if not batches:
            batches.extend(sequences.epoch(rng, width, params.positions, steps))
        read = torch.from_numpy(batches.pop())
        after = read[:, 1:]
        there = after >= 0
        states = model(read[:, :-1].clamp(min=0))[there]
        loss = sampled_softmax_loss(
            states, after[there], model.vectors, len(known), params.negatives, rng
        )
        return loss, {"loss": loss}

    def measure() -> tuple[float, dict[str, float]]:
        if exam is None:
            return 0.0, {}
        recall, ndcg = exam(SASRec(model, shape, known, ties, params.epochs))
        return recall + ndcg, {f"recall@{CUT}": recall, f"ndcg@{CUT}": ndcg}

    plan = Plan(
        what="SASRec",
        steps=params.epochs * steps,
        look=params.check_every * steps,
        learning_rate=params.learning_rate,
        warmup=0.03,
        weight_decay=params.weight_decay,
        adam_beta2=0.98,
        gradient_clip=1.0,
        shorter=[f"fewer `rankers.sasrec.epochs` (now {params.epochs})"],
        end=passes * steps,
    )
    own = folder / f"sasrec_dropout_{dropout:g}"
    own.mkdir(exist_ok=True)
    course = follow(plan, model, losses, measure, rng, own, say)
    return SASRec(model, shape, known, ties, course.kept // steps)
