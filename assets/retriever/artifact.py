"""What the stage ``retriever`` hands over: search and recommendation in five lines.

::

    from assets.retriever.artifact import Retriever

    retriever = Retriever.load("data")
    retriever.search("space opera with robots", k=10)
    retriever.recommend(["260", "1196"], k=10)
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

from assets.bi_encoder.artifact import BiEncoder
from assets.codebooks.artifact import Codebooks
from assets.embeddings.artifact import Embeddings
from assets.files import read_json, write_json
from assets.interactions.artifact import Interactions, normalised
from assets.machine import Machine
from assets.retriever.beam_search import beam_search, dead_nodes
from assets.retriever.model import RetrieverModel
from assets.retriever.ragged import first_of_each_row, row_by_row
from assets.retriever.results import Beams, Result, gathered
from assets.retriever.sequences import recommend_prompts
from assets.retriever.vocabulary import Vocabulary
from assets.semantic_ids.artifact import SemanticIds, sid_text
from assets.semantic_ids.buckets import Buckets
from assets.semantic_ids.trie import Trie
from assets.stage import UserError

__all__ = ["Beams", "Result", "Retriever", "titles_of"]

ROWS_AT_ONCE = 64  # bounds the memory of a batch of searches
WHY_NOT = {
    "search": "there were no train queries",
    "recommend": "there were no train interactions",
}
_MANIFEST = ("sid_version", "history", "beams", "similarity_weight", "rerank", "tasks")


@dataclass(frozen=True)
class Retriever:
    """A trained model over one catalogue. Make one with :meth:`load`.

    Attributes:
        model: The model.
        ids: The Semantic IDs of all items.
        buckets: The distinct SIDs and the rows of `item_ids` under each, in the order shown.
        codebooks: They give the space of the guide.
        encoder: Encodes queries.
        vectors: (items, dim) float32, what re-ranking compares with.
        titles: (items,) text.
        history: Items of a history that are read.
        beams: Beams of an answer.
        similarity_weight: Of the rebuilt item's similarity in a search's beam.
        reranks: Whether :meth:`search` re-ranks unless told otherwise.
        tasks: ``search`` and ``recommend``, as far as there was data to learn them.
    """

    model: RetrieverModel
    ids: SemanticIds
    buckets: Buckets
    codebooks: Codebooks
    encoder: BiEncoder
    vectors: NDArray[np.float32]
    titles: NDArray[np.object_]
    history: int
    beams: int
    similarity_weight: float
    reranks: bool
    tasks: tuple[str, ...]

    @classmethod
    def load(cls, root: Path | str = "data", device: str = "auto") -> Retriever:
        """Load a retriever.

        Args:
            root: ``data``, or the folder of a release, which has the same layout.
            device: ``auto``, ``cpu`` or ``cuda``.

        Raises:
            UserError: Something is missing, or the IDs are not those the model was trained on.
        """
        root = Path(root)
        folder = root / "retriever"
        if not (folder / "manifest.json").is_file():
            raise UserError(f"{folder} holds no retriever: run `dvc repro retriever` first.")
        device = Machine(device=device).torch_device()
        manifest = read_json(folder / "manifest.json")
        missing = [key for key in _MANIFEST if key not in manifest]
        if missing:
            raise UserError(
                f"{folder} comes from another version of Sidmill (manifest.json lacks "
                f"`{missing[0]}`): run `dvc repro retriever`, or use the version that made it."
            )
        ids = SemanticIds.load(root / "semantic_ids")
        if ids.version != manifest["sid_version"]:
            raise UserError(
                f"{folder} was trained on SID version {manifest['sid_version'][:12]}, but "
                f"{root / 'semantic_ids'} holds {ids.version[:12]}: run `dvc repro retriever`."
            )
        codebooks = Codebooks.load(root / "codebooks")
        vocabulary = Vocabulary.load(folder / "vocabulary.json")
        model = RetrieverModel.load(folder, vocabulary, codebooks.quantizer.codebooks)
        return cls(
            model=model.to(device),
            ids=ids,
            buckets=Buckets.load(folder / "buckets.safetensors"),
            codebooks=codebooks,
            encoder=BiEncoder.load(root / "bi_encoder", device),
            vectors=Embeddings.load(root / "embeddings").text,
            titles=titles_of(Interactions.load(root / "interactions")),
            history=manifest["history"],
            beams=manifest["beams"],
            similarity_weight=manifest["similarity_weight"],
            reranks=manifest["rerank"],
            tasks=tuple(manifest["tasks"]),
        )

    def save(self, folder: Path) -> None:
        """Write the model, ``vocabulary.json``, ``buckets.safetensors`` and ``manifest.json``."""
        self.model.save(folder)
        vocabulary = self.model.vocabulary
        vocabulary.save(folder / "vocabulary.json")
        self.buckets.save(folder / "buckets.safetensors")
        manifest = {
            "sid_version": self.ids.version,
            "codebook_version": self.codebooks.version,
            "model_version": self.encoder.manifest["model_version"],
            "tasks": self.tasks,
            "search_prompt": vocabulary.search_prompt,
            "recommend_prompt": vocabulary.recommend_prompt,
            "query_tokens": self.model.query_tokens,
            "history": self.history,
            "beams": self.beams,
            "similarity_weight": self.similarity_weight,
            "rerank": self.reranks,
        }
        write_json(folder / "manifest.json", manifest)

    def search(self, query: str, k: int = 10, rerank: bool | None = None) -> list[Result]:
        """Return the items that answer a query best.

        Args:
            query: A few words.
            k: Most items.
            rerank: Whether to order the beam's items by the bi-encoder's similarity; None leaves it
                to the params.

        Raises:
            UserError: An empty query, or a model that has not learnt to search.
        """
        return self.search_many([query], k, rerank)[0]

    def search_many(
        self, queries: Sequence[str], k: int = 10, rerank: bool | None = None
    ) -> list[list[Result]]:
        """Return what :meth:`search` returns, for many queries at once.

        Raises:
            UserError: An empty query, or a model that has not learnt to search.
        """
        if not all(query.strip() for query in queries):
            raise UserError("the query is empty: give it a few words.")
        self._must_know("search")
        vectors = self._encode(queries, None)
        beams = self._search(vectors, max(self.beams, k))
        if rerank if rerank is not None else self.reranks:
            return self._results(*self._most_similar(vectors, beams), len(queries), k)
        return self._results(*self._most_probable(beams), len(queries), k)

    def recommend(self, history: Sequence[str], k: int = 10) -> list[Result]:
        """Return the items that go on from a history, none of which is in it.

        Args:
            history: Item ids, oldest first.
            k: Most items.

        Raises:
            UserError: An unknown item, or a model that has not learnt to recommend.
        """
        return self.recommend_many([history], k)[0]

    def recommend_many(self, histories: Sequence[Sequence[str]], k: int = 10) -> list[list[Result]]:
        """Return what :meth:`recommend` returns, for many histories at once.

        Raises:
            UserError: An unknown item, or a model that has not learnt to recommend.
        """
        beams = self.recommend_beams(histories, beams=max(self.beams, k))
        return self._results(*self._most_probable(beams), len(histories), k)

    def search_beams(
        self, queries: Sequence[str], *, cache: Path | None = None, beams: int | None = None
    ) -> Beams:
        """Search for many queries.

        Args:
            queries: The queries.
            cache: ``data/cache`` to reuse and keep query vectors.
            beams: Beams per query; None takes the params'.
        """
        self._must_know("search")
        return self._search(self._encode(queries, cache), beams or self.beams)

    def recommend_beams(
        self, histories: Sequence[Sequence[str]], *, beams: int | None = None
    ) -> Beams:
        """Recommend for many histories of item ids, oldest first.

        Raises:
            UserError: An unknown item.
        """
        self._must_know("recommend")
        items = [self.rows(history) for history in histories]
        found = []
        for start in range(0, len(items), ROWS_AT_ONCE):
            chunk = items[start : start + ROWS_AT_ONCE]
            tokens, mask = recommend_prompts(
                [self.buckets.leaf_of[rows] for rows in chunk], self.tokens, self.history
            )
            with torch.inference_mode():
                prompt = self.model.embed(self._tensor(tokens))
            row, item = row_by_row(chunk)
            dead = dead_nodes(
                self.trie,
                self._tensor(self.buckets.sizes),
                self._tensor(self.buckets.leaf_of),
                self._tensor(row),
                self._tensor(item),
            )
            found.append(
                beam_search(
                    self.model,
                    self.trie,
                    prompt,
                    beams or self.beams,
                    prompt_mask=self._tensor(mask),
                    dead=dead,
                )
            )
        row, item = row_by_row(items)
        return gathered(found, np.unique(row * len(self.item_ids) + item))

    def rank(self, beams: Beams, k: int) -> NDArray[np.int64]:
        """Return the items of beams: (rows, k) rows of `item_ids`, -1 where there are fewer."""
        row, item = self._shown(beams)
        return first_of_each_row(row, item, len(beams.leaves), k)

    def rerank(
        self, queries: Sequence[str], beams: Beams, k: int, *, cache: Path | None = None
    ) -> NDArray[np.int64]:
        """Return the items of beams, the most similar to their query first; shape as :meth:`rank`.

        Args:
            queries: The queries of the beams.
            beams: From :meth:`search_beams`.
            k: Items per query.
            cache: ``data/cache`` to reuse and keep query vectors.
        """
        row, item, _ = self._most_similar(self._encode(queries, cache), beams)
        return first_of_each_row(row, item, len(beams.leaves), k)

    @property
    def sids(self) -> NDArray[np.int32]:
        """(leaves, levels) the distinct SIDs in ascending order."""
        return self.buckets.sids

    @property
    def item_ids(self) -> NDArray[np.object_]:
        """(items,) ids of all items, ascending; every row number speaks of this order."""
        return self.ids.item_ids

    @cached_property
    def trie(self) -> Trie:
        """All SIDs, on the model's device."""
        return Trie.build(self.sids, self.model.device)

    @cached_property
    def tokens(self) -> NDArray[np.int64]:
        """(leaves, levels) token ids of every SID."""
        return self.model.vocabulary.encode(self.sids)

    def latent(self, vectors: NDArray[np.float32]) -> NDArray[np.float32]:
        """Map (n, dim) query vectors to the space of the codebooks."""
        return np.ascontiguousarray(self.codebooks.quantizer.latent(vectors), dtype=np.float32)

    @cached_property
    def _row_of(self) -> dict[str, int]:
        return {item_id: row for row, item_id in enumerate(self.item_ids)}

    def _tensor(self, array: NDArray[Any]) -> torch.Tensor:
        return torch.from_numpy(np.ascontiguousarray(array)).to(self.model.device)

    def _encode(self, queries: Sequence[str], cache: Path | None) -> NDArray[np.float32]:
        return self.encoder.encode([normalised(query) for query in queries], cache=cache)

    def _must_know(self, task: str) -> None:
        if task not in self.tasks:
            raise UserError(f"the retriever has not learnt to {task}: {WHY_NOT[task]}.")

    def rows(self, item_ids: Sequence[str]) -> NDArray[np.int64]:
        """Return the rows of items.

        Raises:
            UserError: An unknown item.
        """
        unknown = [item_id for item_id in item_ids if item_id not in self._row_of]
        if unknown:
            raise UserError(f"unknown item `{unknown[0]}`: no such item_id in the catalogue.")
        return np.array([self._row_of[item_id] for item_id in item_ids], dtype=np.int64)

    def _search(self, vectors: NDArray[np.float32], beams: int) -> Beams:
        latent = self.latent(vectors)
        found = []
        for start in range(0, len(vectors), ROWS_AT_ONCE):
            rows = slice(start, start + ROWS_AT_ONCE)
            with torch.inference_mode():
                prompt = self.model.search_prompt(self._tensor(vectors[rows]))
            guide = self._tensor(latent[rows])
            found.append(
                beam_search(
                    self.model,
                    self.trie,
                    prompt,
                    beams,
                    latent=guide,
                    similarity_weight=self.similarity_weight,
                )
            )
        return gathered(found, np.empty(0, np.int64))

    def _most_similar(
        self, vectors: NDArray[np.float32], beams: Beams
    ) -> tuple[NDArray[np.int64], NDArray[np.int64], NDArray[np.float32]]:
        """Return row, item and similarity of all items of the beams, the most similar first."""
        row, item = self._shown(beams)
        similarity = np.einsum("nd,nd->n", vectors[row], self.vectors[item])
        order = np.lexsort((-similarity, row))
        return row, item[order], similarity[order]

    def _shown(self, beams: Beams) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
        row, item = self.buckets.expand(beams.leaves)
        keep = ~np.isin(row * len(self.item_ids) + item, beams.excluded)
        return row[keep], item[keep]

    def _most_probable(
        self, beams: Beams
    ) -> tuple[NDArray[np.int64], NDArray[np.int64], NDArray[np.float32]]:
        """Return row, item and score of all items of the beams, the most probable first."""
        row, item = self._shown(beams)
        at, beam = np.nonzero(beams.leaves >= 0)
        keys = at * len(self.sids) + beams.leaves[at, beam]
        order = np.argsort(keys)
        place = np.searchsorted(keys[order], row * len(self.sids) + self.buckets.leaf_of[item])
        return row, item, beams.scores[at, beam][order][place]

    def _results(
        self,
        row: NDArray[np.int64],
        items: NDArray[np.int64],
        scores: NDArray[np.float32],
        rows: int,
        k: int,
    ) -> list[list[Result]]:
        """Return the first k items of each row; rows ascend, the best of a row comes first."""
        ends = np.searchsorted(row, np.arange(rows), side="right")
        starts = np.searchsorted(row, np.arange(rows))
        return [
            [
                Result(
                    str(self.item_ids[item]),
                    str(self.titles[item]),
                    sid_text(self.ids.codes[item]),
                    float(score),
                )
                for item, score in zip(items[start:end], scores[start:end], strict=True)
            ]
            for start, end in zip(starts, np.minimum(ends, starts + k), strict=True)
        ]


def titles_of(data: Interactions) -> NDArray[np.object_]:
    """Return what every item is called: its title, or its text where it has none."""
    return data.items["title"].fillna(data.items["text"]).to_numpy(dtype=object)
