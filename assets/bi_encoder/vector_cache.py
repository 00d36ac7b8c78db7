"""Vectors of texts kept between runs, by model and text: a speed-up that nothing relies on.

``<folder>/vectors/<model_version>/`` holds Parquet shards of (sha256 of the text, vector). A shard
is written under another name and renamed, never changed afterwards; one that cannot be read, fails
its checksums or has vectors of another length counts as absent.
"""

from __future__ import annotations

import hashlib
import os
from collections.abc import Iterable, Sequence
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq
from numpy.typing import NDArray

KEY = pa.binary(32)
SHARD_ROWS = 16_384  # bounds what a kill loses; has no influence on any vector


class VectorCache:
    """The vectors of one model; holds in memory only those that were asked for or added.

    Args:
        folder: ``data/cache``, or None to keep nothing on disk.
        model_version: What tells this model from every other.
        dim: Length of a vector.
    """

    def __init__(self, folder: Path | None, model_version: str, dim: int) -> None:
        self._folder = None if folder is None else folder / "vectors" / model_version
        self._dim = dim
        self._rows: dict[str, int] = {}
        self._held = 0  # rows of all blocks
        self._blocks: list[NDArray[np.float32]] = []  # each (texts, dim)
        self._unsaved: list[tuple[list[str], NDArray[np.float32]]] = []

    def missing(self, texts: Iterable[str]) -> list[str]:
        """Return the texts without a vector, each once, in the given order."""
        wanted = [text for text in dict.fromkeys(texts) if text not in self._rows]
        for shard in self._shards():
            if not wanted:
                break
            wanted = self._read(shard, wanted)
        return wanted

    def add(self, texts: Sequence[str], vectors: NDArray[np.float32]) -> None:
        """Add vectors, (texts, dim); a full shard of them is written at once."""
        self._hold(texts, vectors)
        if self._folder is None:
            return
        self._unsaved.append((list(texts), self._blocks[-1]))
        if sum(len(part) for part, _ in self._unsaved) >= SHARD_ROWS:
            self.save()

    def save(self) -> None:
        """Write what was added since the last time as one shard, if anything was."""
        if self._folder is None or not self._unsaved:
            return
        keys = [_key(text) for part, _ in self._unsaved for text in part]
        values = np.concatenate([vectors for _, vectors in self._unsaved])
        table = pa.table(
            {
                "key": pa.array(keys, KEY),
                "vector": pa.FixedSizeListArray.from_arrays(pa.array(values.ravel()), self._dim),
            }
        )
        self._folder.mkdir(parents=True, exist_ok=True)
        shard = self._folder / f"{hashlib.sha256(b''.join(keys)).hexdigest()[:32]}.parquet"
        partial = shard.with_suffix(f".{os.getpid()}.partial")
        pq.write_table(table, partial, use_dictionary=False, write_page_checksum=True)
        partial.replace(shard)
        self._unsaved = []

    def vectors(self, texts: Sequence[str]) -> NDArray[np.float32]:
        """Return the vectors of texts, (texts, dim).

        Raises:
            KeyError: A text has no vector.
        """
        if absent := self.missing(texts):
            raise KeyError(absent[0])
        if not texts:
            return np.empty((0, self._dim), np.float32)
        held = np.concatenate(self._blocks)  # (held texts, dim)
        return np.asarray(held[[self._rows[text] for text in texts]])

    def _shards(self) -> list[Path]:
        return [] if self._folder is None else sorted(self._folder.glob("*.parquet"))

    def _read(self, shard: Path, wanted: list[str]) -> list[str]:
        """Hold the wanted vectors of a shard and return the texts that it lacks."""
        try:
            table = pq.read_table(shard, page_checksum_verification=True)
            keys = table.column("key").cast(KEY)
            vectors = table.column("vector").cast(pa.list_(pa.float32(), self._dim))
            places = pc.index_in(pa.array(map(_key, wanted), KEY), value_set=keys)
            rows = places.drop_null()
            found = vectors.take(rows).combine_chunks().values.to_numpy(zero_copy_only=False)
        except (OSError, KeyError, pa.ArrowException):
            return wanted
        present = places.is_valid().to_pylist()
        held = [text for text, there in zip(wanted, present, strict=True) if there]
        self._hold(held, found.reshape(len(held), self._dim))
        return [text for text, there in zip(wanted, present, strict=True) if not there]

    def _hold(self, texts: Sequence[str], vectors: NDArray[np.float32]) -> None:
        self._blocks.append(np.asarray(vectors, np.float32).reshape(len(texts), self._dim))
        self._rows.update({text: self._held + place for place, text in enumerate(texts)})
        self._held += len(texts)


def _key(text: str) -> bytes:
    return hashlib.sha256(text.encode("utf-8", "surrogatepass")).digest()
