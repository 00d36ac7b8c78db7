"""BM25 over the documents: what shares the query's words or trigrams, rare ones counting most.

Trigrams are all three letters in a row of each word, its ends marked: `<cat>` holds `<ca`, `cat`
and `at>`. A misspelt, cut off or bent word shares most of them with the word that was meant.

bm25s weighs; what it weighed is kept as one sparse matrix, so that many queries are one product.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from pathlib import Path
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray
from safetensors.numpy import load_file, save_file
from scipy import sparse

from assets.files import read_json, write_json
from assets.rankers.log import UnfitError
from assets.ranking import Queries, Ranked, Rows, rank_in_chunks

Terms = Literal["words", "words_but_stopwords", "trigrams"]
LEAST: dict[Terms, str] = {
    "words": "a word of two letters",
    "words_but_stopwords": "a word of two letters that is no stopword",
    "trigrams": "a letter",
}
WORD = re.compile(r"\w+")
LETTERS = 3


@dataclass(frozen=True)
class BM25:
    """A fitted index.

    Attributes:
        weights: (terms, items) sparse float32, what an item is worth to a query with the term.
        vocabulary: The terms, by row.
        terms: What texts are split into.
        ties: (items,) rows in the order in which equals are shown.
    """

    weights: Any
    vocabulary: list[str]
    terms: Terms
    ties: Rows

    @classmethod
    def fit(
        cls,
        documents: Sequence[str] | NDArray[np.object_],
        ties: Rows,
        *,
        k1: float,
        b: float,
        terms: Terms,
    ) -> BM25:
        """Weigh the terms of documents.

        Args:
            documents: (items,) texts.
            ties: See the attribute.
            k1: Saturation of a term's frequency.
            b: Weight of a document's length.
            terms: See the attribute.

        Raises:
            UnfitError: No document holds a term.
        """
        import bm25s

        split = _split(documents, terms)
        if not any(split):
            raise UnfitError(f"no document holds {LEAST[terms]}.")
        index = bm25s.BM25(k1=k1, b=b)
        index.index(split, show_progress=False)
        columns = index.scores
        shape = (len(columns["indptr"]) - 1, len(documents))
        # bm25s adds an empty term that no document holds
        vocabulary = sorted(index.vocab_dict, key=index.vocab_dict.__getitem__)[: shape[0]]
        weights = sparse.csr_array(
            (columns["data"].astype(np.float32), columns["indices"], columns["indptr"]), shape=shape
        )
        # bm25s numbers terms as a set yields them
        order = np.argsort(np.array(vocabulary, dtype=object))
        return cls(weights[order], [vocabulary[place] for place in order], terms, ties)

    def rank(self, asked: Queries, depth: int) -> Ranked:
        """Rank the items that share a term with each query."""
        split = _split(asked.texts, self.terms)

        def scores(chunk: slice) -> NDArray[np.float32]:
            known = [
                [self._row_of[term] for term in query if term in self._row_of]
                for query in split[chunk]
            ]
            counts = sparse.csr_array(
                (
                    np.ones(sum(map(len, known)), np.float32),
                    np.array([row for query in known for row in query], np.int64),
                    np.cumsum([0, *map(len, known)]),
                ),
                shape=(len(known), len(self.vocabulary)),
            )
            found = (counts @ self.weights).toarray()
            found[found <= 0] = -np.inf
            return found

        return replace(rank_in_chunks(scores, len(asked), depth, self.ties), rest=0.0)

    def save(self, folder: Path, name: str) -> None:
        """Write ``<name>.safetensors`` and ``<name>.json``."""
        tensors = {
            "data": self.weights.data.astype(np.float32),
            "indices": self.weights.indices.astype(np.int32),
            "indptr": self.weights.indptr.astype(np.int64),
        }
        save_file(tensors, folder / f"{name}.safetensors")
        about = {"terms": self.terms, "vocabulary": self.vocabulary}
        write_json(folder / f"{name}.json", about)

    @classmethod
    def load(cls, folder: Path, name: str, ties: Rows) -> BM25:
        """Read what :meth:`save` wrote."""
        saved = load_file(folder / f"{name}.safetensors")
        about = read_json(folder / f"{name}.json")
        weights = sparse.csr_array(
            (saved["data"], saved["indices"], saved["indptr"]),
            shape=(len(about["vocabulary"]), len(ties)),
        )
        return cls(weights, about["vocabulary"], about["terms"], ties)

    @cached_property
    def _row_of(self) -> dict[str, int]:
        return {term: row for row, term in enumerate(self.vocabulary)}


def _split(texts: Any, terms: Terms) -> list[list[str]]:
    if terms == "trigrams":
        return [_trigrams(text) for text in texts]
    import bm25s

    words: list[list[str]] = bm25s.tokenize(
        list(texts),
        stopwords="en" if terms == "words_but_stopwords" else [],
        return_ids=False,
        show_progress=False,
    )
    return words


def _trigrams(text: str) -> list[str]:
    found = []
    for word in WORD.findall(text.lower()):
        marked = f"<{word}>"
        found += [marked[at : at + LETTERS] for at in range(len(marked) - LETTERS + 1)]
    return found
