"""What the generator's beam is guided by, and how strongly: chosen on validation."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

from assets.answers.choosing import choose, worth_of
from assets.answers.fusion import Mixture
from assets.answers.params import AnswersParams
from assets.answers.parts import Parts
from assets.answers.settings import BeamGuide
from assets.ranking import Histories, Queries, Ranked, Rows, Task


def guiding(task: Task, parts: Parts, params: AnswersParams) -> list[str]:
    """Return the parts that may guide the generator's beam."""
    search = task == "search"
    wanted: Sequence[str] = params.search_guide if search else params.recommendation_guide
    there = parts.names(task)
    return [name for name in wanted if name in there and name != "retriever"]


def guided(
    task: Task,
    parts: Parts,
    asked: Queries | Histories,
    relevant: list[Rows],
    lists: dict[str, Ranked],
    params: AnswersParams,
) -> tuple[Parts, Ranked]:
    """Choose what the generator's beam is guided by, and how strongly; ask it.

    A guide's scores are z-scores, whoever guides, so that a weight means the same of all.

    Returns:
        The parts, whose beam is guided so, and its ranking of the questions.
    """
    names = guiding(task, parts, params)
    mixture = Mixture("z_score", {})
    if names:
        mixture = choose(
            {name: lists[name] for name in names},
            relevant,
            fusions=["z_score"],
            weights=params.weights,
            depth=params.depth,
            ties=parts.catalogue.by_popularity,
        ).mixture
    tried = _tried(task, names, params)
    few = slice(params.guide_questions)

    def worth(weight: float) -> float:
        found, _ = _with(parts, task, mixture, weight).ask(asked[few], ["retriever"], 0)
        return float(worth_of(found["retriever"], relevant[few]).mean())

    best = max(tried, key=worth) if len(tried) > 1 else tried[0]
    chosen = _with(parts, task, mixture, best)
    found, _ = chosen.ask(asked, ["retriever"], 0)
    return chosen, found["retriever"]


def guided_unasked(task: Task, parts: Parts, params: AnswersParams) -> Parts:
    """Guide the generator's beam where validation asks nothing.

    All that may guide do so with equal weights, as strongly as the middle one of those that would
    have been tried.
    """
    names = guiding(task, parts, params)
    tried = sorted(_tried(task, names, params))
    mixture = Mixture("z_score", dict.fromkeys(names, 1.0))
    return _with(parts, task, mixture, tried[len(tried) // 2])


def _tried(task: Task, names: Sequence[str], params: AnswersParams) -> list[float]:
    if task == "recommendation":
        return params.recommendation_guide_weights
    return params.search_guide_weights if names else params.search_node_guide_weights


def _with(parts: Parts, task: Task, mixture: Mixture, weight: float) -> Parts:
    guides = {**parts.settings.guides, task: BeamGuide(mixture, weight)}
    return replace(parts, settings=replace(parts.settings, guides=guides))
