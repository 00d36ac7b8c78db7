"""What there is to learn from: the train split of histories and queries, and all documents."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from assets.bi_encoder.artifact import BiEncoder
from assets.embeddings.artifact import Embeddings
from assets.interactions.artifact import Interactions
from assets.ranking import Task
from assets.retriever.sequences import Histories, SearchExamples
from assets.stage import CACHE, UserError
from assets.synthetic_queries.artifact import SyntheticQueries


@dataclass(frozen=True)
class Examples:
    """What there is to learn from; None where a task has no data.

    Attributes:
        search: For search.
        histories: For recommendation.
    """

    search: SearchExamples | None
    histories: Histories | None

    @property
    def tasks(self) -> tuple[Task, ...]:
        """The tasks that there is something to learn from."""
        there: dict[Task, object] = {"search": self.search, "recommendation": self.histories}
        return tuple(task for task, examples in there.items() if examples is not None)


def read_examples(
    leaf_of: NDArray[np.int64],
    data: Interactions,
    queries: SyntheticQueries,
    encoder: BiEncoder,
    embeddings: Embeddings,
) -> Examples:
    """Read what there is to learn from; nothing but the train split is looked at.

    Args:
        leaf_of: (items,) the leaf of each item, in order of item_id.
        data: Histories.
        queries: Queries.
        encoder: Turns queries into vectors.
        embeddings: The documents' vectors.

    Raises:
        UserError: There is nothing at all.
    """
    leaf = pd.Series(leaf_of, index=pd.Index(embeddings.item_ids))
    search = histories = None
    asked = queries.table[queries.table["split"] == "train"]
    if len(asked):
        texts = sorted(set(asked["query"]))
        search = SearchExamples(
            queries=encoder.encode(texts, cache=CACHE, what="encoding queries"),
            documents=embeddings.text,
            query_rows=np.searchsorted(np.array(texts), asked["query"].to_numpy(dtype=str)),
            query_leaves=leaf[asked["item_id"]].to_numpy(),
            document_leaves=leaf_of,
        )
    seen = data.interactions("train")
    seen = seen[seen["user_id"].duplicated(keep=False)]  # a single item predicts nothing
    if len(seen):
        histories = Histories.of(seen["user_id"].to_numpy(), leaf[seen["item_id"]].to_numpy())
    if search is None and histories is None:
        raise UserError(
            "there is nothing to learn from, neither train interactions nor train queries: put "
            "files into data/incoming/interactions or data/incoming/queries."
        )
    return Examples(search, histories)
