"""Histories as models read them: windows of items, those of like length together."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from assets.ranking import Rows


@dataclass(frozen=True)
class Sequences:
    """Items in the order in which each user met them, users one after another.

    Attributes:
        items: (interactions,) int64 rows of items.
        starts: (users + 1,) int64; user u's are ``items[starts[u]:starts[u + 1]]``.
    """

    items: Rows
    starts: Rows

    @classmethod
    def of(cls, users: NDArray[Any], items: Rows) -> Sequences:
        """Take (interactions,) users and rows of items, ordered by user and time."""
        first = np.flatnonzero(users[1:] != users[:-1]) + 1
        return cls(items, np.concatenate([[0], first, [len(items)]]))

    @property
    def users(self) -> NDArray[np.int64]:
        """(interactions,) the number of each item's user, from 0."""
        return np.repeat(np.arange(len(self.starts) - 1), np.diff(self.starts))

    def batches(self, rng: np.random.Generator, width: int, positions: int) -> list[Rows]:
        """Cut all histories into windows and put windows of like length together.

        Every item but the first of a history is to be predicted in one window. A history longer
        than a window is cut from its end, which is what a recommendation is asked about, at places
        that differ from pass to pass; windows overlap by an item, so that none loses its question.

        Args:
            rng: Source of randomness.
            width: Most items of a window.
            positions: Places read per batch, padding included, at most; a batch holds at least one
                window.

        Returns:
            Batches in random order, each (windows, longest) rows, -1 after the end of a window.
        """
        windows = list(self._windows(rng, width))
        length = np.array([end - begin for begin, end in windows])
        order = np.lexsort((rng.random(len(windows)), length))
        batches: list[list[int]] = [[]]
        for window in order.tolist():
            if batches[-1] and (len(batches[-1]) + 1) * (length[window] - 1) > positions:
                batches.append([])
            batches[-1].append(window)
        return [
            self._padded([windows[window] for window in batches[place]])
            for place in rng.permutation(len(batches))
        ]

    def epoch(self, rng: np.random.Generator, width: int, positions: int, steps: int) -> list[Rows]:
        """Return as many batches as an epoch has steps; see :meth:`batches`.

        Windows are cut anew in each pass, so that passes differ in batches; epochs do not, and a
        training that is taken up at the end of one draws as it would have.

        Args:
            rng: Source of randomness.
            width: Most items of a window.
            positions: Places read per batch.
            steps: Number of batches.
        """
        batches: list[Rows] = []
        while len(batches) < steps:
            batches = [*self.batches(rng, width, positions), *batches]
        return batches[-steps:]

    def _windows(self, rng: np.random.Generator, width: int) -> Iterator[tuple[int, int]]:
        for begin, end in zip(self.starts[:-1].tolist(), self.starts[1:].tolist(), strict=True):
            if end - begin < 2:
                continue
            last = min(width, end - begin)
            if last < end - begin:
                last = int(rng.integers(2, width + 1))
            yield end - last, end
            stop = end - last + 1
            while stop - begin > 1:
                yield max(begin, stop - width), stop
                stop -= width - 1

    def _padded(self, windows: list[tuple[int, int]]) -> Rows:
        longest = max(end - begin for begin, end in windows)
        batch = np.full((len(windows), longest), -1, dtype=np.int64)
        for row, (begin, end) in zip(batch, windows, strict=True):
            row[: end - begin] = self.items[begin:end]
        return batch
