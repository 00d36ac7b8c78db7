"""The test split, at last: both tasks, every method on the same questions.

Run it with ``python -m assets.metrics``.
"""

from __future__ import annotations

from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq

from assets.bi_encoder.artifact import BiEncoder
from assets.embeddings.artifact import Embeddings
from assets.interactions.artifact import Interactions
from assets.machine import Machine
from assets.metrics.catalogue import Catalogue
from assets.metrics.figures import draw_groups, draw_methods
from assets.metrics.params import MetricsParams
from assets.metrics.recommendation import answer_recommendation, recommendation_questions
from assets.metrics.search import answer_search, search_questions
from assets.metrics.summary import TABLES, measure, per_question
from assets.retriever.artifact import Retriever
from assets.semantic_ids.artifact import SemanticIds
from assets.stage import Run, run_stage
from assets.synthetic_queries.artifact import SyntheticQueries

FIGURES = {"table": draw_methods, "slices": draw_groups, "kinds": draw_groups}


def main(run: Run[MetricsParams]) -> None:
    """Measure search, then recommendation, on the test split."""
    data = Interactions.load(run.input("interactions"))
    catalogue = Catalogue.of(data)
    retriever = Retriever.load(run.input("retriever").parent)
    ids = SemanticIds.load(run.input("semantic_ids"))
    report: dict[str, Any] = {"items": len(catalogue.item_ids), "skipped": []}
    report |= {name: [] for name in TABLES}
    values: list[pa.Table] = []

    tasks = SyntheticQueries.load(run.input("synthetic_queries")).tasks("test")
    if not tasks.queries:
        report["skipped"].append("search: there is no query in the test split")
    elif "search" not in retriever.tasks:
        report["skipped"].append("search: the retriever had no queries to learn it from")
    else:
        questions = search_questions(tasks, catalogue, run.params)
        encoder = BiEncoder.load(run.input("bi_encoder"), Machine.here().torch_device())
        vectors = Embeddings.load(run.input("embeddings"))
        methods, generated = answer_search(
            questions, catalogue, retriever, ids, encoder, vectors, run.params
        )
        measure(report, questions, methods, generated, run.params)
        values.append(per_question(questions, methods))

    sessions = data.sessions("test")
    report["recommendation.repeats"] = sessions.repeats
    if not sessions.user_ids:
        report["skipped"].append("recommendation: no user has an interaction in the test split")
    elif "recommend" not in retriever.tasks:
        report["skipped"].append("recommendation: the retriever had nothing to learn it from")
    else:
        questions, past = recommendation_questions(sessions, catalogue, run.params)
        methods, generated = answer_recommendation(
            questions, past, data, catalogue, retriever, ids, run.params
        )
        measure(report, questions, methods, generated, run.params)
        values.append(per_question(questions, methods))

    for line in report["skipped"]:
        run.say(f"skipped {line}")
    for table, draw in FIGURES.items():
        if report[table]:
            draw(report[table], run.folder / f"{table}.png")
    if values:
        pq.write_table(pa.concat_tables(values), run.folder / "per_query.parquet")
    run.report(report)


if __name__ == "__main__":
    run_stage("metrics", MetricsParams, main)
