"""BM25 over the documents: what shares the query's words, rare ones counting most.

bm25s tokenises and weighs; what it weighed is kept as one sparse matrix, so that many queries are
one product.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from safetensors.numpy import load_file, save_file
from scipy import sparse

from assets.files import read_json, write_json
from assets.ranking import Queries, Ranked, Rows, rank_in_chunks

STOPWORDS: dict[str, Any] = {"none": [], "english": "en"}


@dataclass(frozen=True)
class BM25:
    """A fitted index.

    Attributes:
        weights: (words, items) sparse float32, what an item is worth to a query with the word.
        words: The words, by row.
        stopwords: ``none`` or ``english``.
        ties: (items,) rows in the order in which equals are shown.
    """

    weights: Any
    words: list[str]
    stopwords: str
    ties: Rows

    @classmethod
    def fit(
        cls,
        documents: Sequence[str] | NDArray[np.object_],
        ties: Rows,
        *,
        k1: float,
        b: float,
        stopwords: str,
    ) -> BM25:
        """Weigh the words of documents.

        Args:
            documents: (items,) texts.
            ties: See the attribute.
            k1: Saturation of a word's frequency.
            b: Weight of a document's length.
            stopwords: See the attribute.
        """
        import bm25s

        index = bm25s.BM25(k1=k1, b=b)
        index.index(_words(documents, stopwords), show_progress=False)
        columns = index.scores
        shape = (len(columns["indptr"]) - 1, len(documents))
        # bm25s adds an empty word that no document holds
        words = sorted(index.vocab_dict, key=index.vocab_dict.__getitem__)[: shape[0]]
        weights = sparse.csr_array(
            (columns["data"].astype(np.float32), columns["indices"], columns["indptr"]), shape=shape
        )
        order = np.argsort(
            np.array(words, dtype=object)
        )  # bm25s numbers words as a set yields them
        return cls(weights[order], [words[place] for place in order], stopwords, ties)

    def rank(self, asked: Queries, depth: int) -> Ranked:
        """Rank the items that share a word with each query."""
        split = _words(asked.texts, self.stopwords)

        def scores(chunk: slice) -> NDArray[np.float32]:
            known = [
                [self._row_of[word] for word in query if word in self._row_of]
                for query in split[chunk]
            ]
            counts = sparse.csr_array(
                (
                    np.ones(sum(map(len, known)), np.float32),
                    np.array([row for query in known for row in query], np.int64),
                    np.cumsum([0, *map(len, known)]),
                ),
                shape=(len(known), len(self.words)),
            )
            found = (counts @ self.weights).toarray()
            return np.where(found > 0, found, -np.inf)

        return rank_in_chunks(scores, len(asked), depth, self.ties)

    def save(self, folder: Path) -> None:
        """Write ``bm25.safetensors`` and ``bm25.json``."""
        tensors = {
            "data": self.weights.data.astype(np.float32),
            "indices": self.weights.indices.astype(np.int32),
            "indptr": self.weights.indptr.astype(np.int64),
        }
        save_file(tensors, folder / "bm25.safetensors")
        write_json(folder / "bm25.json", {"stopwords": self.stopwords, "words": self.words})

    @classmethod
    def load(cls, folder: Path, ties: Rows) -> BM25:
        """Read what :meth:`save` wrote."""
        saved, about = load_file(folder / "bm25.safetensors"), read_json(folder / "bm25.json")
        weights = sparse.csr_array(
            (saved["data"], saved["indices"], saved["indptr"]),
            shape=(len(about["words"]), len(ties)),
        )
        return cls(weights, about["words"], about["stopwords"], ties)

    @cached_property
    def _row_of(self) -> dict[str, int]:
        return {word: row for row, word in enumerate(self.words)}


def _words(texts: Any, stopwords: str) -> list[list[str]]:
    import bm25s

    words: list[list[str]] = bm25s.tokenize(
        list(texts), stopwords=STOPWORDS[stopwords], return_ids=False, show_progress=False
    )
    return words
