"""How well an encoder finds what it should, on the validation split."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from assets.evaluation import bootstrap, choose_by_hash, gains_of, nearest, recall
from assets.interactions.artifact import Interactions
from assets.synthetic_queries.artifact import SyntheticQueries

CUTS = (5, 10, 30)
Recalls = dict[str, NDArray[np.floating]]  # `query` and `pair`: (questions, CUTS)
Encode = Callable[[Sequence[str]], NDArray[np.float32]]


@dataclass(frozen=True)
class ValidationQuestions:
    """Queries and co-occurrence pairs to measure an encoder on.

    Attributes:
        item_ids: All items; an item's place is its row.
        documents: (items,) their documents.
        queries: Query texts.
        targets: For each query the rows of its right answers.
        pairs: (pairs, 2) rows of an item and of one that was taken after it.
    """

    item_ids: list[str]
    documents: list[str]
    queries: list[str]
    targets: list[NDArray[np.int64]]
    pairs: NDArray[np.int64]

    @classmethod
    def of(cls, interactions: Interactions, queries: SyntheticQueries) -> ValidationQuestions:
        """Return all questions of the validation split."""
        items = interactions.items
        rows = {item: row for row, item in enumerate(items["item_id"])}
        tasks, pairs = queries.tasks("validation"), interactions.pairs("validation")
        columns = [[rows[item] for item in pairs[name]] for name in ("item_id", "other_item_id")]
        return cls(
            items["item_id"].tolist(),
            items["document"].tolist(),
            tasks.queries,
            [np.array([rows[item] for item in group]) for group in tasks.targets],
            np.array(columns, np.int64).T,
        )

    def halves(self, most: int, seed: int) -> tuple[ValidationQuestions, ValidationQuestions]:
        """Split the questions in two by hash: what is reported, and what a moment is chosen by.

        A moment chosen by the questions that it is then measured on would look better than it is.

        Args:
            most: Most queries, and most pairs, of each half.
            seed: Seed of the hashes.

        Returns:
            The two halves; a single query or pair is in both.
        """
        keys = [f"{self.item_ids[one]}\0{self.item_ids[other]}" for one, other in self.pairs]
        queries, other_queries = _halves(self.queries, most, seed)
        pairs, other_pairs = _halves(keys, most, seed)
        return self._only(queries, pairs), self._only(other_queries, other_pairs)

    def recalls(self, encode: Encode, device: str = "cpu") -> Recalls:
        """Return recall@{5,10,30} of each query and of each pair; tasks without any are left out.

        Args:
            encode: Texts to unit vectors.
            device: Where to search.
        """
        if not self.queries and not len(self.pairs):
            return {}
        documents = encode(self.documents)
        found: Recalls = {}
        if self.queries:
            found["query"] = query_recall(encode(self.queries), self.targets, documents, device)
        if len(self.pairs):
            found["pair"] = pair_recall(self.pairs, documents, device)
        return found

    def _only(self, queries: list[int], pairs: list[int]) -> ValidationQuestions:
        return replace(
            self,
            queries=[self.queries[place] for place in queries],
            targets=[self.targets[place] for place in queries],
            pairs=self.pairs[pairs],
        )


def query_recall(
    queries: NDArray[np.float32],
    targets: Sequence[NDArray[np.integer]],
    documents: NDArray[np.float32],
    device: str = "cpu",
) -> NDArray[np.floating]:
    """Return recall@{5,10,30} of queries against all documents, (queries, 3).

    Args:
        queries: (queries, dim) unit vectors.
        targets: Rows of the right documents of each query.
        documents: (items, dim) unit vectors.
        device: Where to search.
    """
    return _recalls(nearest(queries, documents, max(CUTS), device=device), targets)


def pair_recall(
    pairs: NDArray[np.int64], documents: NDArray[np.float32], device: str = "cpu"
) -> NDArray[np.floating]:
    """Return whether an item's {5,10,30} neighbours hold the item that was taken after it.

    Args:
        pairs: (pairs, 2) rows of documents.
        documents: (items, dim) unit vectors.
        device: Where to search.
    """
    own, other = pairs.T
    found = nearest(documents[own], documents, max(CUTS) + 1, device=device)
    # Leave out the item itself; among copies of its document it need not come first, nor at all.
    last = np.argsort(found == own[:, None], axis=1, kind="stable")[:, : max(CUTS)]
    return _recalls(np.take_along_axis(found, last, axis=1), list(other[:, None]))


def summary(
    questions: ValidationQuestions, trained: Recalls, content: Recalls, seed: int
) -> dict[str, float]:
    """Return recalls with bootstrap intervals, and what training gained over the base.

    Questions about one item succeed and fail together, so they are drawn together: queries by what
    they ask for, pairs by whose neighbours are looked at.

    Args:
        questions: What was asked.
        trained: Recalls of the encoder.
        content: Recalls of its base on the same questions; empty where it is not at hand.
        seed: Seed of the bootstrap.
    """
    numbers: dict[str, float] = {}
    asked_for = np.array([rows.min() for rows in questions.targets], np.int64)
    about = {"query": asked_for, "pair": questions.pairs[:, 0]}
    for task in trained:
        rows = {f"{task}_recall": trained[task]}
        if task in content:
            rows |= {
                f"content_{task}_recall": content[task],
                f"{task}_gain": trained[task] - content[task],
            }
        for name, values in rows.items():
            for place, k in enumerate(CUTS):
                interval = bootstrap(values[:, place], seed=seed, groups=about[task])
                numbers[f"{name}@{k}"] = interval.mean
                numbers[f"{name}@{k}_low"] = interval.low
                numbers[f"{name}@{k}_high"] = interval.high
    return numbers


def _recalls(
    ranked: NDArray[np.integer], relevant: Sequence[NDArray[np.integer]]
) -> NDArray[np.floating]:
    gains = gains_of(ranked, relevant)
    counts = np.array([len(group) for group in relevant])
    return np.stack([recall(gains, counts, k) for k in CUTS], axis=1)


def _halves(keys: Sequence[str], most: int, seed: int) -> tuple[list[int], list[int]]:
    """Return the places of two halves of keys, the first the larger one, each cut to `most`."""
    first = choose_by_hash(keys, (len(keys) + 1) // 2, seed)
    taken = set(first)
    second = [place for place in range(len(keys)) if place not in taken] or first

    def cut(half: list[int]) -> list[int]:
        return [half[place] for place in choose_by_hash([keys[row] for row in half], most, seed)]

    return cut(first), cut(second)
