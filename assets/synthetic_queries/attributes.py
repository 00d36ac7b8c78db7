"""Queries composed offline from what is known of an item: its title, properties and keywords."""

from __future__ import annotations

import hashlib
import json
import random
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any, get_args

import pandas as pd

from assets.synthetic_queries.generator import ComposedKind, Generator, MadeQuery
from assets.synthetic_queries.keywords import Keywords
from assets.synthetic_queries.params import SyntheticQueriesParams
from assets.synthetic_queries.words import holds, misspell, telling, title_forms, words

# A query that holds the full title or comes a second time is made anew, at last without title.
ATTEMPTS, BY_TITLE = 20, 15


@dataclass(frozen=True)
class Known:
    """What queries for one item can be made of.

    Attributes:
        titles: The forms of the full title, each as words; empty without a title.
        facets: Words of each category, the brand and each short attribute that the item's document
            names: what it does not name, no search could find.
        keywords: Words of the text that tell it from others.
    """

    titles: list[list[str]]
    facets: list[list[str]]
    keywords: list[str]


class AttributesGenerator(Generator):
    """Navigational, descriptive and mixed queries, drawn from a seed of their own for each item.

    Only the keywords of texts depend on the rest of the catalogue, through tf-idf.

    Args:
        params: Shares of drops, slips and kinds.
        keywords: tf-idf over all texts of the catalogue.
    """

    def __init__(self, params: SyntheticQueriesParams, keywords: Keywords) -> None:
        self._params = params
        self._keywords = keywords
        self._turns = _turns({kind: getattr(params, kind) for kind in get_args(ComposedKind)})

    def generate(self, items: pd.DataFrame) -> Iterator[MadeQuery]:
        """Yield up to ``queries_per_item`` queries of each item; see the base class."""
        for row in items.to_dict("records"):
            known = self._known(row)
            item_id = str(row["item_id"])
            first = self._draw(item_id, "turn").randrange(len(self._turns))
            seen: set[str] = set()
            for number in range(self._params.queries_per_item):
                turn = _possible(self._turns[(first + number) % len(self._turns)], known)
                for attempt in range(ATTEMPTS):
                    kind = turn if attempt < BY_TITLE else "descriptive"
                    draw = self._draw(item_id, number, attempt)
                    query = self._query(kind, known, draw)[: self._params.most_words]
                    text = " ".join(query)
                    if text and text not in seen and not any(holds(query, t) for t in known.titles):
                        seen.add(text)
                        yield MadeQuery(text, item_id, kind)
                        break

    def _draw(self, *parts: object) -> random.Random:
        text = "\0".join(map(str, (self._params.seed, *parts)))
        return random.Random(hashlib.sha256(text.encode()).digest())  # noqa: S311  no secret

    def _query(self, kind: ComposedKind, known: Known, draw: random.Random) -> list[str]:
        if kind == "navigational":
            return self._title(known, draw)
        if kind == "descriptive":
            return self._description(known, draw)
        title = self._title(known, draw)
        kept = sorted(draw.sample(range(len(title)), max(1, len(title) // 2)))
        return [title[place] for place in kept] + self._some_facets(known, draw, 1)

    def _title(self, known: Known, draw: random.Random) -> list[str]:
        """Words of the title: some dropped, in another order, with slips."""
        title = known.titles[0]
        kept = [word for word in title if draw.random() >= self._params.dropped]
        if not set(kept) & set(telling(title)):  # `of the` asks for nothing
            kept = [draw.choice(telling(title))]
        if draw.random() < self._params.reordered:
            cut = draw.randrange(len(kept))
            kept = kept[cut:] + kept[:cut]
        if len(kept) > self._params.most_words:
            places = sorted(draw.sample(range(len(kept)), self._params.most_words))
            kept = [kept[place] for place in places]
        return self._typed(kept, draw, always=len(title) == 1)

    def _typed(self, told: list[str], draw: random.Random, *, always: bool) -> list[str]:
        """The words with slips; always where the one word would be the full title."""
        share = 1.0 if always else self._params.misspelt
        return [misspell(word, draw) if draw.random() < share else word for word in told]

    def _description(self, known: Known, draw: random.Random) -> list[str]:
        """Keywords of the text, or a word of the title where there is none, beside properties."""
        facets = self._some_facets(known, draw, draw.choice((1, 2)))
        if known.keywords:
            most = min(len(known.keywords), draw.choice((1, 2)) + (not facets))
            told = self._typed(draw.sample(known.keywords, most), draw, always=False)
        else:
            told = self._word_of_title(known, draw)
        return told + facets if draw.random() < 0.5 else facets + told

    def _word_of_title(self, known: Known, draw: random.Random) -> list[str]:
        if not known.titles:
            return []
        title = known.titles[0]
        told = self._typed([draw.choice(telling(title))], draw, always=len(title) == 1)
        return [] if told == title else told

    def _some_facets(self, known: Known, draw: random.Random, most: int) -> list[str]:
        chosen = draw.sample(known.facets, min(most, len(known.facets)))
        typed = [self._as_decade(facet, draw) for facet in chosen]
        return self._typed([word for facet in typed for word in facet], draw, always=False)

    def _as_decade(self, facet: list[str], draw: random.Random) -> list[str]:
        year = len(facet) == 1 and re.fullmatch(r"1[89]\d\d|20\d\d", facet[0])
        return [f"{facet[0][2]}0s"] if year and draw.random() < self._params.decades else facet

    def _known(self, row: Mapping[Any, Any]) -> Known:
        title, text = (
            row[name] if isinstance(row[name], str) else "" for name in ("title", "text")
        )
        document = words(row["document"])
        facets = []
        for value in _properties(row):
            facet = words(value)
            if 1 <= len(facet) <= 4 and facet not in facets and holds(document, facet):
                facets.append(facet)
        return Known(
            titles=title_forms(title),
            facets=facets,
            keywords=self._keywords.best(text, self._params.keyword_pool),
        )


def _properties(row: Mapping[Any, Any]) -> Iterator[str]:
    """Yield the categories (without the root of a path), the brand and all attributes as text."""
    category = row["category"] if isinstance(row["category"], str) else ""
    path = [part for part in category.split(">") if part.strip()]
    for part in path[1:] or path:
        yield from re.split(r"[|,;/]", part)
    if isinstance(row["brand"], str):
        yield row["brand"]
    for _, value in sorted(json.loads(row["attributes"] or "{}").items()):
        if isinstance(value, str | int) and not isinstance(value, bool):
            yield str(value)


def _possible(kind: ComposedKind, known: Known) -> ComposedKind:
    """Return the kind that an item's knowledge allows: title and properties may be lacking."""
    if not known.titles:
        return "descriptive"
    if not known.facets and not known.keywords:
        return "navigational"
    return kind


def _turns(parts: dict[ComposedKind, int]) -> list[ComposedKind]:
    """Return the kinds as often as they have parts, spread evenly.

    Picks the kind that lags behind its share most, as smooth weighted round robin does.
    """
    total = sum(parts.values())
    lag = dict.fromkeys(parts, 0)
    turns: list[ComposedKind] = []
    for _ in range(total):
        for kind, part in parts.items():
            lag[kind] += part
        ahead = max(parts, key=lambda kind: lag[kind])
        lag[ahead] -= total
        turns.append(ahead)
    return turns
