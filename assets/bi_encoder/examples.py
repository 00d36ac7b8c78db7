"""What the encoder learns from: (query, item) and (item, co-occurring item), of the train split."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from assets.bi_encoder.params import BiEncoderParams
from assets.interactions.artifact import Interactions
from assets.stage import UserError
from assets.synthetic_queries.artifact import SyntheticQueries

if TYPE_CHECKING:
    from datasets import Dataset
    from sentence_transformers import SentenceTransformer

    from assets.bi_encoder.loss import Task

TASKS = {
    "search": ("search",),
    "recommendation": ("recommendation",),
    "multi_task": ("search", "recommendation"),
}


@dataclass(frozen=True)
class Examples:
    """Train pairs of each task by text id; items that share a document are one text.

    Attributes:
        variant: What the encoder learns from.
        texts: Distinct texts, ascending; a text's place is its id.
        documents: Ids of the documents of all items, each once.
        pairs: For each task (pairs, 2) ids of (anchor, right answer); tasks without pairs are left
            out. A recommendation pair stands in both directions.
    """

    variant: str
    texts: list[str]
    documents: NDArray[np.int64]
    pairs: dict[str, NDArray[np.int64]]

    @classmethod
    def of(cls, variant: str, interactions: Interactions, queries: SyntheticQueries) -> Examples:
        """Gather the train pairs that a variant learns from; no other split is read."""
        items = interactions.items.set_index("item_id")["document"]
        pairs: dict[str, tuple[list[str], list[str]]] = {}
        wanted = TASKS.get(variant, ())
        if "search" in wanted:
            tasks = queries.tasks("train")
            asked = [
                q for q, right in zip(tasks.queries, tasks.targets, strict=True) for _ in right
            ]
            right = items[[item for group in tasks.targets for item in group]]
            pairs["search"] = (asked, right.tolist())
        if "recommendation" in wanted:
            table = interactions.pairs("train")
            pairs["recommendation"] = (
                items[table["item_id"]].tolist(),
                items[table["other_item_id"]].tolist(),
            )
        found = {text for columns in pairs.values() for column in columns for text in column}
        texts = sorted(found.union(items))
        ids = {text: place for place, text in enumerate(texts)}
        return cls(
            variant,
            texts,
            np.array(sorted({ids[text] for text in items}), np.int64),
            {
                task: kept
                for task, (one, other) in pairs.items()
                if len(
                    kept := _distinct([ids[text] for text in one], [ids[text] for text in other])
                )
            },
        )

    @property
    def lacking(self) -> list[str]:
        """What the variant would learn from and the train split has none of."""
        names = {"search": "queries", "recommendation": "pairs"}
        return [names[task] for task in TASKS.get(self.variant, ()) if task not in self.pairs]

    @cached_property
    def known(self) -> dict[str, NDArray[np.int64]]:
        """For each task the sorted keys ``anchor * texts + candidate`` that are no negatives."""
        size = len(self.texts)
        keys = {task: pairs[:, 0] * size + pairs[:, 1] for task, pairs in self.pairs.items()}
        if "recommendation" in keys:  # an item is no negative of itself
            keys["recommendation"] = np.r_[keys["recommendation"], self.documents * (size + 1)]
        return {task: np.unique(values) for task, values in keys.items()}

    def weighted_tasks(self, params: BiEncoderParams) -> list[Task]:
        """Return what the loss needs to know of each task."""
        from assets.bi_encoder.loss import Task

        weights = {"search": params.search_weight, "recommendation": params.recommendation_weight}
        negatives = {"search": params.hard_negatives}
        return [
            Task(
                task,
                weights[task],
                2 + negatives.get(task, 0),
                self.known[task],
                len(self.texts),
                params.popularity_correction * self._log_chance(pairs),
                -params.popularity_correction * float(np.log(len(self.documents))),
            )
            for task, pairs in self.pairs.items()
        ]

    def _log_chance(self, pairs: NDArray[np.int64]) -> NDArray[np.float32]:
        """Return (texts,) log shares of the right answers; those that are none count as one."""
        counts = np.bincount(pairs[:, 1], minlength=len(self.texts))
        return np.log(np.maximum(counts, 1) / len(pairs)).astype(np.float32)

    def dataset(self, params: BiEncoderParams, miner: SentenceTransformer | None) -> Dataset:
        """Return the rows that are trained on, in whole batches.

        A row holds one pair of each task, drawn without replacement until a task's pairs are used
        up, then anew; there are as many rows as the task with most pairs has, or as the steps take.
        Column ``label`` holds the text ids of the other columns.

        Args:
            params: The stage's params.
            miner: The model that finds hard negatives, if any are wanted.

        Raises:
            UserError: No query has hard negatives enough.
        """
        from datasets import Dataset

        tuples = dict(self.pairs)
        if miner is not None and params.hard_negatives and "search" in tuples:
            tuples["search"] = self._with_hard_negatives(tuples["search"], miner, params)
        batch = params.train_batch
        most = max(map(len, tuples.values()))
        rows = min(-(-most // batch), params.steps) * batch
        draw = np.random.default_rng(params.seed)
        label = np.concatenate([_drawn(ids, rows, draw) for ids in tuples.values()], axis=1)
        columns: dict[str, Any] = {
            f"text_{place}": [self.texts[row] for row in column]
            for place, column in enumerate(label.T)
        }
        return Dataset.from_dict(columns | {"label": label})

    def _with_hard_negatives(
        self, pairs: NDArray[np.int64], miner: SentenceTransformer, params: BiEncoderParams
    ) -> NDArray[np.int64]:
        """Return (pairs with enough hard negatives, 2 + hard negatives) ids."""
        from datasets import Dataset
        from sentence_transformers.util import mine_hard_negatives

        ids = {text: place for place, text in enumerate(self.texts)}
        mined = mine_hard_negatives(
            Dataset.from_dict(
                {
                    "query": [self.texts[row] for row in pairs[:, 0]],
                    "answer": [self.texts[row] for row in pairs[:, 1]],
                }
            ),
            miner,
            corpus=[self.texts[row] for row in self.documents],
            num_negatives=params.hard_negatives,
            relative_margin=params.negatives_margin,
            output_format="n-tuple",
            batch_size=4096,
            verbose=False,
        )
        if not len(mined):
            raise UserError(
                f"params.yaml, bi_encoder.hard_negatives: no train query has "
                f"{params.hard_negatives} items that are less similar to it than the right one by "
                f"{params.negatives_margin:.0%}: lower negatives_margin or hard_negatives."
            )
        columns = [[ids[text] for text in mined[name]] for name in mined.column_names]
        return np.array(columns, np.int64).T.reshape(-1, 2 + params.hard_negatives)


def _distinct(one: list[int], other: list[int]) -> NDArray[np.int64]:
    """Return the distinct pairs of two different ids, (pairs, 2), ascending."""
    pairs = np.array([one, other], np.int64).T.reshape(-1, 2)
    return np.unique(pairs[pairs[:, 0] != pairs[:, 1]], axis=0)


def _drawn(pairs: NDArray[np.int64], rows: int, draw: np.random.Generator) -> NDArray[np.int64]:
    """Return so many rows, each pair once before any comes twice."""
    rounds = -(-rows // len(pairs))
    order = np.concatenate([draw.permutation(len(pairs)) for _ in range(rounds)])
    return np.asarray(pairs[order[:rows]])
