"""Recommendation on the test split: the last item of each user from all before it."""

from __future__ import annotations

from collections.abc import Sequence

from assets.evaluation import Rows
from assets.interactions.artifact import Interactions, Sessions
from assets.metrics import baselines
from assets.metrics.catalogue import Catalogue
from assets.metrics.generated import Generated, generate
from assets.metrics.params import MetricsParams
from assets.metrics.questions import Answers, Questions, sample
from assets.retriever.artifact import Retriever
from assets.semantic_ids.artifact import SemanticIds


def recommendation_questions(
    sessions: Sessions, catalogue: Catalogue, params: MetricsParams
) -> tuple[Questions, list[list[str]]]:
    """Turn test sessions into questions, at most `max_users`, and return their histories too."""
    kept = sample(sessions.user_ids, params.max_users, params.seed)
    questions = Questions.of(
        "recommendation",
        [sessions.user_ids[place] for place in kept],
        [[sessions.targets[place]] for place in kept],
        catalogue,
    )
    return questions, [sessions.histories[place] for place in kept]


def answer_recommendation(
    questions: Questions,
    histories: Sequence[list[str]],
    data: Interactions,
    catalogue: Catalogue,
    retriever: Retriever,
    ids: SemanticIds,
    params: MetricsParams,
) -> tuple[list[Answers], Generated]:
    """Ask the retriever, item KNN and popularity; none shows what is in the history."""
    seen: list[Rows] = catalogue.row_lists(histories)
    generated = generate(
        retriever,
        ids,
        catalogue,
        questions,
        lambda chunk: retriever.recommend_beams(histories[chunk]),
        batch=params.batch_size,
        depth=params.depth,
        excluded=seen,
    )
    rankings = {
        "item_knn": baselines.item_knn(catalogue, data, seen, params),
        "popularity": baselines.popularity(catalogue, len(seen), params.depth, seen),
    }
    others = [Answers.untied(name, ranked, questions) for name, ranked in rankings.items()]
    return [generated.answers, *others], generated
