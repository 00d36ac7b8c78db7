"""Text as people type it into a search box: words, titles, slips of the finger."""

from __future__ import annotations

import random
import re
import unicodedata

from assets.interactions.artifact import normalised

WORD = re.compile(r"\d+(?:[.,]\d+)+|[^\s.,']+(?:'[^\s.,']+)*")
TRAILING_ARTICLE = re.compile(
    r"^(?P<rest>.+), (?P<article>the|a|an|le|la|les|el|los|las|il|lo|der|die|das|l')$"
)
SMALL = frozenset(
    {"a", "an", "and", "as", "at", "by", "for", "from", "in", "is", "it", "la", "le", "of", "on"}
    | {"or", "the", "to", "with"}
)
KEYBOARD = ("qwertyuiop", "asdfghjkl", "zxcvbnm")
NEIGHBOURS = {
    key: row[max(0, place - 1) : place] + row[place + 1 : place + 2]
    for row in KEYBOARD
    for place, key in enumerate(row)
}


class _Separators(dict[int, int]):
    """For str.translate: letters, marks, digits and what may stand inside a word; else a space."""

    def __missing__(self, code: int) -> int:
        letter = chr(code)
        inside = unicodedata.category(letter)[0] in "LMN" or letter in "'.,"
        self[code] = code if inside else ord(" ")
        return self[code]


SEPARATORS = _Separators()


def words(text: str) -> list[str]:
    """Return the words of a text in lower case (NFKC), without punctuation around them."""
    return WORD.findall(_lower(text).translate(SEPARATORS))


def plain(text: str) -> str:
    """Return a text as its words, one space between them."""
    return " ".join(words(text))


def title_forms(title: str) -> list[list[str]]:
    """Return the ways in which a full title may be typed, each as words, the usual one first.

    ``Seven Samurai, The (Shichinin no samurai)`` is typed ``the seven samurai``; with the article
    behind, or with what stands in brackets, it is the full title all the same.
    """
    main = re.sub(r"\s*[(\[].*$", "", _lower(title)).strip()
    match = TRAILING_ARTICLE.match(main)
    usual = f"{match['article']} {match['rest']}" if match else main
    forms = [words(text) for text in (usual, main, title)]
    return [form for place, form in enumerate(forms) if form and form not in forms[:place]]


def holds(query: list[str], title: list[str]) -> bool:
    """Tell whether the words of a title stand in a query, in a row and in order."""
    size = len(title)
    return any(query[start : start + size] == title for start in range(len(query) - size + 1))


def telling(told: list[str]) -> list[str]:
    """Return the words without articles and the like, or all where nothing would be left."""
    return [word for word in told if word not in SMALL] or told


def misspell(word: str, draw: random.Random) -> str:
    """Return the word with one slip: two letters swapped, one left out, doubled or its neighbour.

    The first letter stays. Words that have no other letters, or hold digits, stay as they are.
    """
    if len(word) < 3 or not word.isalpha():
        return word
    place = draw.randrange(1, len(word))
    head, letter, tail = word[:place], word[place], word[place + 1 :]
    slips = [
        head + tail,
        head + letter + letter + tail,
        head + draw.choice(NEIGHBOURS.get(letter, letter)) + tail,
    ]
    if place > 1:
        slips.append(head[:-1] + letter + head[-1] + tail)
    return draw.choice([slip for slip in slips if slip != word])


def _lower(text: str) -> str:
    return normalised(unicodedata.normalize("NFKC", text)).replace("\u2019", "'")
