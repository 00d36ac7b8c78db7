"""What a language model is asked: the two prompt files beside this one, filled in for an item."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

from assets.synthetic_queries.words import plain

HERE = Path(__file__).parent
FIELDS = ("title", "category", "brand", "text")


class Prompts:
    """The prompts of ``prompt_queries.txt`` and ``prompt_paraphrases.txt``; edit those at will.

    Args:
        count: Queries asked for.
        text_letters: Letters of an item's text, and of each attribute, that are shown.
    """

    def __init__(self, count: int, text_letters: int) -> None:
        self._count = count
        self._letters = text_letters
        self._queries = (HERE / "prompt_queries.txt").read_text(encoding="utf-8").strip()
        self._paraphrases = (HERE / "prompt_paraphrases.txt").read_text(encoding="utf-8").strip()
        both = f"{self._queries}\n{self._paraphrases}"
        self._lines = {plain(re.sub(r"^\s*\d+[.)]", "", line)) for line in both.splitlines()}
        self._text = f" {plain(both)} "

    def queries(self, row: Mapping[Any, Any]) -> str:
        """Return the prompt for an item's queries; ``row`` is one of the items table."""
        item = "\n".join(f"{name}: {value}" for name, value in self._known(row))
        return _filled(self._queries, item=item, count=str(self._count))

    def paraphrases(self, row: Mapping[Any, Any], queries: Sequence[str]) -> str:
        """Return the prompt for one paraphrase of each of an item's queries."""
        numbered = "\n".join(f"{place}. {query}" for place, query in enumerate(queries, start=1))
        title = self._one_line(row["title"]) if isinstance(row["title"], str) else "(none)"
        return _filled(self._paraphrases, queries=numbered, count=str(len(queries)), title=title)

    def hold(self, query: str) -> bool:
        """Tell whether a query (plain text) stands in the files, as a line or as words in a row.

        A small model copies examples and phrases of its prompt. A single word within is no copy.
        """
        return query in self._lines or (" " in query and f" {query} " in self._text)

    def _known(self, row: Mapping[Any, Any]) -> Iterator[tuple[str, str]]:
        """Yield the name and value of everything known of an item, each on one line."""
        named = {name: row[name] for name in FIELDS if isinstance(row[name], str)}
        title = named.pop("title", "")
        text = named.pop("text", "")
        named |= dict(sorted(json.loads(row["attributes"] or "{}").items()))
        for name, value in {"title": title, **named, "text": text}.items():
            told = value if isinstance(value, str) else json.dumps(value, ensure_ascii=False)
            shown = self._one_line(told)
            if shown and value not in (None, [], {}):
                yield self._one_line(name).capitalize(), shown

    def _one_line(self, text: str) -> str:
        return " ".join(text.split())[: self._letters].strip()


def _filled(template: str, **values: str) -> str:
    """Put values in the template's places, braces in values and elsewhere left as they are."""
    parts = template.split("{")
    filled = [parts[0]]
    for part in parts[1:]:
        name, brace, rest = part.partition("}")
        filled.append(values[name] + rest if brace and name in values else "{" + part)
    return "".join(filled)
