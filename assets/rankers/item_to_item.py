"""Item-to-item recommendation: each item of a history speaks for others, the latest loudest.

Item KNN, EASE, SLIT, Markov chain and transition graph are each one matrix, asked alike: an item's
score is the sum over the last items of the history of ``decay ** age`` times the matrix's entry
from that item to it, age 0 for the latest. They differ in how the matrix is fitted.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from safetensors.numpy import load_file, save_file
from scipy import sparse

from assets.files import read_json, write_json
from assets.ranking import Histories, Ranked, Rows, rank_in_chunks


def recency_weights(histories: Sequence[Rows], history: int, decay: float, items: int) -> Any:
    """Weigh the last items of histories, the latest most.

    Args:
        histories: Rows of items, oldest first.
        history: How many of each count.
        decay: Weight per step into the past.
        items: Number of items.

    Returns:
        (histories, items) sparse float32, the sum of ``decay ** age`` over an item's places.
    """
    last = [rows[-history:] for rows in histories]
    lengths = np.fromiter(map(len, last), np.int64, len(last))
    users = np.repeat(np.arange(len(last)), lengths)
    ages = np.concatenate([np.arange(n)[::-1] for n in lengths] or [np.empty(0)])
    rows = np.concatenate([*last, np.empty(0, np.int64)]).astype(np.int64)
    weights = (decay**ages).astype(np.float32)
    return sparse.csr_array((weights, (users, rows)), shape=(len(last), items))


@dataclass(frozen=True)
class ItemToItem:
    """A fitted matrix, and how it is asked.

    Attributes:
        matrix: (items, items) sparse float32; row i holds what item i speaks for. Its values are
            float16's, in which it is saved, so that a loaded one ranks alike.
        history: How many of a user's last interactions count.
        decay: Weight of an interaction per step into the past.
        power: What scores are raised to once items are ranked by them: no rank depends on it, but
            what a fusion of scores makes of them does.
        ties: (items,) rows in the order in which equals are shown.
    """

    matrix: Any
    history: int
    decay: float
    power: float
    ties: Rows

    def rank(self, asked: Histories, depth: int) -> Ranked:
        """Rank what each history speaks for."""
        found = rank_in_chunks(
            lambda chunk: self.scores(asked.items[chunk]),
            len(asked),
            depth,
            self.ties,
            asked.excluded,
        )
        if self.power == 1:
            return found
        there = found.rows >= 0
        scores = np.sign(found.scores) * np.abs(found.scores) ** np.float32(self.power)
        return Ranked(found.rows, np.where(there, scores, found.scores))

    def scores(self, histories: Sequence[Rows]) -> NDArray[np.float32]:
        """Score all items for some users, before any power.

        Args:
            histories: Rows of items, oldest first.

        Returns:
            (users, items).
        """
        weights = recency_weights(histories, self.history, self.decay, self.matrix.shape[0])
        return np.asarray((weights @ self.matrix).toarray())

    def spoken(self, history: Rows, row: int) -> tuple[Rows, NDArray[np.float32]]:
        """Return the last items of one history, and what each says for an item, before any power.

        Args:
            history: Rows of items, oldest first.
            row: The item that is spoken for.
        """
        last = history[-self.history :]
        ages = np.arange(len(last))[::-1]
        column = self.matrix[last][:, [row]].toarray()[:, 0]
        return last, np.asarray(column * self.decay**ages, dtype=np.float32)

    def save(self, folder: Path, name: str) -> None:
        """Write ``<name>.safetensors`` and ``<name>.json``."""
        narrow = np.uint16 if len(self.ties) <= 2**16 else np.int32
        tensors = {
            "data": self.matrix.data.astype(np.float16),
            "indices": self.matrix.indices.astype(narrow),
            "indptr": self.matrix.indptr.astype(np.int64),
        }
        save_file(tensors, folder / f"{name}.safetensors")
        write_json(
            folder / f"{name}.json",
            {"history": self.history, "decay": self.decay, "power": self.power},
        )

    @classmethod
    def load(cls, folder: Path, name: str, ties: Rows) -> ItemToItem:
        """Read what :meth:`save` wrote."""
        saved = load_file(folder / f"{name}.safetensors")
        matrix = sparse.csr_array(
            (saved["data"].astype(np.float32), saved["indices"].astype(np.int32), saved["indptr"]),
            shape=(len(ties), len(ties)),
        )
        about = read_json(folder / f"{name}.json")
        return cls(matrix, about["history"], about["decay"], about["power"], ties)
