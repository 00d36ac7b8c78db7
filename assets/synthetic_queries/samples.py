"""Items with the queries that two generators make for them."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable

import pandas as pd

from assets.evaluation import choose_by_hash
from assets.synthetic_queries.generator import Generator, MadeQuery


def side_by_side(
    made: Iterable[MadeQuery], items: pd.DataFrame, other: Generator, seed: int, most: int = 20
) -> list[dict[str, str]]:
    """Return items with what a language model wrote and what another generator would have made.

    Args:
        made: All made queries.
        items: Rows of the items table that they were made for.
        other: The other generator.
        seed: Seed of the choice.
        most: Items shown, of those with written queries; chosen by hash.
    """
    written: dict[str, dict[str, list[str]]] = {}
    for one in made:
        if one.kind in {"written", "paraphrase"}:
            kinds = written.setdefault(one.item_id, {"written": [], "paraphrase": []})
            kinds[one.kind].append(one.query)
    ids = list(written)
    shown = [ids[place] for place in choose_by_hash(ids, most, seed)]
    rows = items[items["item_id"].isin(shown)]
    composed: dict[str, list[str]] = defaultdict(list)
    for one in other.generate(rows):
        composed[one.item_id].append(one.query)
    return [
        {
            "item_id": item_id,
            "document": document,
            "written": "; ".join(written[item_id]["written"]),
            "paraphrases": "; ".join(written[item_id]["paraphrase"]),
            "attributes": "; ".join(composed[item_id]),
        }
        for item_id, document in zip(rows["item_id"], rows["document"], strict=True)
    ]
