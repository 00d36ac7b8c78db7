"""What every generator of queries keeps."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any, Literal

import pandas as pd

ComposedKind = Literal["navigational", "descriptive", "mixture"]  # by the generator `attributes`
WrittenKind = Literal["written", "paraphrase"]  # by a language model
Kind = ComposedKind | WrittenKind


@dataclass(frozen=True)
class MadeQuery:
    """A query made for one item, as :func:`assets.synthetic_queries.words.plain` writes text."""

    query: str
    item_id: str
    kind: Kind


class Generator(ABC):
    """Writes search queries for items."""

    @abstractmethod
    def generate(self, items: pd.DataFrame) -> Iterator[MadeQuery]:
        """Yield the queries of each item, item by item, no text twice for one item.

        What is made for an item depends on its row and on the generator's settings, never on the
        other rows or their order. A generator that asks a language model keeps the answers, so
        that the second time costs nothing and makes the same; the model itself may answer another
        time, on another machine or in another batch otherwise.

        Args:
            items: Rows of the items table of ``interactions``.
        """

    def report(self) -> dict[str, Any]:
        """Return numbers and tables on what was made and dropped; whole once all is generated."""
        return {}
