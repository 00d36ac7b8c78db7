"""What the stage ``bi_encoder`` hands over."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from assets.bi_encoder.vector_cache import VectorCache
from assets.files import read_json
from assets.stage import progress

if TYPE_CHECKING:
    from sentence_transformers import SentenceTransformer


@dataclass(frozen=True)
class BiEncoder:
    """One encoder for queries and documents.

    Attributes:
        folder: Folder with ``model/`` (as sentence-transformers saves it) and ``manifest.json``.
        device: ``cpu`` or ``cuda``.
    """

    folder: Path
    device: str = "cpu"

    @classmethod
    def load(cls, folder: Path, device: str = "cpu") -> BiEncoder:
        """Open a folder; the model is read when it is first needed."""
        return cls(Path(folder), device)

    @cached_property
    def manifest(self) -> dict[str, Any]:
        """variant, base, model_version (sha256 of model/), batch_size, max_tokens, dim, precision.

        The precision is what training computed in; None: the base was not trained.
        """
        return dict(read_json(self.folder / "manifest.json"))

    @property
    def dim(self) -> int:
        """Length of a vector."""
        return int(self.manifest["dim"])

    @cached_property
    def model(self) -> SentenceTransformer:
        """The model itself; it caps texts at the tokens the stage was told."""
        from sentence_transformers import SentenceTransformer

        return SentenceTransformer(
            str(self.folder / "model"), device=self.device, local_files_only=True
        )

    def encode(
        self, texts: Sequence[str], *, cache: Path | None = None, what: str = "encoding"
    ) -> NDArray[np.float32]:
        """Encode texts, each distinct one once, the longest first.

        Args:
            texts: Queries or documents.
            cache: ``data/cache`` to reuse and keep vectors by (model, text); a speed-up alone.
            what: What progress is called.

        Returns:
            (texts, dim) float32, rows of length 1.
        """
        distinct = sorted(set(texts), key=lambda text: (-len(text), text))
        store = VectorCache(cache, str(self.manifest["model_version"]), self.dim)
        missing = store.missing(distinct)
        size = int(self.manifest["batch_size"])
        batches = [missing[start : start + size] for start in range(0, len(missing), size)]
        for batch in progress(batches, what):
            store.add(
                batch,
                self.model.encode(
                    batch, batch_size=size, normalize_embeddings=True, show_progress_bar=False
                ),
            )
        store.save()
        return store.vectors(texts)
