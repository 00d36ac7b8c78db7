"""What the stage ``retriever`` hands over: the generator, which writes Semantic IDs.

Who answers a user with it, and beside which rankers, is the business of ``answers``.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq
import torch
from numpy.typing import NDArray

from assets.files import read_json, write_json
from assets.ranking import Histories, Queries, Ranked, Rows, Task, rank_in_chunks, task_of
from assets.retriever.beam_search import Guide, beam_search, dead_nodes
from assets.retriever.beams import Beams, gathered
from assets.retriever.guides import NodeVectors, list_guide
from assets.retriever.model import CompactModel, Features, Shape
from assets.retriever.ragged import place_in_row, row_by_row
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
OWNERS = "items_with_vectors.parquet"
_MANIFEST = ("sid_version", "sizes", "shape", "tasks")


@dataclass(frozen=True)
class Generator:
    """A trained model over the Semantic IDs of one catalogue. Make one with :meth:`load`.

    Attributes:
        model: The model.
        ids: The Semantic IDs of all items.
        buckets: The distinct SIDs and the rows of items under each, in the order shown.
        ties: (items,) rows in the order in which the item head shows equals.
        tasks: What there was data to learn from.
        trained_as: What else decided over the weights: precision, device.
    """

    model: CompactModel
    ids: SemanticIds
    buckets: Buckets
    ties: Rows
    tasks: tuple[Task, ...]
    trained_as: dict[str, Any]

    @classmethod
    def load(
        cls,
        folder: Path,
        ids: SemanticIds,
        text: NDArray[np.float32],
        popularity: NDArray[np.int64],
        device: str,
    ) -> Generator:
        """Load a generator for the IDs it was trained on, or for IDs that only add items to them.

        Args:
            folder: The asset.
            ids: The Semantic IDs.
            text: (items, dim) the documents' vectors.
            popularity: (items,) train interactions, by which equals are ordered.
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
        if list(manifest["sizes"]) != list(ids.sizes):
            raise UserError(
                f"{folder} writes IDs of {list(manifest['sizes'])} codes per level, but the "
                f"Semantic IDs beside it have {list(ids.sizes)}: run `dvc repro retriever`."
            )
        saved = pq.read_table(folder / OWNERS).column("item_id").to_pandas()
        owners = pd.Index(ids.item_ids).get_indexer(pd.Index(saved)).astype(np.int64)
        known = np.zeros(len(ids.item_ids), dtype=bool)
        known[owners[owners >= 0]] = True
        features = Features(ids.codes, text, known, ids.sizes)
        model = CompactModel.load(folder, Shape(**manifest["shape"]), features, owners)
        return cls(
            model=model.to(device),
            ids=ids,
            buckets=Buckets.of(ids.codes, popularity),
            ties=np.argsort(-popularity, kind="stable"),
            tasks=tuple(manifest["tasks"]),
            trained_as=manifest.get("trained_as", {}),
        )

    def save(self, folder: Path) -> None:
        """Write the weights, whose item vectors they hold, and ``manifest.json``."""
        self.model.save(folder)
        known = self.model.get_buffer("known").bool().cpu().numpy()
        owners = pa.array(self.ids.item_ids[known], pa.string())
        pq.write_table(pa.table({"item_id": owners}), folder / OWNERS)
        manifest = {
            "generator": "compact",
            "sid_version": self.ids.version,
            "codebook_version": self.ids.codebook_version,
            "sizes": self.ids.sizes,
            "tasks": self.tasks,
            "shape": vars(self.model.shape),
            "trained_as": self.trained_as,
        }
        write_json(folder / "manifest.json", manifest)

    def states(self, asked: Queries | Histories) -> torch.Tensor:
        """Read questions; both heads go on from the (questions, hidden) states.

        Raises:
            UserError: The model has not learnt the task.
        """
        self.require(task_of(asked))
        with torch.inference_mode():
            if isinstance(asked, Queries):
                return self.model.query_states(self._tensor(asked.vectors))
            return self._history_states(asked)

    def rank(self, asked: Queries | Histories, states: torch.Tensor, depth: int) -> Ranked:
        """Rank items by the item head: the product of the state and what stands for each item.

        Args:
            asked: The questions; what may not be an answer is left out.
            states: From :meth:`states`.
            depth: Ranks of each question.
        """

        def scores(chunk: slice) -> NDArray[np.float32]:
            with torch.inference_mode():
                found = states[chunk] @ self._item_vectors.T
            return np.asarray(found.cpu().numpy())

        excluded = asked.excluded if isinstance(asked, Histories) else None
        return rank_in_chunks(scores, len(states), depth, self.ties, excluded)

    def write(
        self,
        asked: Queries | Histories,
        states: torch.Tensor,
        *,
        beams: int,
        guide_weight: float,
        guide: Ranked | None = None,
    ) -> Beams:
        """Write the SIDs that answer questions, none of which holds only what is excluded.

        Args:
            asked: The questions.
            states: From :meth:`states`.
            beams: Prefixes kept per question and level.
            guide_weight: What a unit of the guide adds to the log probability of a beam.
            guide: Rankings of items to be guided by. None: a search by the best that the vectors
                under a node let expect, a recommendation by nothing.
        """
        found = []
        for start in range(0, len(states), ROWS_AT_ONCE):
            rows = slice(start, start + ROWS_AT_ONCE)
            found.append(
                beam_search(
                    self.model,
                    self.trie,
                    states[rows],
                    beams,
                    guide=self._guide(asked[rows], guide, rows, guide_weight),
                    dead=self._dead(asked[rows]),
                )
            )
        excluded = np.empty(0, np.int64)
        if isinstance(asked, Histories):
            row, item = row_by_row(asked.excluded)
            excluded = np.unique(row * len(self.ids.item_ids) + item)
        return gathered(found, excluded, beams, self.trie.levels)

    def items(self, beams: Beams, depth: int | None = None) -> Ranked:
        """Return the items of beams, each with the score of its SID; those of one SID in order.

        Args:
            beams: From :meth:`write`.
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
    def leaf_of(self) -> torch.Tensor:
        """(items,) the leaf of each item, on the model's device."""
        return self._tensor(self.buckets.leaf_of)

    @cached_property
    def node_vectors(self) -> NodeVectors:
        """Mean and spread of the documents' vectors under every node."""
        text = self.model.get_buffer("text_of_items").cpu().numpy()
        return NodeVectors(self.trie, self.buckets, text)

    @cached_property
    def _item_vectors(self) -> torch.Tensor:
        with torch.inference_mode():
            return self.model.item_vectors()

    def _history_states(self, asked: Histories) -> torch.Tensor:
        longest = self.model.shape.history
        last = [items[-longest:] for items in asked.items]
        states = torch.zeros(len(last), self.model.shape.hidden, device=self.model.device)
        order = np.argsort([len(items) for items in last], kind="stable")
        for start in range(0, len(last), ROWS_AT_ONCE):
            chunk = order[start : start + ROWS_AT_ONCE]
            lengths = np.array([len(last[row]) for row in chunk])
            rows = np.zeros((len(chunk), max(1, int(lengths.max()))), dtype=np.int64)
            for place, row in enumerate(chunk):
                rows[place, : lengths[place]] = last[row]
            read = self.model.history_states(self._tensor(rows))
            ends = self._tensor(np.maximum(lengths - 1, 0))
            found = read[torch.arange(len(chunk), device=read.device), ends]
            # nothing was met: every item is as likely as its vector is on its own
            found[self._tensor(lengths == 0)] = 0.0
            states[self._tensor(chunk)] = found
        return states

    def _guide(
        self, asked: Queries | Histories, guide: Ranked | None, rows: slice, weight: float
    ) -> Guide | None:
        if guide is not None:
            ranked = Ranked(guide.rows[rows], guide.scores[rows])
            return list_guide(self.trie, self.leaf_of, ranked, weight)
        if isinstance(asked, Queries):
            return self.node_vectors.guide(self._tensor(asked.vectors), weight)
        return None

    def _dead(self, asked: Queries | Histories) -> torch.Tensor | None:
        if isinstance(asked, Queries):
            return None
        row, item = row_by_row(asked.excluded)
        sizes = self._tensor(self.buckets.sizes)
        return dead_nodes(self.trie, sizes, self.leaf_of, self._tensor(row), self._tensor(item))

    def _tensor(self, array: NDArray[Any]) -> torch.Tensor:
        return torch.from_numpy(np.array(array)).to(self.model.device)
