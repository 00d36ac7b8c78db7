"""What of a language model's answer is a query, and why the rest is not."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field

from assets.synthetic_queries.words import holds, plain, words

# The format that prompts ask for: `1. a query` on a line of its own.
NUMBERED = re.compile(r"[ \t]*\d{1,3}[.)][ \t]+(?P<text>\S.*?)[ \t]*")
THOUGHT = re.compile(r"\A\s*<think>.*?(?:</think>|\Z)", re.DOTALL)
# Around a whole query these are no part of it: quotes, bold, italics, code.
OPENING, CLOSING = "*_`\"'\u201c\u2018\u00ab", "*_`\"'\u201d\u2019\u00bb"
WRAPPED = re.compile(rf"[{OPENING}]{{1,2}}(?P<text>[^*_`\"\u201c\u201d]+)[{CLOSING}]{{1,2}}")
MARKUP = re.compile(
    r"</?[a-zA-Z!]"  # HTML
    r"|&\w+;|https?://"
    r"|[*`|{}\[\]\\\"\u201c\u201d]|__|^#+\s|\s_|_\s"  # markdown, JSON, quotes, placeholders
    r"|^\w+:\s|:$"  # a label before a query, or one of a list that follows
)


@dataclass
class Tally:
    """What became of the lines of many answers.

    Attributes:
        answers: Answers that were read.
        malformed: Answers without a single line in the format.
        lines: Lines that are not empty.
        dropped: Lines by the reason why they are no query: ``format`` (not `1. query`), ``cut``
            (the answer ended within it), ``markup``, ``words`` (none, or too many), ``title``
            (holds the item's full title), ``duplicate`` (the item has it), ``copied`` (from the
            prompt), ``surplus`` (more than asked for).
    """

    answers: int = 0
    malformed: int = 0
    lines: int = 0
    dropped: Counter[str] = field(default_factory=Counter)


def usable(
    answer: str,
    *,
    whole: bool,
    titles: Iterable[list[str]],
    known: Iterable[str],
    copied: Callable[[str], bool],
    most: int,
    most_words: int,
    tally: Tally,
) -> list[str]:
    """Return the queries of an answer as plain text, in its order, and count all else.

    Args:
        answer: What the model wrote.
        whole: False if it was cut off by its length: the last line then is no query.
        titles: The forms of the item's full title, each as words.
        known: Queries that the item has.
        copied: Tells whether a query stands in the prompt.
        most: Queries asked for.
        most_words: Longest query, in words.
        tally: Where lines are counted.
    """
    lines = [line for line in THOUGHT.sub("", answer).splitlines() if line.strip()]
    matches = [NUMBERED.fullmatch(line) for line in lines]
    titles, seen = list(titles), set(known)
    kept: list[str] = []
    tally.answers += 1
    tally.malformed += not any(matches)
    tally.lines += len(lines)
    for place, match in enumerate(matches):
        if not whole and place == len(lines) - 1:
            tally.dropped["cut"] += 1
        elif match is None:
            tally.dropped["format"] += 1
        elif len(kept) == most:
            tally.dropped["surplus"] += 1
        elif reason := _fault(text := _unwrapped(match["text"]), titles, most_words):
            tally.dropped[reason] += 1
        elif (query := plain(text)) in seen:
            tally.dropped["duplicate"] += 1
        elif copied(query):
            tally.dropped["copied"] += 1
        else:
            kept.append(query)
            seen.add(query)
    return kept


def numbered_lines(answer: str) -> int:
    """Return how many complete lines of an answer are in the format."""
    return sum(bool(NUMBERED.fullmatch(line)) for line in answer.split("\n")[:-1])


def _unwrapped(text: str) -> str:
    match = WRAPPED.fullmatch(text)
    return match["text"].strip() if match else text


def _fault(text: str, titles: list[list[str]], most_words: int) -> str | None:
    """Return why a line is no query, or None."""
    query = words(text)
    if MARKUP.search(text):
        return "markup"
    if not 1 <= len(query) <= most_words:
        return "words"
    return "title" if any(holds(query, title) for title in titles) else None
