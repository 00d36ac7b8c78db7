"""What the stage ``semantic_ids`` hands over."""

from __future__ import annotations

import hashlib
import string
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq
from numpy.typing import NDArray

from assets.files import read_json, write_json

RESERVED = "reserved.parquet"


def sid_text(codes: Sequence[int]) -> str:
    """Write one SID as ``<a_12><b_200><c_7>``: level letter, code."""
    return "".join(
        f"<{letter}_{code}>" for letter, code in zip(string.ascii_lowercase, codes, strict=False)
    )


@dataclass(frozen=True)
class Reserved:
    """SIDs of items that left: nobody else gets them.

    Attributes:
        item_ids: (items,) text.
        codes: (items, length) int32.
    """

    item_ids: NDArray[np.object_]
    codes: NDArray[np.int32]


@dataclass(frozen=True)
class SemanticIds:
    """The SID of every item, ordered by item_id.

    Attributes:
        item_ids: (items,) text.
        codes: (items, length) int32, the SIDs. With `append_index` the last column is the index.
        raw_codes: (items, levels) int32, the nearest codes before any item was moved.
        moved_level: (items,) int32, the first level whose code differs from the raw one, -1 if
            none does.
        distances: (items, levels) float32, L2 distance from the residual that enters a level along
            the item's own path to the code chosen there.
        sizes: Number of possible codes at each position of a SID.
        policy: The collision policy.
        codebook_version: Version of the codebooks.
        bucket_limit: The most items that share one SID, as the policy promises; None if it does
            not.
        extends: Version of the released IDs that these were appended to; None if to none.
        reserved: SIDs of items that left since the IDs were first given; None if of none.
    """

    item_ids: NDArray[np.object_]
    codes: NDArray[np.int32]
    raw_codes: NDArray[np.int32]
    moved_level: NDArray[np.int32]
    distances: NDArray[np.float32]
    sizes: list[int]
    policy: str
    codebook_version: str
    bucket_limit: int | None = 1
    extends: str | None = None
    reserved: Reserved | None = None

    @property
    def version(self) -> str:
        """sha256 over the codebooks' version and (item_id, sid) sorted by item_id."""
        digest = hashlib.sha256(self.codebook_version.encode())
        digest.update("\0".join(map(str, self.item_ids)).encode())
        digest.update(np.ascontiguousarray(self.codes, dtype="<i4").tobytes())
        return digest.hexdigest()

    def save(self, folder: Path) -> None:
        """Write ``semantic_ids.parquet``, ``manifest.json`` and perhaps ``reserved.parquet``."""
        columns = {
            "item_id": pa.array(self.item_ids, pa.string()),
            "sid": pa.array([sid_text(row) for row in self.codes], pa.string()),
            "codes": _lists(self.codes, pa.int32()),
            "raw_codes": _lists(self.raw_codes, pa.int32()),
            "moved_level": pa.array(self.moved_level, pa.int32()),
            "distances": _lists(self.distances, pa.float32()),
        }
        pq.write_table(pa.table(columns), folder / "semantic_ids.parquet")
        if self.reserved:
            kept = {
                "item_id": pa.array(self.reserved.item_ids, pa.string()),
                "codes": _lists(self.reserved.codes, pa.int32()),
            }
            pq.write_table(pa.table(kept), folder / RESERVED)
        manifest = {
            "sid_version": self.version,
            "codebook_version": self.codebook_version,
            "policy": self.policy,
            "sizes": self.sizes,
            "items": len(self.item_ids),
            "bucket_limit": self.bucket_limit,
            "extends": self.extends,
        }
        write_json(folder / "manifest.json", manifest)

    @classmethod
    def load(cls, folder: Path) -> SemanticIds:
        """Read what :meth:`save` wrote."""
        manifest = cls.manifest(folder)
        table = pq.read_table(Path(folder) / "semantic_ids.parquet").combine_chunks()
        return cls(
            item_ids=table.column("item_id").to_numpy(),
            codes=_matrix(table, "codes"),
            raw_codes=_matrix(table, "raw_codes"),
            moved_level=table.column("moved_level").to_numpy(),
            distances=_matrix(table, "distances"),
            sizes=manifest["sizes"],
            policy=manifest["policy"],
            codebook_version=manifest["codebook_version"],
            bucket_limit=manifest.get("bucket_limit", 1),
            extends=manifest.get("extends"),
            reserved=_reserved(Path(folder) / RESERVED),
        )

    @staticmethod
    def manifest(folder: Path) -> dict[str, Any]:
        """Read versions, policy, sizes and number of items without the table."""
        return dict(read_json(Path(folder) / "manifest.json"))

    @staticmethod
    def table(folder: Path) -> pd.DataFrame:
        """Read item_id, sid and one column per code as they lie on disk, empty cells and all."""
        table = pq.read_table(Path(folder) / "semantic_ids.parquet")
        columns = {name: table.column(name).to_pandas() for name in ("item_id", "sid")}
        codes = table.column("codes")
        for place in range(codes.type.list_size):
            columns[f"code_{place}"] = pc.list_element(codes, place).to_pandas()
        return pd.DataFrame(columns)


def _reserved(file: Path) -> Reserved | None:
    if not file.is_file():
        return None
    table = pq.read_table(file).combine_chunks()
    return Reserved(table.column("item_id").to_numpy(), _matrix(table, "codes"))


def _lists(matrix: NDArray[Any], kind: pa.DataType) -> pa.FixedSizeListArray:
    return pa.FixedSizeListArray.from_arrays(pa.array(matrix.ravel(), kind), matrix.shape[1])


def _matrix(table: pa.Table, name: str) -> NDArray[Any]:
    column = table.column(name).combine_chunks()
    return np.asarray(column.flatten().to_numpy().reshape(len(column), -1))
