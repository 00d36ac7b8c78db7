"""BM25 over the documents (bm25s), the lexical baseline of search."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray


class BM25:
    """An index over documents.

    Args:
        documents: The documents.
        k1: Saturation of a word's frequency.
        b: Weight of a document's length.
        stopwords: ``none`` or ``english``.
    """

    def __init__(
        self,
        documents: Sequence[str] | NDArray[np.object_],
        *,
        k1: float = 1.5,
        b: float = 0.75,
        stopwords: str = "none",
    ) -> None:
        import bm25s

        self._stopwords = "en" if stopwords == "english" else []
        self._n_documents = len(documents)
        self._index = bm25s.BM25(k1=k1, b=b)
        self._index.index(self._words(documents), show_progress=False)

    def scores(self, queries: Sequence[str]) -> NDArray[np.float32]:
        """Return (queries, documents) float32; 0 where no word is shared."""
        found = np.zeros((len(queries), self._n_documents), dtype=np.float32)
        for row, words in enumerate(self._words(queries)):
            if words:
                found[row] = self._index.get_scores(words)
        return found

    def _words(self, texts: Any) -> list[list[str]]:
        import bm25s

        words: list[list[str]] = bm25s.tokenize(
            list(texts), stopwords=self._stopwords, return_ids=False, show_progress=False
        )
        return words
