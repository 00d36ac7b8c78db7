"""What a release answers to a few questions of the validation split, chosen by their hashes."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from assets.evaluation import choose_by_hash
from assets.files import read_json
from assets.interactions.artifact import Interactions
from assets.stage import UserError
from assets.synthetic_queries.artifact import SearchTasks, SyntheticQueries

if TYPE_CHECKING:
    from assets.retriever.artifact import Result, Retriever

QUERIES, USERS, ANSWERS, REMEMBERED = 6, 3, 5, 5


def examples(folder: Path) -> dict[str, list[dict[str, Any]]]:
    """Ask the retriever of a release.

    Args:
        folder: The release, or another folder laid out like ``data/``.

    Returns:
        ``searches``: kind, query and results; ``recommendations``: user, the end of the history,
        what came next, and results. A result has title, sid, score and whether it is right. A task
        that was not learnt has none.

    Raises:
        UserError: There is no trained retriever.
    """
    if not read_json(folder / "retriever" / "manifest.json").get("tasks"):
        raise UserError("the retriever has learnt nothing.")
    from orchestration.releases.answering import load_retriever

    retriever = load_retriever(folder, searches=False)
    data = Interactions.load(folder / "interactions")
    queries = SyntheticQueries.load(folder / "synthetic_queries")
    return {
        "searches": _searches(retriever, queries.tasks("validation")),
        "recommendations": _recommendations(retriever, data),
    }


def _searches(retriever: Retriever, tasks: SearchTasks) -> list[dict[str, Any]]:
    if "search" not in retriever.tasks:
        return []
    kinds = sorted(set(tasks.kinds))
    chosen: list[int] = []
    for kind in kinds:
        places = [place for place, other in enumerate(tasks.kinds) if other == kind]
        texts = [tasks.queries[place] for place in places]
        share = max(1, QUERIES // len(kinds))
        chosen += [places[place] for place in choose_by_hash(texts, share, 0)]
    found = retriever.search_many([tasks.queries[place] for place in chosen], ANSWERS)
    return [
        {
            "kind": tasks.kinds[place],
            "query": tasks.queries[place],
            "results": _rows(results, tasks.targets[place]),
        }
        for place, results in zip(chosen, found, strict=True)
    ]


def _recommendations(retriever: Retriever, data: Interactions) -> list[dict[str, Any]]:
    if "recommend" not in retriever.tasks:
        return []
    sessions = data.sessions("validation")
    chosen = choose_by_hash(sessions.user_ids, USERS, 0)
    found = retriever.recommend_many([sessions.histories[place] for place in chosen], ANSWERS)
    titles = dict(zip(retriever.item_ids, retriever.titles, strict=True))
    return [
        {
            "user": sessions.user_ids[place],
            "earlier": max(0, len(sessions.histories[place]) - REMEMBERED),
            "history": [titles[item] for item in sessions.histories[place][-REMEMBERED:]],
            "next": titles[sessions.targets[place]],
            "results": _rows(results, [sessions.targets[place]]),
        }
        for place, results in zip(chosen, found, strict=True)
    ]


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
