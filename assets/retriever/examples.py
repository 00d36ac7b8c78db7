"""What there is to learn from: the train split of histories and queries, and all documents."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from assets.bi_encoder.artifact import BiEncoder
from assets.embeddings.artifact import Embeddings
from assets.interactions.artifact import Interactions
from assets.interactions.catalogue import Catalogue
from assets.ranking import Rows, Task
from assets.sequential.sequences import Sequences
from assets.stage import CACHE, UserError
from assets.synthetic_queries.artifact import SyntheticQueries


@dataclass(frozen=True)
class SearchExamples:
    """Queries and documents as vectors, each with an item that answers it.

    Attributes:
        queries: (queries, dim) float32, unit rows.
        documents: (items, dim) float32, unit rows.
        query_rows: (pairs,) row of `queries` ...
        answers: ... and the row of an item that is right for it.
    """

    queries: NDArray[np.float32]
    documents: NDArray[np.float32]
    query_rows: Rows
    answers: Rows

    def __len__(self) -> int:
        return len(self.answers) + len(self.documents)

    def draw(
        self, rng: np.random.Generator, count: int, document_share: float, noise: float
    ) -> tuple[NDArray[np.float32], Rows]:
        """Draw examples with replacement.

        Args:
            rng: Source of randomness.
            count: Number of examples.
            document_share: Share of them that are documents.
            noise: Expected length of the random vector added to each.

        Returns:
            (count, dim) float32 unit vectors and the (count,) rows of their items.
        """
        documents = round(count * document_share)
        pair = rng.integers(len(self.query_rows), size=count - documents)
        item = rng.integers(len(self.documents), size=documents)
        vectors = np.concatenate([self.queries[self.query_rows[pair]], self.documents[item]])
        spread = np.float32(noise / np.sqrt(vectors.shape[1]))
        vectors = vectors + spread * rng.standard_normal(vectors.shape, dtype=np.float32)
        right = np.concatenate([self.answers[pair], item])
        return vectors / np.linalg.norm(vectors, axis=1, keepdims=True), right


@dataclass(frozen=True)
class Examples:
    """What there is to learn from; None where a task has no data.

    Attributes:
        search: For search.
        sequences: For recommendation.
    """

    search: SearchExamples | None
    sequences: Sequences | None

    @property
    def tasks(self) -> tuple[Task, ...]:
        """The tasks that there is something to learn from."""
        there: dict[Task, object] = {"search": self.search, "recommendation": self.sequences}
        return tuple(task for task, examples in there.items() if examples is not None)


def read_examples(
    catalogue: Catalogue,
    data: Interactions,
    queries: SyntheticQueries,
    encoder: BiEncoder,
    embeddings: Embeddings,
) -> Examples:
    """Read what there is to learn from; nothing but the train split is looked at.

    Args:
        catalogue: The items.
        data: Histories.
        queries: Queries.
        encoder: Turns queries into vectors.
        embeddings: The documents' vectors.

    Raises:
        UserError: There is nothing at all.
    """
    search = sequences = None
    asked = queries.table[queries.table["split"] == "train"]
    if len(asked):
        texts = sorted(set(asked["query"]))
        search = SearchExamples(
            queries=encoder.encode(texts, cache=CACHE, what="encoding queries"),
            documents=embeddings.text,
            query_rows=np.searchsorted(np.array(texts), asked["query"].to_numpy(dtype=str)),
            answers=catalogue.rows(asked["item_id"].to_numpy()),
        )
    seen = data.interactions("train")
    seen = seen[seen["user_id"].duplicated(keep=False)]  # a single item predicts nothing
    if len(seen):
        rows = catalogue.rows(seen["item_id"].to_numpy())
        sequences = Sequences.of(seen["user_id"].to_numpy(), rows)
    if search is None and sequences is None:
        raise UserError(
            "there is nothing to learn from, neither train interactions nor train queries: put "
            "files into data/incoming/interactions or data/incoming/queries."
        )
    return Examples(search, sequences)
