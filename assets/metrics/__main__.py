"""The test split, at last: both tasks, every method on the same questions.

Run it with ``python -m assets.metrics``.
"""

from __future__ import annotations

from typing import Any

import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq

from assets.bi_encoder.artifact import BiEncoder
from assets.embeddings.artifact import Embeddings
from assets.interactions.artifact import Interactions
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


def main(run: Run[MetricsParams]) -> None:
    """Measure search, then recommendation, on the test split."""
    data = Interactions.load(run.input("interactions"))
    catalogue = Catalogue.of(data)
    retriever = Retriever.load(run.input("retriever").parent)
    ids = SemanticIds.load(run.input("semantic_ids"))
    report: dict[str, Any] = {"items": len(catalogue.item_ids), "skipped": []}
    report |= {name: [] for name in TABLES}
    values = []

    tasks = SyntheticQueries.load(run.input("synthetic_queries")).tasks("test")
    if tasks.queries:
        questions = search_questions(tasks, catalogue, run.params)
        encoder = BiEncoder.load(run.input("bi_encoder"), run.machine.torch_device())
        embeddings = Embeddings.load(run.input("embeddings"))
        methods, generated = answer_search(
            questions, catalogue, retriever, ids, encoder, embeddings, run.params
        )
        _add(report, measure(questions, methods, generated, len(catalogue.item_ids), run.params))
        values.append(per_question(questions, methods))
    else:
        report["skipped"].append("search: there is no query in the test split")

    sessions = data.sessions("test")
    report["recommendation.repeats"] = sessions.repeats
    if sessions.user_ids:
        questions, histories = recommendation_questions(sessions, catalogue, run.params)
        methods, generated = answer_recommendation(
            questions, histories, data, catalogue, retriever, ids, run.params
        )
        _add(report, measure(questions, methods, generated, len(catalogue.item_ids), run.params))
        values.append(per_question(questions, methods))
    else:
        report["skipped"].append("recommendation: no user has an interaction in the test split")

    for line in report["skipped"]:
        run.say(f"skipped {line}")
    for table, draw in (("table", draw_methods), ("slices", draw_groups), ("kinds", draw_groups)):
        if report[table]:
            draw(report[table], run.folder / f"{table.replace('table', 'methods')}.png")
    if values:
        rows = pa.Table.from_pandas(pd.concat(values, ignore_index=True), preserve_index=False)
        pq.write_table(rows.replace_schema_metadata(None), run.folder / "per_query.parquet")
    run.report(report)


def _add(report: dict[str, Any], numbers: dict[str, Any]) -> None:
    for name, value in numbers.items():
        report[name] = report[name] + value if name in TABLES else value


if __name__ == "__main__":
    run_stage("metrics", MetricsParams, main)
