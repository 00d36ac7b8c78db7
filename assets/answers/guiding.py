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
    """Choose what the generator's beam is guided by, and how strongly; ask it."""
    names = guiding(task, parts, params)
    mixture = Mixture(params.fusions[0], {})
    if names:
        mixture = choose(
            {name: lists[name] for name in names},
            relevant,
            fusions=params.fusions,
            weights=params.weights,
            depth=params.depth,
            ties=parts.catalogue.by_popularity,
        ).mixture
    tried = params.recommendation_guide_weights
    if task == "search":
        tried = params.search_guide_weights if names else params.search_node_guide_weights
    few = slice(params.guide_questions)

    def with_weight(weight: float) -> Parts:
        guides = {**parts.settings.guides, task: BeamGuide(mixture, weight)}
        return replace(parts, settings=replace(parts.settings, guides=guides))

    def worth(weight: float) -> float:
        found, _ = with_weight(weight).ask(asked[few], ["retriever"], 0)
        return float(worth_of(found["retriever"], relevant[few]).mean())

    best = max(tried, key=worth) if len(tried) > 1 else tried[0]
    guided = with_weight(best)
    found, _ = guided.ask(asked, ["retriever"], 0)
    return guided, found["retriever"]
