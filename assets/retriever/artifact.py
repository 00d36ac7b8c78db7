"""What the stage ``retriever`` hands over: the generator, which writes Semantic IDs.

Who answers a user with it, and beside which rankers, is the business of ``answers``.
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

from assets.codebooks.artifact import Codebooks
from assets.files import read_json, write_json
from assets.ranking import Ranked, Rows, Task
from assets.retriever.beam_search import beam_search, dead_nodes
from assets.retriever.beams import Beams, gathered
from assets.retriever.model import RetrieverModel
from assets.retriever.ragged import place_in_row, row_by_row
from assets.retriever.sequences import recommend_prompts
from assets.retriever.vocabulary import Vocabulary
from assets.semantic_ids.artifact import SemanticIds
from assets.semantic_ids.buckets import Buckets
from assets.semantic_ids.trie import Trie
from assets.stage import UserError

__all__ = ["WHY_NOT", "Beams", "Generator"]

ROWS_AT_ONCE = 64  # bounds the memory of a batch of searches
WHY_NOT: dict[Task, str] = {
    "search": "there were no train queries",
    "recommendation": "there were no train interactions",
}
_MANIFEST = ("sid_version", "history", "tasks")


@dataclass(frozen=True)
class Generator:
    """A trained model over the Semantic IDs of one catalogue. Make one with :meth:`load`.

    Attributes:
        model: The model.
        ids: The Semantic IDs of all items.
        buckets: The distinct SIDs and the rows of items under each, in the order shown.
        codebooks: They give the space of the guide.
        history: Items of a history that are read.
        tasks: What there was data to learn from.
        trained_as: What else decided over the weights: precision, versions of what was read.
    """

    model: RetrieverModel
    ids: SemanticIds
    buckets: Buckets
    codebooks: Codebooks
    history: int
    tasks: tuple[Task, ...]
    trained_as: dict[str, Any]

    @classmethod
    def load(
        cls, folder: Path, ids: SemanticIds, buckets: Buckets, codebooks: Codebooks, device: str
    ) -> Generator:
        """Load a generator for the IDs it was trained on, or for IDs that only add items to them.

        Args:
            folder: The asset.
            ids: The Semantic IDs.
            buckets: Their buckets.
            codebooks: The codebooks of the IDs.
            device: ``cpu`` or ``cuda``.

        Raises:
            UserError: Something is missing, or the IDs are others.
        """
        folder = Path(folder)
        if not (folder / "manifest.json").is_file():
            raise UserError(f"{folder} holds no retriever: run `dvc repro retriever` first.")
        manifest = read_json(folder / "manifest.json")
        missing = [key for key in _MANIFEST if key not in manifest]
        if missing:
            raise UserError(
                f"{folder} comes from another version of Sidmill (manifest.json lacks "
                f"`{missing[0]}`): run `dvc repro retriever`, or use the version that made it."
            )
        if manifest["sid_version"] not in {ids.version, ids.extends}:
            raise UserError(
                f"{folder} was trained on SID version {manifest['sid_version'][:12]}, but the "
                f"Semantic IDs beside it are {ids.version[:12]}: run `dvc repro retriever`."
            )
        vocabulary = Vocabulary.load(folder / "vocabulary.json")
        if list(vocabulary.sizes) != list(ids.sizes):
            raise UserError(
                f"{folder} writes IDs of {list(vocabulary.sizes)} codes per level, but the "
                f"Semantic IDs beside it have {list(ids.sizes)}: run `dvc repro retriever`."
            )
        model = RetrieverModel.load(folder, vocabulary, codebooks.quantizer.codebooks)
        return cls(
            model=model.to(device),
            ids=ids,
            buckets=buckets,
            codebooks=codebooks,
            history=manifest["history"],
            tasks=tuple(manifest["tasks"]),
            trained_as=manifest.get("trained_as", {}),
        )

    def save(self, folder: Path) -> None:
        """Write the model, ``vocabulary.json`` and ``manifest.json``."""
        self.model.save(folder)
        vocabulary = self.model.vocabulary
        vocabulary.save(folder / "vocabulary.json")
        manifest = {
            "sid_version": self.ids.version,
            "codebook_version": self.codebooks.version,
            "tasks": self.tasks,
            "search_prompt": vocabulary.search_prompt,
            "recommend_prompt": vocabulary.recommend_prompt,
            "query_tokens": self.model.query_tokens,
            "history": self.history,
            "trained_as": self.trained_as,
        }
        write_json(folder / "manifest.json", manifest)

    def search(
        self, vectors: NDArray[np.float32], *, beams: int, similarity_weight: float
    ) -> Beams:
        """Write the SIDs that answer queries.

        Args:
            vectors: (queries, dim) of the queries, from the encoder it was trained with.
            beams: Prefixes kept per query and level.
            similarity_weight: What a unit of similarity between the query and the item as its SID
                rebuilds it adds to the log probability of a beam.

        Raises:
            UserError: The model has not learnt to search.
        """
        self.require("search")
        latent = self.latent(vectors)
        found = []
        for start in range(0, len(vectors), ROWS_AT_ONCE):
            rows = slice(start, start + ROWS_AT_ONCE)
            with torch.inference_mode():
                prompt = self.model.search_prompt(self._tensor(vectors[rows]))
            found.append(
                beam_search(
                    self.model,
                    self.trie,
                    prompt,
                    beams,
                    latent=self._tensor(latent[rows]),
                    similarity_weight=similarity_weight,
                )
            )
        return gathered(found, np.empty(0, np.int64), beams, self.trie.levels)

    def recommend(self, histories: Sequence[Rows], *, beams: int) -> Beams:
        """Write the SIDs that go on from histories, none of which is a history's own.

        Args:
            histories: Rows of items, oldest first.
            beams: Prefixes kept per history and level.

        Raises:
            UserError: The model has not learnt to recommend.
        """
        self.require("recommendation")
        found = []
        for start in range(0, len(histories), ROWS_AT_ONCE):
            chunk = histories[start : start + ROWS_AT_ONCE]
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
                    beams,
                    prompt_mask=self._tensor(mask),
                    dead=dead,
                )
            )
        row, item = row_by_row(histories)
        excluded = np.unique(row * len(self.ids.item_ids) + item)
        return gathered(found, excluded, beams, self.trie.levels)

    def items(self, beams: Beams, depth: int | None = None) -> Ranked:
        """Return the items of beams, each with the score of its SID; those of one SID in order.

        Args:
            beams: From :meth:`search` or :meth:`recommend`.
            depth: Items per question; None returns all that the beams hold.
        """
        row, beam, item = self.buckets.expand(beams.leaves)
        keep = ~np.isin(row * len(self.ids.item_ids) + item, beams.excluded)
        row, beam, item = row[keep], beam[keep], item[keep]
        place = place_in_row(row)
        if depth is None:
            depth = int(place.max(initial=-1)) + 1
        near = place < depth
        rows = np.full((len(beams.leaves), depth), -1, dtype=np.int64)
        scores = np.full(rows.shape, -np.inf, dtype=np.float32)
        rows[row[near], place[near]] = item[near]
        scores[row[near], place[near]] = beams.scores[row[near], beam[near]]
        return Ranked(rows, scores)

    def texts(self, beams: Beams) -> list[list[str]]:
        """Write each question's SIDs from the very tokens that came out of the model, best first.

        Nothing of the trie or of the table of Semantic IDs goes into it, so it can be held against
        them.
        """
        words = self.model.vocabulary.words()
        return [
            ["".join(words[token] for token in tokens) for tokens in question[question[:, 0] >= 0]]
            for question in beams.tokens
        ]

    def require(self, task: Task) -> None:
        """Let pass only tasks that were learnt.

        Raises:
            UserError: The model has not learnt it.
        """
        if task not in self.tasks:
            raise UserError(f"the retriever knows no {task}: {WHY_NOT[task]}.")

    @cached_property
    def trie(self) -> Trie:
        """All SIDs, on the model's device."""
        return Trie.build(self.buckets.sids, self.model.device)

    @cached_property
    def tokens(self) -> NDArray[np.int64]:
        """(leaves, levels) token ids of every SID."""
        return self.model.vocabulary.encode(self.buckets.sids)

    def latent(self, vectors: NDArray[np.float32]) -> NDArray[np.float32]:
        """Map (n, dim) query vectors to the space of the codebooks."""
        return np.ascontiguousarray(self.codebooks.quantizer.latent(vectors), dtype=np.float32)

    def _tensor(self, array: NDArray[Any]) -> torch.Tensor:
        return torch.from_numpy(np.ascontiguousarray(array)).to(self.model.device)
