"""Are the most popular items found by name? Their titles are asked; no row of test is read."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from assets.answers.artifact import Parts
from assets.interactions.artifact import Interactions, normalised
from assets.metrics.answering import WHOLE
from assets.metrics.questions import Answered, Questions

FOUND = 10  # ranks that count as found


def named_questions(data: Interactions, parts: Parts, most: int) -> Questions | None:
    """Ask for the most popular items by their titles.

    Args:
        data: The items; those without a title or a train interaction are not asked for.
        parts: Their catalogue, whose order decides between equally popular ones, and the encoder.
        most: So many are asked for.

    Returns:
        One question for each; every item of the same title, as queries are compared, is a right
        answer. None: there is none to ask for.
    """
    catalogue = parts.catalogue
    titles = [normalised(title) for title in data.items["title"].fillna("")]
    namesakes: dict[str, list[str]] = {}
    for item, title in zip(catalogue.item_ids, titles, strict=True):
        namesakes.setdefault(title, []).append(item)
    popular = [row for row in catalogue.by_popularity if titles[row] and catalogue.popularity[row]]
    asked = [titles[row] for row in popular[:most]]
    if not asked:
        return None
    right = [namesakes[title] for title in asked]
    return Questions.of("search", parts.encode(asked), asked, right, catalogue)


def found_by_name(methods: Sequence[Answered]) -> dict[str, Any]:
    """Return what share of the named items each method finds.

    Of items under one generated SID the mean over their orders counts, as everywhere in the report.

    Args:
        methods: What every method answers, the whole first.

    Returns:
        For the whole ``named.items``, ``named.found@10`` and ``named.first``: their number, and the
        shares that are found among the first ten, and first; and the same of every method as rows
        of ``named``.
    """
    rows = [
        {
            "method": answers.method,
            f"found@{FOUND}": float(np.minimum(answers.first[:, :FOUND].sum(axis=1), 1).mean()),
            "first": float(answers.first[:, 0].mean()),
        }
        for answers in methods
    ]
    whole = next(row for row in rows if row["method"] == WHOLE)
    shares = {f"named.{name}": whole[name] for name in (f"found@{FOUND}", "first")}
    return {"named.items": len(methods[0].first), **shares, "named": rows}
