"""What validation asks, of which mixtures are chosen."""

from __future__ import annotations

from assets.answers.params import AnswersParams
from assets.answers.parts import Parts
from assets.evaluation import choose_by_hash
from assets.interactions.artifact import Interactions
from assets.ranking import Histories, Queries, Rows, Task
from assets.stage import CACHE
from assets.synthetic_queries.artifact import SyntheticQueries


def questions(
    task: Task, parts: Parts, data: Interactions, queries: SyntheticQueries, params: AnswersParams
) -> tuple[Queries | Histories, list[Rows], bool]:
    """Return what validation asks of a task, the rows of the right answers, and who asks.

    That is whether the questions are made queries: enough real ones are asked alone.
    """
    if task == "search":
        tasks = queries.tasks("validation")
        real = [place for place, kind in enumerate(tasks.kinds) if kind == "real"]
        made = len(real) < params.least_real_queries
        every = range(len(tasks.queries)) if made else real
        typed = [tasks.queries[place] for place in every]
        kept = [every[place] for place in choose_by_hash(typed, params.questions, params.seed)]
        asked = parts.encode([tasks.queries[place] for place in kept], CACHE)
        right = [tasks.targets[place] for place in kept]
        return asked, parts.catalogue.row_lists(right), made
    sessions = data.sessions("validation", repeats=params.repeats)
    kept = choose_by_hash(sessions.user_ids, params.questions, params.seed)
    histories = parts.catalogue.row_lists([sessions.histories[place] for place in kept])
    targets = parts.catalogue.row_lists([sessions.targets[place] for place in kept])
    return parts.histories(histories), targets, False
