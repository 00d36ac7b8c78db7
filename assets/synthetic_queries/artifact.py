"""What the stage ``synthetic_queries`` hands over."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq

SCHEMA = pa.schema(
    {name: pa.string() for name in ("query_id", "query", "item_id", "split", "kind")}
)


@dataclass(frozen=True)
class SearchTasks:
    """Queries with all their right answers: ``targets[i]`` are the item ids for ``queries[i]``."""

    queries: list[str]
    targets: list[list[str]]
    kinds: list[str]


@dataclass(frozen=True)
class SyntheticQueries:
    """All queries, real and made.

    Attributes:
        table: query_id, query (normalised text), item_id, split, kind (``real``, ``navigational``,
            ``descriptive`` or ``mixture``); one row per (query, right answer), ordered by query_id
            and item_id. A query text lives in exactly one split.
    """

    table: pd.DataFrame

    def save(self, folder: Path) -> None:
        """Write ``queries.parquet``."""
        table = pa.Table.from_pandas(self.table, schema=SCHEMA, preserve_index=False)
        pq.write_table(table.replace_schema_metadata(None), folder / "queries.parquet")

    @classmethod
    def load(cls, folder: Path) -> SyntheticQueries:
        """Read what :meth:`save` wrote."""
        return cls(pq.read_table(Path(folder) / "queries.parquet").to_pandas())

    def all_as_train(self) -> SyntheticQueries:
        """Return the same queries, all in the train split: see ``Interactions.all_as_train``."""
        return SyntheticQueries(self.table.assign(split="train"))

    def tasks(self, *splits: str) -> SearchTasks:
        """Return the queries of some splits, one entry per query text, in order of query_id."""
        rows = self.table[self.table["split"].isin(splits)]
        grouped = rows.groupby("query_id", sort=True).agg(
            {"query": "first", "item_id": list, "kind": "first"}
        )
        return SearchTasks(
            grouped["query"].tolist(), grouped["item_id"].tolist(), grouped["kind"].tolist()
        )
