"""The words that tell a text from the others of a catalogue."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Iterable

from assets.synthetic_queries.words import words


class Keywords:
    """tf-idf over a catalogue: (1 + ln tf) · ln(texts / texts that hold the word).

    Left out are words of one or two letters, numbers, and, where there are others, words of few
    texts: nobody who has not read them would type those.

    Args:
        texts: All texts of the catalogue.
        least_texts: A keyword stands in so many texts at least, if the text has such a word.
    """

    def __init__(self, texts: Iterable[str], least_texts: int) -> None:
        self._least = least_texts
        self._texts = 0
        self._holding: Counter[str] = Counter()
        for text in texts:
            self._texts += 1
            self._holding.update(set(words(text)))

    def best(self, text: str, most: int) -> list[str]:
        """Return the best keywords of a text of the catalogue, best first, ties by the alphabet.

        Args:
            text: The text.
            most: Most keywords; never more than half of the words they are chosen from.
        """
        counts = Counter(word for word in words(text) if len(word) > 2 and not word[0].isdigit())
        shared = [word for word in counts if self._holding[word] >= self._least]
        scores = {word: self._score(word, counts[word]) for word in shared or counts}
        half = (len(scores) + 1) // 2
        return sorted(scores, key=lambda word: (-scores[word], word))[: min(most, half)]

    def _score(self, word: str, count: int) -> float:
        return (1 + math.log(count)) * math.log(self._texts / max(1, self._holding[word]))
