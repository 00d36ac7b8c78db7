"""What the stage ``embeddings`` hands over."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
from numpy.typing import NDArray


@dataclass(frozen=True)
class Embeddings:
    """Vectors of items, ordered by item_id.

    Attributes:
        item_ids: (items,) text.
        views: View name to (items, dim) float32, rows of length 1.
    """

    item_ids: NDArray[np.object_]
    views: dict[str, NDArray[np.float32]]

    @property
    def text(self) -> NDArray[np.float32]:
        """The view made from documents."""
        return self.views["text"]

    def save(self, folder: Path) -> None:
        """Write ``embeddings.parquet``: item_id and a fixed-size list per view."""
        columns: dict[str, Any] = {"item_id": pa.array(self.item_ids, pa.string())}
        for name, vectors in self.views.items():
            columns[name] = pa.FixedSizeListArray.from_arrays(
                pa.array(vectors.ravel(), pa.float32()), vectors.shape[1]
            )
        pq.write_table(
            pa.table(columns),
            folder / "embeddings.parquet",
            compression="none",
            use_dictionary=False,
        )

    @classmethod
    def load(cls, folder: Path) -> Embeddings:
        """Read what :meth:`save` wrote."""
        table = pq.read_table(Path(folder) / "embeddings.parquet").combine_chunks()
        views = {}
        for name in table.column_names[1:]:
            column = table.column(name).combine_chunks()
            values = column.values.to_numpy(zero_copy_only=True)
            views[name] = values.reshape(len(column), -1)
        return cls(table.column("item_id").to_numpy(), views)
