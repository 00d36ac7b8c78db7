"""The contrastive losses of both tasks, computed each step and added."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray
from sentence_transformers import SentenceTransformer
from sentence_transformers.base.losses.merged_forward import embed_columns
from sentence_transformers.util import all_gather, all_gather_with_grad, get_rank
from torch import Tensor, nn


@dataclass(frozen=True)
class Task:
    """What one contrastive loss needs to know.

    Attributes:
        name: ``search`` or ``recommendation``.
        weight: Weight of its loss.
        columns: Columns of a row that are its own: anchor, right answer, hard negatives.
        known: Sorted keys ``anchor id * texts + candidate id`` of pairs that are no negatives.
        texts: Number of text ids.
        log_chance: (texts,) log chance of a text to be drawn as a right answer, times how much of
            it is corrected for.
        log_uniform: The same for a hard negative, drawn from all items alike.
    """

    name: str
    weight: float
    columns: int
    known: NDArray[np.int64]
    texts: int
    log_chance: NDArray[np.float32]
    log_uniform: float


class SummedContrastiveLoss(nn.Module):
    """Sum over tasks of weight times InfoNCE with in-batch negatives.

    For a task with anchors a_i, right answers p_i and hard negatives n_ij (rows of length 1)::

        loss = mean_i -log( exp(s a_i.p_i - q(p_i)) / sum_c exp(s a_i.c - q(c)) )

    where c runs over the right answers and hard negatives of the whole batch but those that are
    known to be right for a_i, and q(c) is the log chance of c to be in the batch (sampled softmax:
    without it popular items are pushed away more than others). Without q and that exception it is
    sentence-transformers' MultipleNegativesRankingLoss. Under several processes the batch is that
    of all of them.

    References:
        Semantic IDs for Joint Generative Search and Recommendation, arXiv 2508.10478: one encoder,
        the sum of two in-batch contrastive losses. The recommendation half is FORGE's
        item-to-item contrast, arXiv 2509.20904.
    """

    def __init__(self, model: SentenceTransformer, tasks: Sequence[Task], scale: float) -> None:
        super().__init__()
        self.model = model
        self.tasks = list(tasks)
        self.scale = scale
        for task in self.tasks:
            self.register_buffer(f"known_{task.name}", torch.from_numpy(task.known))
            self.register_buffer(f"log_chance_{task.name}", torch.from_numpy(task.log_chance))

    def forward(self, features: Iterable[dict[str, Tensor]], labels: Tensor) -> dict[str, Tensor]:
        """Return the weighted loss of each task; the trainer adds them.

        Args:
            features: One entry per column: those of the first task, then those of the next.
            labels: (batch, columns) text ids.
        """
        vectors = [
            nn.functional.normalize(column) for column in embed_columns(self.model, features)
        ]
        losses, start = {}, 0
        for task in self.tasks:
            own = slice(start, start + task.columns)
            losses[task.name] = task.weight * self._loss(task, vectors[own], labels[:, own])
            start += task.columns
        return losses

    def _loss(self, task: Task, vectors: list[Tensor], ids: Tensor) -> Tensor:
        anchors, anchor_ids = vectors[0], ids[:, 0]  # (batch, dim), (batch,)
        rows = torch.arange(len(anchors), device=anchors.device)
        if torch.distributed.is_initialized():
            own = rows + get_rank() * len(anchors)
            vectors = [vectors[0], *map(all_gather_with_grad, vectors[1:])]
            ids = all_gather(ids)
        else:
            own = rows
        candidates = torch.cat(vectors[1:])  # (candidates, dim), the right answers first
        chance = torch.full((len(candidates),), task.log_uniform, device=anchors.device)
        chance[: len(ids)] = self.get_buffer(f"log_chance_{task.name}")[ids[:, 1]]
        scores = self.scale * anchors @ candidates.T - chance  # (batch, candidates)
        known = self.get_buffer(f"known_{task.name}")
        right = _in_sorted(anchor_ids[:, None] * task.texts + ids[:, 1:].T.reshape(1, -1), known)
        right[rows, own] = False
        return nn.functional.cross_entropy(scores.masked_fill(right, -torch.inf), own)


def _in_sorted(keys: Tensor, known: Tensor) -> Tensor:
    """Return which keys are among the sorted known ones."""
    if not len(known):
        return torch.zeros_like(keys, dtype=torch.bool)
    places = torch.searchsorted(known, keys).clamp_(max=len(known) - 1)
    return known[places] == keys
