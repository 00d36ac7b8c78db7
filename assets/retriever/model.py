"""The compact generator: an item is one position, an ID is written from one state.

What stands for an item is a sum: a vector of its own, learnt where it has train interactions, one
vector per code of its SID, and a projection of its text's vector. A history is read as one position
per item (SASRec, arXiv 1808.09781); a query is read as a single position made of its vector. Both
end in a **state**, from which two heads go on::

    history  i1 i2 i3 --.                  .-- item head:   state . vector of every item
                         blocks -- state --<
    query    q ---------'                  '-- SID decoder: state, a_12, b_200 -> c_7

The item head ranks all items at once; the decoder writes a SID level by level, among the codes that
the trie allows. An item without interactions has no vector of its own; codes and text stand for it,
and since own vectors are left out at random in training, they can.
"""

from __future__ import annotations

from collections.abc import Collection, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import torch
from numpy.typing import NDArray
from safetensors import SafetensorError
from safetensors.torch import load_file, save_file
from torch import Tensor, nn

from assets.sequential.blocks import Block
from assets.stage import UserError

if TYPE_CHECKING:
    from assets.retriever.params import RetrieverParams

WEIGHTS = "model.safetensors"
OWN = "own.weight"  # one row per item that has a vector of its own, in order of item_id
SPREAD = 0.02  # standard deviation of vectors at the start


@dataclass(frozen=True)
class Features:
    """What is known of every item before anything is learnt, in order of item_id.

    Attributes:
        codes: (items, levels) its SID.
        text: (items, dim) float32, its document's vector.
        known: (items,) bool, whether it has a vector of its own.
        sizes: Number of codes of each level.
    """

    codes: NDArray[np.integer[Any]]
    text: NDArray[np.float32]
    known: NDArray[np.bool_]
    sizes: Sequence[int]


@dataclass(frozen=True)
class Shape:
    """What a model is like; see :class:`RetrieverParams` for each."""

    hidden: int
    layers: int
    decoder_layers: int
    heads: int
    feed_forward: int
    dropout: float
    history: int
    item_vectors: bool
    code_vectors: bool
    text_vectors: bool
    positions_per_item: str = "one"

    @classmethod
    def of(cls, params: RetrieverParams) -> Shape:
        """Take what shapes the model from the stage's params."""
        return cls(**{name: getattr(params, name) for name in cls.__annotations__})


class CompactModel(nn.Module):
    """The model over one catalogue.

    Attributes:
        shape: What it is like.
        sizes: Number of codes of each level.
    """

    def __init__(self, shape: Shape, features: Features) -> None:
        """Draw the weights from torch's generator."""
        super().__init__()
        self.shape, self.sizes = shape, tuple(features.sizes)
        hidden, dim = shape.hidden, features.text.shape[1]
        block = (hidden, shape.heads, shape.feed_forward, shape.dropout)
        self.own = nn.Embedding(len(features.codes), hidden)
        self.codes = nn.ModuleList(nn.Embedding(size, hidden) for size in self.sizes)
        self.text = nn.Linear(dim, hidden)
        self.query = nn.Linear(dim, hidden)
        self.place = nn.Embedding(shape.history, hidden)
        self.blocks = nn.ModuleList(Block(*block) for _ in range(shape.layers))
        self.norm = nn.LayerNorm(hidden)
        self.dropout = nn.Dropout(shape.dropout)
        self.level = nn.Embedding(len(self.sizes), hidden)
        self.decoder = nn.ModuleList(Block(*block) for _ in range(shape.decoder_layers))
        self.decoder_norm = nn.LayerNorm(hidden)
        self.heads = nn.ModuleList(nn.Linear(hidden, size) for size in self.sizes)
        for module in (self.own, *self.codes, self.text, self.place, self.level, *self.heads):
            nn.init.normal_(module.weight, std=SPREAD)
        for name, values in (
            ("codes_of_items", features.codes.astype(np.int64)),
            ("text_of_items", np.array(features.text, dtype=np.float32)),
            ("known", features.known.astype(np.float32)),
        ):
            self.register_buffer(name, torch.from_numpy(values), persistent=False)

    @property
    def device(self) -> torch.device:
        """Where the weights lie."""
        return self.own.weight.device

    @property
    def item_codes(self) -> Tensor:
        """(items, levels) int64, the SID of every item."""
        return self.get_buffer("codes_of_items")

    def item_vectors(self, rows: Tensor | None = None, dropped: Tensor | None = None) -> Tensor:
        """Return what stands for items.

        Args:
            rows: (...) int64 rows of items; None: all.
            dropped: (items,) bool, whose own vector is left out.

        Returns:
            (..., hidden).
        """
        there = self.get_buffer("known")
        if dropped is not None:
            there = there.masked_fill(dropped, 0.0)
        own, codes, text = self.own.weight, self.item_codes, self.get_buffer("text_of_items")
        if rows is not None:
            own, there, codes, text = self.own(rows), there[rows], codes[rows], text[rows]
        total = own * there.unsqueeze(-1) if self.shape.item_vectors else torch.zeros_like(own)
        if self.shape.code_vectors:
            for level, table in enumerate(self.codes):
                total = total + table(codes[..., level])
        return total + self.text(text) if self.shape.text_vectors else total

    def history_states(self, rows: Tensor, dropped: Tensor | None = None) -> Tensor:
        """Read histories.

        Args:
            rows: (histories, length) int64 rows of items, oldest first, padded on the right with
                any row; at most `history` long.
            dropped: See :meth:`item_vectors`.

        Returns:
            (histories, length, hidden): after each item the state from which the next one follows.
        """
        place = self.place.weight[: rows.shape[1]]
        if self.shape.positions_per_item == "one":
            return self._read(self.item_vectors(rows, dropped) + place)
        codes = self.item_codes[rows]
        first = [table(codes[..., level]) for level, table in enumerate(self.codes[:-1])]
        # what is known of an item beside its codes stands where its last one does
        last = self.item_vectors(rows, dropped) - sum(first)
        read = torch.stack([*first, last], dim=2) + self.level.weight + place[:, None]
        levels = len(self.codes)
        return self._read(read.flatten(1, 2))[:, levels - 1 :: levels]

    def query_states(self, vectors: Tensor) -> Tensor:
        """Read (queries, dim) vectors; return the (queries, hidden) states."""
        return self._read(self.query(vectors)[:, None])[:, 0]

    def _read(self, embedded: Tensor) -> Tensor:
        x = self.dropout(embedded)
        for block in self.blocks:
            x, _ = block(x)
        return self.norm(x)

    def sid_logits(self, states: Tensor, codes: Tensor) -> list[Tensor]:
        """Score the codes of every level, each after the right codes before it.

        Args:
            states: (n, hidden).
            codes: (n, levels) the right codes.

        Returns:
            For each level (n, codes of the level).
        """
        written = [table(codes[:, level]) for level, table in enumerate(self.codes[:-1])]
        x = torch.stack([states, *written], dim=1) + self.level.weight
        for block in self.decoder:
            x, _ = block(x)
        x = self.decoder_norm(x)
        return [head(x[:, level]) for level, head in enumerate(self.heads)]

    def write(
        self, level: int, states: Tensor, codes: Tensor, past: list[Tensor]
    ) -> tuple[Tensor, list[Tensor]]:
        """Score the codes of one level for prefixes that are being written.

        Args:
            level: The level; the first one is written from `states`.
            states: (n, hidden).
            codes: (n,) the code that each prefix ends in; not read at the first level.
            past: What the call for the level before returned, the rows of each prefix's parent.

        Returns:
            (n, codes of the level), and the past for the next level.
        """
        x = states if level == 0 else self.codes[level - 1](codes)
        x = (x + self.level.weight[level])[:, None]
        kept = []
        for place, block in enumerate(self.decoder):
            x, seen = block(x, past[place] if past else None)
            kept.append(seen)
        return self.heads[level](self.decoder_norm(x)[:, 0]), kept

    def save(self, folder: Path) -> None:
        """Write ``model.safetensors``; own vectors of items that have none are left out."""
        tensors = {
            name: tensor.detach().cpu().contiguous() for name, tensor in self.state_dict().items()
        }
        tensors[OWN] = tensors[OWN][self.get_buffer("known").bool().cpu()].contiguous()
        save_file(tensors, folder / WEIGHTS)

    @classmethod
    def load(
        cls, folder: Path, shape: Shape, features: Features, owners: NDArray[np.int64]
    ) -> CompactModel:
        """Read what :meth:`save` wrote.

        Args:
            folder: Holds ``model.safetensors``.
            shape: That of the model which was saved.
            features: Of the items of today.
            owners: For each own vector that was saved the row of its item today, -1 if it left.

        Raises:
            UserError: A tensor is missing, unknown or of another shape.
        """
        file = folder / WEIGHTS
        try:
            saved = load_file(file)
        except (OSError, SafetensorError) as error:
            raise UserError(f"{file} cannot be read ({error}): {_REMEDY}") from error
        model = cls(shape, features)
        own = model.state_dict()
        if OWN in saved and saved[OWN].shape == (len(owners), shape.hidden):
            rows = torch.zeros_like(own[OWN])
            rows[torch.from_numpy(owners[owners >= 0])] = saved[OWN][torch.from_numpy(owners >= 0)]
            saved[OWN] = rows
        _complain(file, "lacks a", set(own) - set(saved))
        _complain(file, "holds an unknown", set(saved) - set(own))
        wrong = [name for name, tensor in own.items() if saved[name].shape != tensor.shape]
        _complain(file, "holds a misshapen", wrong)
        model.load_state_dict(saved)
        return model.eval()


_REMEDY = (
    "it is damaged, or comes from another version of Sidmill. Run `dvc repro retriever`, or go "
    "back to a whole release."
)


def _complain(file: Path, fault: str, tensors: Collection[str]) -> None:
    """Refuse weights that would leave part of the model as it was drawn.

    Raises:
        UserError: There is a tensor that is at fault.
    """
    if tensors:
        raise UserError(
            f"{file} {fault} tensor, `{min(tensors)}` ({len(tensors)} in all): {_REMEDY}"
        )
