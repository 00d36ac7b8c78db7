"""The tokens of the language model: a pad, one prompt per task, and one token per (level, code)."""

from __future__ import annotations

import string
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from itertools import accumulate
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from assets.files import read_json, write_json

PAD, SEARCH, RECOMMEND = 0, 1, 2


@dataclass(frozen=True)
class Vocabulary:
    """Maps SIDs to token ids and back.

    Token ids: 0 pads, 1 and 2 are the prompts, then come the codes of level a, of level b, ...

    Attributes:
        sizes: Number of codes of each level.
        search_prompt: Text that opens a search.
        recommend_prompt: Text that opens a recommendation.
    """

    sizes: tuple[int, ...]
    search_prompt: str
    recommend_prompt: str

    @classmethod
    def of(cls, sizes: Sequence[int], search_prompt: str, recommend_prompt: str) -> Vocabulary:
        """Make a vocabulary for SIDs with so many codes per level."""
        return cls(tuple(int(size) for size in sizes), search_prompt, recommend_prompt)

    @property
    def levels(self) -> int:
        """Length of a SID."""
        return len(self.sizes)

    @cached_property
    def first(self) -> tuple[int, ...]:
        """Token id of code 0 of each level, then the size of the whole vocabulary."""
        return tuple(accumulate(self.sizes, initial=RECOMMEND + 1))

    def __len__(self) -> int:
        return self.first[-1]

    def encode(self, codes: NDArray[np.integer[Any]]) -> NDArray[np.int64]:
        """Turn (..., levels) codes into token ids of the same shape."""
        return codes.astype(np.int64) + np.array(self.first[:-1])

    def decode(self, tokens: NDArray[np.integer[Any]]) -> NDArray[np.int32]:
        """Turn (..., levels) token ids back into codes."""
        return (tokens - np.array(self.first[:-1])).astype(np.int32)

    def words(self) -> list[str]:
        """Return how every token is written, by token id; SID tokens as in ``<a_12>``."""
        letters = zip(string.ascii_lowercase, self.sizes, strict=False)
        codes = [f"<{letter}_{code}>" for letter, size in letters for code in range(size)]
        return ["<pad>", self.search_prompt, self.recommend_prompt, *codes]

    def save(self, file: Path) -> None:
        """Write the sizes and every token's word, by token id."""
        write_json(file, {"sizes": self.sizes, "tokens": self.words()})

    @classmethod
    def load(cls, file: Path) -> Vocabulary:
        """Read what :meth:`save` wrote."""
        content = read_json(file)
        return cls.of(content["sizes"], content["tokens"][SEARCH], content["tokens"][RECOMMEND])
