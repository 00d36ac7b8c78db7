"""What a release answers to a few questions that tell of nobody.

Searches are questions of the validation split, chosen by their hashes. Recommendations go on from
made-up histories, such as the most popular comedies: the page is shown to people, and what a user
took is nobody's business.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pandas as pd

from assets.evaluation import choose_by_hash
from assets.interactions.artifact import Interactions
from assets.semantic_ids.artifact import SemanticIds, sid_text
from assets.synthetic_queries.artifact import SearchTasks, SyntheticQueries
from orchestration.releases.answering import SEPARATORS, common_labels, load_answers

if TYPE_CHECKING:
    from assets.answers.artifact import Answers, Result

QUERIES, HISTORIES, TAKEN, ANSWERS = 6, 3, 3, 5


def examples(folder: Path) -> dict[str, list[dict[str, Any]]]:
    """Ask a release.

    Args:
        folder: The release, or another folder laid out like ``data/``.

    Returns:
        ``searches``: kind, query and results; ``recommendations``: what the history is made of, its
        titles, and results. A result has title, sid, score and whether it is right. A task that
        nobody can do has none.

    Raises:
        UserError: Nobody answers here.
    """
    answers = load_answers(folder, searches=False)
    queries = SyntheticQueries.load(folder / "synthetic_queries")
    return {
        "searches": _searches(answers, queries.tasks("validation")),
        "recommendations": _recommendations(answers, folder),
    }


def _searches(answers: Answers, tasks: SearchTasks) -> list[dict[str, Any]]:
    if "search" not in answers.tasks:
        return []
    kinds = sorted(set(tasks.kinds))
    chosen: list[int] = []
    for kind in kinds:
        places = [place for place, other in enumerate(tasks.kinds) if other == kind]
        texts = [tasks.queries[place] for place in places]
        share = max(1, QUERIES // len(kinds))
        chosen += [places[place] for place in choose_by_hash(texts, share, 0)]
    found = answers.search_many([tasks.queries[place] for place in chosen], ANSWERS)
    return [
        {
            "kind": tasks.kinds[place],
            "query": tasks.queries[place],
            "results": _rows(results, tasks.targets[place]),
        }
        for place, results in zip(chosen, found, strict=True)
    ]


def _recommendations(answers: Answers, folder: Path) -> list[dict[str, Any]]:
    if "recommendation" not in answers.tasks:
        return []
    data = Interactions.load(folder / "interactions")
    items = data.items.set_index("item_id", drop=False)
    made = list(_made_up(items, SemanticIds.load(folder / "semantic_ids")))[:HISTORIES]
    found = answers.recommend_many([history for _, history in made], ANSWERS)
    titles = items["title"].fillna(items["text"])
    return [
        {"of": of, "history": titles[history].tolist(), "results": _rows(results, [])}
        for (of, history), results in zip(made, found, strict=True)
    ]


def _made_up(items: pd.DataFrame, ids: SemanticIds) -> Iterator[tuple[str, list[str]]]:
    """Yield groups of items by name, each with the most popular that no group before has.

    The groups are the commonest categories; without any, the commonest first codes.
    """
    parts = items["category"].fillna("").map(lambda text: set(SEPARATORS.split(text)))
    groups = {
        one["label"]: items[[one["label"] in part for part in parts]]
        for one in common_labels(items["category"])
    }
    if not groups:
        firsts = pd.Series(ids.codes[:, 0], index=ids.item_ids)
        for code in firsts.value_counts().index[:HISTORIES]:
            groups[sid_text([code])] = items.loc[firsts.index[firsts == code]]
    told: set[str] = set()
    for name, group in groups.items():
        known = group[~group.index.isin(told)]
        history = known.sort_values("train_interactions", ascending=False, kind="stable").index
        told |= {*history[:TAKEN]}
        if len(history):
            yield name, history[:TAKEN].tolist()


def _rows(results: Sequence[Result], right: Sequence[str]) -> list[dict[str, Any]]:
    return [
        {
            "title": result.title,
            "sid": result.sid,
            "score": result.score,
            "right": result.item_id in right,
        }
        for result in results
    ]
