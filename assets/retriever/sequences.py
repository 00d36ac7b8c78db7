"""What the model is trained on: windows of histories, and queries with their answers.

Both are drawn with replacement by a seeded generator, a batch at a time. Nothing but what is handed
in can be drawn, and only the train split is handed in.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from assets.retriever.vocabulary import PAD, RECOMMEND


@dataclass(frozen=True)
class Histories:
    """Leaves in the order in which each user met them, users one after another.

    Attributes:
        leaves: (interactions,) int64.
        starts: (users + 1,) int64; user u's are ``leaves[starts[u]:starts[u + 1]]``.
    """

    leaves: NDArray[np.int64]
    starts: NDArray[np.int64]

    @classmethod
    def of(cls, users: NDArray[Any], leaves: NDArray[np.int64]) -> Histories:
        """Take (interactions,) users and leaves, ordered by user and time."""
        first = np.flatnonzero(users[1:] != users[:-1]) + 1
        return cls(leaves, np.concatenate([[0], first, [len(leaves)]]))

    def windows(self, rng: np.random.Generator, count: int, width: int) -> NDArray[np.int64]:
        """Draw windows of consecutive interactions; their place in the history is random.

        A window that would run over the end of its history is moved back, so the ends, which are
        what a recommendation is asked about, are drawn most.

        Args:
            rng: Source of randomness.
            count: Number of windows.
            width: Most interactions of one.

        Returns:
            (count, width) leaves, -1 after the end of a history shorter than `width`.
        """
        place = rng.integers(len(self.leaves), size=count)
        user = np.searchsorted(self.starts, place, side="right") - 1
        begin, end = self.starts[user], self.starts[user + 1]
        first = np.maximum(np.minimum(place, end - width), begin)
        rows = first[:, None] + np.arange(width)
        inside = rows < end[:, None]
        return np.where(inside, self.leaves[np.where(inside, rows, 0)], -1)


@dataclass(frozen=True)
class SearchExamples:
    """Queries and documents as vectors, each with a leaf that answers it.

    Attributes:
        queries: (queries, dim) float32, unit rows.
        documents: (items, dim) float32, unit rows.
        query_rows: (pairs,) row of `queries` ...
        query_leaves: ... and a leaf that is right for it.
        document_leaves: (items,) leaf of each document.
    """

    queries: NDArray[np.float32]
    documents: NDArray[np.float32]
    query_rows: NDArray[np.int64]
    query_leaves: NDArray[np.int64]
    document_leaves: NDArray[np.int64]

    def draw(
        self, rng: np.random.Generator, count: int, document_share: float, noise: float
    ) -> tuple[NDArray[np.float32], NDArray[np.int64]]:
        """Draw examples.

        Args:
            rng: Source of randomness.
            count: Number of examples.
            document_share: Share of them that are documents.
            noise: Expected length of the random vector added to each.

        Returns:
            (count, dim) float32 unit vectors and their (count,) leaves.
        """
        documents = round(count * document_share)
        pair = rng.integers(len(self.query_rows), size=count - documents)
        item = rng.integers(len(self.documents), size=documents)
        vectors = np.concatenate([self.queries[self.query_rows[pair]], self.documents[item]])
        leaves = np.concatenate([self.query_leaves[pair], self.document_leaves[item]])
        spread = np.float32(noise / np.sqrt(vectors.shape[1]))
        vectors = vectors + spread * rng.standard_normal(vectors.shape, dtype=np.float32)
        return vectors / np.linalg.norm(vectors, axis=1, keepdims=True), leaves


def recommend_prompts(
    histories: Sequence[NDArray[np.int64]], tokens: NDArray[np.int64], longest: int
) -> tuple[NDArray[np.int64], NDArray[np.bool_]]:
    """Write the prompts of recommendations: ``recommend:`` and the last SIDs, oldest first.

    Args:
        histories: For each row the leaves of its history, oldest first.
        tokens: (leaves, levels) token ids of every leaf.
        longest: Most items that are read.

    Returns:
        (rows, length) token ids, shorter prompts padded on the left, and a mask of the same shape,
        False where padded.
    """
    prompts = [
        np.concatenate([[RECOMMEND], tokens[history[-longest:]].ravel()]) for history in histories
    ]
    length = max(map(len, prompts))
    padded = np.full((len(prompts), length), PAD, dtype=np.int64)
    for row, prompt in zip(padded, prompts, strict=True):
        row[length - len(prompt) :] = prompt
    return padded, padded != PAD
