"""What the stage ``interactions`` hands over."""

from __future__ import annotations

import hashlib
import unicodedata
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any, Literal

import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq

from assets.files import read_json

Split = Literal["train", "validation", "test"]


def normalised(query: str) -> str:
    """Return the form in which queries are compared: NFC, lower case, single spaces."""
    return " ".join(unicodedata.normalize("NFC", query).lower().split())


def split_of_query(query: str, shares: Mapping[str, float]) -> Split:
    """Return the split of a normalised query text, chosen by its hash.

    Args:
        query: The text.
        shares: ``seed``, and the shares of all texts for ``validation`` and ``test``.
    """
    digest = hashlib.sha256(f"{shares['seed']}\0{query}".encode()).digest()
    place = int.from_bytes(digest[:8], "big") / 2**64
    if place < shares["test"]:
        return "test"
    return "validation" if place < shares["test"] + shares["validation"] else "train"


@dataclass(frozen=True)
class Sessions:
    """Next-item tasks: predict ``targets[i]`` from ``histories[i]`` for ``user_ids[i]``.

    Attributes:
        user_ids: One user per task, ascending.
        histories: Item ids of the history, oldest first.
        targets: The right answers, at least one: the item that came next.
        repeats: Number of users left out because all that came next was in their history already.
    """

    user_ids: list[str]
    histories: list[list[str]]
    targets: list[list[str]]
    repeats: int


@dataclass(frozen=True)
class Interactions:
    """The tables of a folder made by the stage, read when first asked for.

    Rows of the test split are handed out only to who names that split.

    Attributes:
        folder: Where they lie.
        all_train: See :meth:`all_as_train`.
    """

    folder: Path
    all_train: bool = False

    @classmethod
    def load(cls, folder: Path) -> Interactions:
        """Open a folder; nothing is read yet."""
        return cls(Path(folder))

    def all_as_train(self) -> Interactions:
        """Return the same data with every interaction and every real query in the train split.

        For who learns once more after all was measured. Pairs stay as they were counted.
        """
        return Interactions(self.folder, all_train=True)

    @cached_property
    def items(self) -> pd.DataFrame:
        """All items, by item_id.

        Columns: item_id, title, text, category, brand, attributes (JSON object), document,
        train_interactions (positive interactions in the train split).
        """
        items = self._read("items")
        if self.all_train:
            counts = self.interactions("train")["item_id"].value_counts()
            counted = items["item_id"].map(counts).fillna(0)
            items["train_interactions"] = counted.astype(items["train_interactions"].dtype)
        return items

    def save_items(self, folder: Path) -> None:
        """Write :attr:`items` as the file of them that a folder of the stage holds."""
        table = pq.read_table(self.folder / "items.parquet")
        place = table.schema.get_field_index("train_interactions")
        counts = pa.array(self.items["train_interactions"], table.schema.types[place])
        pq.write_table(
            table.set_column(place, table.schema.field(place), counts), folder / "items.parquet"
        )

    def interactions(self, *splits: Split) -> pd.DataFrame:
        """Positive interactions of some splits, by user_id and position.

        Columns: user_id, item_id, timestamp (float64), event, weight (float64), basket (where the
        split is by basket alone), position (the interaction's place in the user's whole history,
        from 0), split.
        """
        return self._read("interactions", splits)

    def histories(self) -> pd.Series[Any]:
        """All items of every user, the oldest first: for answering, not for learning or choosing.

        Returns:
            Lists of item ids; index user_id, ascending.
        """
        columns = ["user_id", "position", "item_id"]
        table = pq.read_table(self.folder / "interactions.parquet", columns=columns)
        rows = table.sort_by([("user_id", "ascending"), ("position", "ascending")]).to_pandas()
        return rows.groupby("user_id", sort=True)["item_id"].agg(list)

    def queries(self, *splits: Split) -> pd.DataFrame:
        """Real queries of some splits, by query_id and item_id.

        Columns: query_id, query (normalised), item_id, relevance (float64), split; one row per
        right answer. A text has one query_id and one split.
        """
        return self._read("queries", splits)

    def pairs(self, *splits: Split) -> pd.DataFrame:
        """Co-occurrence pairs: item_id, other_item_id, count, split (train or validation).

        Train pairs are symmetric (both directions are rows); a validation pair goes from an item
        of the history to the validation item.
        """
        return self._read("pairs", splits)

    @cached_property
    def rejects(self) -> pd.DataFrame:
        """Refused rows: table, file, row, reason, content (a JSON object, or the raw line)."""
        return self._read("rejects")

    def popularity(self) -> pd.Series[int]:
        """Number of train interactions of each item; index item_id."""
        return self.items.set_index("item_id")["train_interactions"]

    def sessions(
        self,
        split: Literal["validation", "test"],
        *,
        repeats: Literal["exclude", "allow"] = "exclude",
    ) -> Sessions:
        """Return the next-item tasks of a split, one per user; histories end where targets begin.

        The target is the user's last interaction in the split, the history all before it. Where the
        log was cut in time, that is also what lies between the cut and the target: a user who came
        after the cut is asked about too, and what is learnt still comes from before it. Where it
        was split by basket, the targets are all items of the basket, each once.

        Args:
            split: Whose interactions are asked for.
            repeats: Whether an item of the history may be a right answer. If not, a user with no
                other right answer is left out and counted.
        """
        upto: dict[str, tuple[Split, ...]] = {
            "validation": ("train", "validation"),
            "test": ("train", "validation", "test"),
        }
        rows = self.interactions(*upto[split]).astype({"item_id": object})  # lists faster
        if "basket" in rows:
            is_target = rows["basket"] == rows.groupby("user_id")["basket"].transform("last")
        else:
            is_target = ~rows.duplicated("user_id", keep="last")
        target = rows[is_target & (rows["split"] == split)]
        past = rows[~is_target & rows["user_id"].isin(target["user_id"])]
        histories = past.groupby("user_id", sort=True)["item_id"].agg(list)
        targets = target.groupby("user_id")["item_id"].agg(list).reindex(histories.index).tolist()
        if repeats == "exclude":
            known = map(set, histories)
            targets = [
                [item for item in right if item not in old]
                for right, old in zip(targets, known, strict=True)
            ]
        keep = [bool(right) for right in targets]
        return Sessions(
            user_ids=histories.index[keep].tolist(),
            histories=histories[keep].tolist(),
            targets=[right for right in targets if right],
            repeats=len(keep) - sum(keep),
        )

    def query_split(self, query: str) -> Split:
        """Return the one split of a normalised text: its real query's, else chosen by its hash."""
        return self._real_splits.get(query) or split_of_query(query, self._query_shares)

    @cached_property
    def _real_splits(self) -> dict[str, Split]:
        table = pq.read_table(self.folder / "queries.parquet", columns=["query", "split"])
        return dict(zip(table["query"].to_pylist(), table["split"].to_pylist(), strict=True))

    @cached_property
    def _query_shares(self) -> dict[str, float]:
        """``query_split.json``: seed, validation, test (shares of query texts)."""
        return dict(read_json(self.folder / "query_split.json"))

    def _read(self, table: str, splits: Sequence[Split] | None = None) -> pd.DataFrame:
        if splits is not None and not splits:
            raise TypeError(f"Interactions.{table}() needs the names of the splits to read.")
        moved = self.all_train and table in {"interactions", "queries"}
        chosen = None if splits is None or moved else [("split", "in", list(splits))]
        frame = pq.read_table(self.folder / f"{table}.parquet", filters=chosen).to_pandas()
        if moved:
            frame = frame.assign(split="train")[: None if "train" in (splits or ()) else 0]
        return frame.reset_index(drop=True)
