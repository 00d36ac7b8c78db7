"""The words that tell a text from the others of a catalogue."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Iterable

from assets.synthetic_queries.words import words


class Keywords:
    """tf-idf over a catalogue: (1 + ln tf) · ln(texts / texts that hold the word).

    Left out are words of one or two letters, numbers, and, where there are others, words of a
    single text: nobody who has not read it would type them.

    Args:
        texts: All texts of the catalogue.
    """

    def __init__(self, texts: Iterable[str]) -> None:
        self._texts = 0
        self._holding: Counter[str] = Counter()
        for text in texts:
            self._texts += 1
            self._holding.update(set(words(text)))

    def best(self, text: str, most: int) -> list[str]:
        """Return the best keywords of a text of the catalogue, best first, ties by the alphabet."""
        counts = Counter(word for word in words(text) if len(word) > 2 and not word[0].isdigit())
        shared = [word for word in counts if self._holding[word] > 1]
        scores = {word: self._score(word, counts[word]) for word in shared or counts}
        return sorted(scores, key=lambda word: (-scores[word], word))[:most]

    def _score(self, word: str, count: int) -> float:
        return (1 + math.log(count)) * math.log(self._texts / max(1, self._holding[word]))
