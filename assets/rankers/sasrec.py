"""SASRec: a small transformer reads the history and names the next item.

Kang and McAuley, "Self-Attentive Sequential Recommendation" (ICDM 2018, arXiv 1808.09781), with a
softmax over a sample of the catalogue in the place of one negative per item, which alone lifts it
to where later models stand (Klenitskiy and Vasilev, RecSys 2023, arXiv 2309.07602).
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray
from safetensors.torch import load_file, save_file
from torch import Tensor, nn

from assets.files import read_json, write_json
from assets.ranking import Histories, Ranked, Rows, rank_in_chunks
from assets.sequential.blocks import Block

WEIGHTS, ABOUT, KNOWN = "sasrec.safetensors", "sasrec.json", "known_rows"
SPREAD = 0.02  # standard deviation of vectors at the start


@dataclass(frozen=True)
class Shape:
    """What a model is like; see :class:`assets.rankers.params.SASRecParams` for each."""

    hidden: int
    layers: int
    heads: int
    history: int
    dropout: float


class Model(nn.Module):
    """Vectors of items, and the blocks that read a history of them."""

    def __init__(self, items: int, shape: Shape) -> None:
        """Draw the weights from torch's generator."""
        super().__init__()
        self.items = nn.Embedding(items, shape.hidden)
        self.place = nn.Embedding(shape.history, shape.hidden)
        block = (shape.hidden, shape.heads, 2 * shape.hidden, shape.dropout)
        self.blocks = nn.ModuleList(Block(*block) for _ in range(shape.layers))
        self.norm = nn.LayerNorm(shape.hidden)
        self.dropout = nn.Dropout(shape.dropout)
        for table in (self.items, self.place):
            nn.init.normal_(table.weight, std=SPREAD)

    def forward(self, histories: Tensor) -> Tensor:
        """Read (histories, length) items; return (histories, length, hidden) states."""
        x = self.dropout(self.items(histories) + self.place.weight[: histories.shape[1]])
        for block in self.blocks:
            x, _ = block(x)
        return self.norm(x)

    def vectors(self, items: Tensor | None) -> Tensor:
        """Return the vectors of (n,) items, or of all."""
        return self.items.weight if items is None else self.items(items)


@dataclass(frozen=True)
class SASRec:
    """A trained model, and how it is asked.

    Attributes:
        model: Knows the items that have train interactions, and no others.
        shape: What it is like.
        known: (known items,) their rows in the catalogue, ascending.
        ties: (items,) rows in the order in which equals are shown.
        epochs: Passes over all histories that it learnt in.
    """

    model: Model
    shape: Shape
    known: Rows
    ties: Rows
    epochs: int

    def rank(self, asked: Histories, depth: int) -> Ranked:
        """Rank the items it knows; nothing for a history of none of them."""
        return rank_in_chunks(
            lambda chunk: self.scores(asked.items[chunk]),
            len(asked),
            depth,
            self.ties,
            asked.excluded,
        )

    def scores(self, histories: Sequence[Rows]) -> NDArray[np.float32]:
        """Score all items for some users.

        Args:
            histories: Rows of items, oldest first.

        Returns:
            (users, items); -inf where the model does not know the item, or none of the history.
        """
        read = [self._number[rows] for rows in histories]
        read = [items[items >= 0][-self.shape.history :] for items in read]
        scores = np.full((len(read), len(self.ties)), -np.inf, dtype=np.float32)
        asked = np.array([place for place, items in enumerate(read) if len(items)], dtype=np.int64)
        if not len(asked):
            return scores
        lengths = np.array([len(read[place]) for place in asked])
        batch = np.zeros((len(asked), lengths.max()), dtype=np.int64)
        for row, place in zip(batch, asked, strict=True):
            row[: len(read[place])] = read[place]
        with torch.inference_mode():
            states = self.model(torch.from_numpy(batch))
            last = states[torch.arange(len(asked)), torch.from_numpy(lengths - 1)]
            found = (last @ self.model.vectors(None).T).numpy()
        scores[asked[:, None], self.known] = found
        return scores

    @cached_property
    def _number(self) -> Rows:
        """(items,) the model's number of each item of the catalogue, -1 where it knows it not."""
        number = np.full(len(self.ties), -1, dtype=np.int64)
        number[self.known] = np.arange(len(self.known))
        return number

    def save(self, folder: Path) -> None:
        """Write ``sasrec.safetensors`` and ``sasrec.json``."""
        tensors = {key: tensor.contiguous() for key, tensor in self.model.state_dict().items()}
        save_file({**tensors, KNOWN: torch.from_numpy(self.known)}, folder / WEIGHTS)
        write_json(folder / ABOUT, {"shape": vars(self.shape), "epochs": self.epochs})

    @classmethod
    def load(cls, folder: Path, ties: Rows) -> SASRec:
        """Read what :meth:`save` wrote."""
        saved = load_file(folder / WEIGHTS)
        about = read_json(folder / ABOUT)
        known, shape = saved.pop(KNOWN).numpy(), Shape(**about["shape"])
        model = Model(len(known), shape)
        model.load_state_dict(saved)
        return cls(model.eval(), shape, known, ties, about["epochs"])
