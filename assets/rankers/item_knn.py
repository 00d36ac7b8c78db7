"""Recency-weighted item KNN: what the items a user had last go along with.

The strong simple baseline of sequential recommendation: exact cosine similarity between the columns
of the binary user × item matrix of the train split; an item's score is the sum over the last items
of the history of ``decay ** age`` times its similarity, age 0 for the latest.
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
from assets.stage import progress


@dataclass(frozen=True)
class ItemKNN:
    """A fitted item KNN.

    Attributes:
        similarity: (items, items) sparse float32, zero on the diagonal; row i holds the neighbours
            of item i. Rounded to float16, in which it is saved, so that a loaded one ranks alike.
        history: How many of a user's last interactions count.
        decay: Weight of an interaction per step into the past.
        ties: (items,) rows in the order in which equals are shown.
    """

    similarity: Any
    history: int
    decay: float
    ties: Rows

    @classmethod
    def fit(
        cls,
        users: NDArray[np.int64],
        items: Rows,
        ties: Rows,
        *,
        history: int,
        decay: float,
        neighbours: int | None = None,
        chunk: int = 512,
    ) -> ItemKNN:
        """Compute similarities from train interactions.

        Args:
            users: (interactions,) number of the user.
            items: (interactions,) row of the item.
            ties: See the attribute.
            history: See the attribute.
            decay: See the attribute.
            neighbours: Most similar items kept per item, ties in row order; None keeps all.
            chunk: Items compared with all others at a time; memory alone depends on it.
        """
        n_items = len(ties)
        shape = (int(users.max(initial=-1)) + 1, n_items)
        seen = sparse.csr_matrix((np.ones(len(users), np.float32), (users, items)), shape=shape)
        seen.data[:] = 1
        lengths = np.sqrt(np.asarray(seen.sum(axis=0)).ravel())
        unit = (seen @ sparse.diags_array(1 / np.maximum(lengths, 1), dtype=np.float32)).tocsr()
        fans = unit.T.tocsr()  # (items, users)
        blocks = [
            _strongest(fans[start : start + chunk] @ unit, start, neighbours)
            for start in progress(range(0, n_items, chunk), "fitting item KNN")
        ]
        return cls(sparse.vstack(blocks, format="csr"), history, decay, ties)

    def rank(self, asked: Histories, depth: int) -> Ranked:
        """Rank what goes along with each history, its own items left out."""
        return rank_in_chunks(
            lambda chunk: self.scores(asked.items[chunk]),
            len(asked),
            depth,
            self.ties,
            asked.items,
        )

    def save(self, folder: Path) -> None:
        """Write ``item_knn.safetensors`` and ``item_knn.json``."""
        narrow = np.uint16 if len(self.ties) <= 2**16 else np.int32
        tensors = {
            "data": self.similarity.data.astype(np.float16),
            "indices": self.similarity.indices.astype(narrow),
            "indptr": self.similarity.indptr.astype(np.int64),
        }
        save_file(tensors, folder / "item_knn.safetensors")
        write_json(folder / "item_knn.json", {"history": self.history, "decay": self.decay})

    @classmethod
    def load(cls, folder: Path, ties: Rows) -> ItemKNN:
        """Read what :meth:`save` wrote."""
        saved, about = (
            load_file(folder / "item_knn.safetensors"),
            read_json(folder / "item_knn.json"),
        )
        similarity = sparse.csr_matrix(
            (saved["data"].astype(np.float32), saved["indices"].astype(np.int32), saved["indptr"]),
            shape=(len(ties), len(ties)),
        )
        return cls(similarity, about["history"], about["decay"], ties)

    def scores(self, histories: Sequence[Rows]) -> NDArray[np.float32]:
        """Score all items for some users.

        Args:
            histories: Rows of items, oldest first.

        Returns:
            (users, items).
        """
        last = [history[-self.history :] for history in histories]
        lengths = np.fromiter(map(len, last), np.int64, len(last))
        users = np.repeat(np.arange(len(last)), lengths)
        ages = np.concatenate([np.arange(n)[::-1] for n in lengths] or [np.empty(0)])
        items = np.concatenate([*last, np.empty(0, np.int64)]).astype(np.int64)
        weights = sparse.csr_matrix(
            ((self.decay**ages).astype(np.float32), (users, items)),
            shape=(len(last), self.similarity.shape[0]),
        )
        return np.asarray((weights @ self.similarity).toarray())


def _strongest(block: Any, start: int, neighbours: int | None) -> Any:
    """Drop each item's similarity to itself and all but its most similar items."""
    block.data = block.data.astype(np.float16).astype(np.float32)
    block.setdiag(0, k=start)
    block.eliminate_zeros()
    block.sort_indices()
    if neighbours is None:
        return block
    for row in range(block.shape[0]):
        values = block.data[block.indptr[row] : block.indptr[row + 1]]
        values[np.argsort(-values, kind="stable")[neighbours:]] = 0
    block.eliminate_zeros()
    return block
