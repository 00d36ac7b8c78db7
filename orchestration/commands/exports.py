"""Writes what a release holds for other programs: IDs, recommendations for all, training pairs.

Every file is written under another name beside its own and renamed when it is whole. Tables that
may be large go to disk piece by piece.
"""

from __future__ import annotations

import contextlib
import csv
import re
import string
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pyarrow as pa
import pyarrow.parquet as pq

from assets.interactions.artifact import Interactions
from assets.semantic_ids.artifact import SemanticIds, sid_text
from assets.stage import UserError, progress
from assets.synthetic_queries.artifact import SyntheticQueries
from orchestration.releases.store import Release

if TYPE_CHECKING:
    import pandas as pd

USERS_AT_ONCE = 64
ROWS_AT_ONCE = 100_000
FORMULA = re.compile(r"[=+\-@\t\r]")  # how a cell begins that a spreadsheet would compute
NUMBER = re.compile(r"[+-]?\d+(\.\d+)?")
RECOMMENDATIONS = pa.schema(
    [
        ("user_id", pa.string()),
        ("rank", pa.int32()),
        ("item_id", pa.string()),
        ("title", pa.string()),
        ("sid", pa.string()),
        ("score", pa.float32()),
    ]
)
PAIRS = pa.schema([("anchor", pa.string()), ("positive", pa.string())])
CARD = """---
configs:
{configs}---

Training pairs of Sidmill's release {release}: `anchor` and `positive`, two texts that belong
together. `queries`: a query and the document of an item that answers it. `pairs`: the documents of
two items that people took close to each other. The test split is left out.

```python
from datasets import load_dataset

train = load_dataset("{folder}", "{first}", split="train")  # for SentenceTransformerTrainer
```
"""


def export_ids(release: Release, folder: Path) -> list[Path]:
    """Write the Semantic ID of every item as Parquet and as CSV.

    Columns: item_id, title, sid, one ``code_<letter>`` per level, raw_sid (before collisions were
    resolved) and moved_level (the first level, from 1, that differs from it; empty where none
    does). In the CSV a text that a spreadsheet would take for a formula begins with an apostrophe.

    Args:
        release: What to write.
        folder: Where to; made if it is missing.

    Returns:
        The files.
    """
    table = _ids_table(release)
    folder.mkdir(parents=True, exist_ok=True)
    parquet, text = folder / "semantic_ids.parquet", folder / "semantic_ids.csv"
    with _whole(parquet) as partial:
        pq.write_table(table, partial)
    with _whole(text) as partial, partial.open("w", encoding="utf-8", newline="") as stream:
        writer = csv.writer(stream, lineterminator="\n")
        writer.writerow(table.column_names)
        for batch in table.to_batches(max_chunksize=ROWS_AT_ONCE):
            for row in zip(*(column.to_pylist() for column in batch.columns), strict=True):
                writer.writerow(map(_cell, row))
    return [parquet, text]


def export_recommendations(release: Release, folder: Path, k: int) -> list[Path]:
    """Write what comes next for every user, after all that they ever took, as Parquet.

    Columns: user_id, rank (from 1), item_id, title, sid, score; ordered by user and rank.

    Args:
        release: What recommends.
        folder: Where to; made if it is missing.
        k: Most items per user.

    Returns:
        The file.

    Raises:
        UserError: The release cannot recommend.
    """
    from orchestration.releases.answering import load_answers

    answers = load_answers(release.folder, searches=False)
    if not answers.histories:
        raise UserError(
            f"{release.name} keeps no histories of users, so there is nobody to recommend to: they "
            "are kept where there are interactions and `answers.user_histories` is true."
        )
    names, histories = list(answers.histories), list(answers.histories.values())
    folder.mkdir(parents=True, exist_ok=True)
    file = folder / "recommendations.parquet"
    starts = range(0, len(names), USERS_AT_ONCE)
    with _whole(file) as partial, pq.ParquetWriter(partial, RECOMMENDATIONS) as writer:
        for start in progress(starts, f"recommending to {len(names):,} users, in {USERS_AT_ONCE}s"):
            some = slice(start, start + USERS_AT_ONCE)
            found = answers.recommend_many(histories[some], k)
            rows = [
                (name, rank, one.item_id, one.title, one.sid, one.score)
                for name, results in zip(names[some], found, strict=True)
                for rank, one in enumerate(results, start=1)
            ]
            writer.write_table(_table(rows, RECOMMENDATIONS))
    return [file]


def export_training(release: Release, folder: Path) -> list[Path]:
    """Write queries and co-occurrence pairs as sentence-transformers trains on them.

    Files ``training/{queries,pairs}/{train,validation}.parquet`` with the columns ``anchor`` and
    ``positive``, both texts, and ``training/README.md``, by which ``datasets.load_dataset`` knows
    the two sets. A set that has no rows is left out; the test split always is.

    Args:
        release: What to write.
        folder: Where to; made if it is missing.

    Returns:
        The files.

    Raises:
        UserError: There is nothing to train on.
    """
    data = Interactions.load(release.folder / "interactions")
    documents = data.items.set_index("item_id")["document"]
    queries = SyntheticQueries.load(release.folder / "synthetic_queries").table
    home, files = folder / "training", []
    configs: dict[str, list[str]] = {}
    for split in ("train", "validation"):
        pairs = data.pairs(split)
        asked = queries[queries["split"] == split]
        sets = {
            "queries": (asked["query"], documents.reindex(asked["item_id"])),
            "pairs": (
                documents.reindex(pairs["item_id"]),
                documents.reindex(pairs["other_item_id"]),
            ),
        }
        for name, (anchors, positives) in sets.items():
            if not len(anchors):
                continue
            file = home / name / f"{split}.parquet"
            _write_pairs(file, anchors, positives)
            files.append(file)
            configs.setdefault(name, []).append(split)
    if not files:
        raise UserError(f"{release.name} holds neither queries nor pairs to train on.")
    text = "".join(
        f"- config_name: {name}\n  data_files:\n"
        + "".join(f"  - split: {split}\n    path: {name}/{split}.parquet\n" for split in splits)
        for name, splits in configs.items()
    )
    with _whole(home / "README.md") as partial:
        first = next(iter(configs))
        card = CARD.format(configs=text, release=release.name, folder=home, first=first)
        partial.write_text(card, encoding="utf-8")
    return [*files, home / "README.md"]


def _ids_table(release: Release) -> pa.Table:
    ids = SemanticIds.load(release.folder / "semantic_ids")
    items = Interactions.load(release.folder / "interactions").items
    titles = items.set_index("item_id")["title"].reindex(ids.item_ids)
    columns = {
        "item_id": pa.array(ids.item_ids, pa.string()),
        "title": pa.array(titles, pa.string(), from_pandas=True),
        "sid": pa.array(map(sid_text, ids.codes), pa.string()),
    }
    for letter, codes in zip(string.ascii_lowercase, ids.codes.T, strict=False):
        columns[f"code_{letter}"] = pa.array(codes, pa.int32())
    columns["raw_sid"] = pa.array(map(sid_text, ids.raw_codes), pa.string())
    moved = ids.moved_level
    columns["moved_level"] = pa.array(moved + 1, pa.int32(), mask=moved < 0)
    return pa.table(columns)


def _write_pairs(file: Path, anchors: pd.Series[str], positives: pd.Series[str]) -> None:
    file.parent.mkdir(parents=True, exist_ok=True)
    starts = range(0, len(anchors), ROWS_AT_ONCE)
    with _whole(file) as partial, pq.ParquetWriter(partial, PAIRS) as writer:
        for start in progress(starts, f"writing {file.parent.name}, {file.stem}"):
            some = slice(start, start + ROWS_AT_ONCE)
            columns = [pa.array(texts.iloc[some], pa.string()) for texts in (anchors, positives)]
            writer.write_table(pa.Table.from_arrays(columns, schema=PAIRS))


def _table(rows: Sequence[tuple[Any, ...]], schema: pa.Schema) -> pa.Table:
    columns = zip(*rows, strict=True) if rows else [()] * len(schema)
    arrays = [pa.array(column, field.type) for column, field in zip(columns, schema, strict=True)]
    return pa.Table.from_arrays(arrays, schema=schema)


def _cell(value: Any) -> Any:
    """Keep a spreadsheet from computing a text; numbers, signs and all, stay as they are."""
    if isinstance(value, str) and FORMULA.match(value) and not NUMBER.fullmatch(value):
        return "'" + value
    return value


@contextlib.contextmanager
def _whole(file: Path) -> Iterator[Path]:
    """Hand out another name beside a file's own; it takes the file's place if all went well."""
    partial = file.with_name(f".{file.name}.partial")
    try:
        yield partial
        partial.replace(file)
    finally:
        partial.unlink(missing_ok=True)
