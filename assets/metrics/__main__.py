"""The test split, at last: both tasks, every method on the same questions.

Run it with ``python -m assets.metrics``.
"""

from __future__ import annotations

from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq

from assets.answers.artifact import Answers
from assets.interactions.artifact import Interactions
from assets.metrics.answering import ReleasedTable, ask
from assets.metrics.figures import draw_groups, draw_methods
from assets.metrics.named import found_by_name, named_questions
from assets.metrics.params import MetricsParams
from assets.metrics.questions import Questions
from assets.metrics.summary import TABLES, measure, per_question
from assets.stage import Run, run_stage
from assets.synthetic_queries.artifact import SyntheticQueries

FIGURES = {"table": draw_methods, "slices": draw_groups, "kinds": draw_groups}


def main(run: Run[MetricsParams]) -> None:
    """Measure search, then recommendation, on the test split."""
    params = run.params
    data = Interactions.load(run.input("interactions"))
    answers = Answers.load(run.input("answers").parent)
    tasks = SyntheticQueries.load(run.input("synthetic_queries")).tasks("test")
    sessions = data.sessions(
        "test", repeats="allow" if answers.parts.settings.repeats else "exclude"
    )
    report: dict[str, Any] = {
        "items": len(answers.parts.catalogue.item_ids),
        "skipped": [],
        "recommendation.repeats": sessions.repeats,
    }
    report |= {name: [] for name in TABLES}
    asked: list[Questions] = []
    if tasks.queries:
        asked.append(Questions.of_search(tasks, answers.parts, params))
    else:
        report["skipped"].append("search: there is no query in the test split")
    if sessions.user_ids and "recommendation" in answers.tasks:
        asked.append(Questions.of_sessions(sessions, answers.parts, params))
    else:
        report["skipped"].append("recommendation: no user has an interaction in the test split")

    table = ReleasedTable(run.input("semantic_ids"))
    values: list[pa.Table] = []
    for questions in asked:
        methods, generated = ask(answers, questions, table, params.depth)
        measure(report, questions, methods, generated, params)
        values.append(per_question(questions, methods))
    named = named_questions(data, answers.parts, params.named_items)
    if named:
        report |= found_by_name(ask(answers, named, table, params.depth)[0])
        run.say(
            f"the {report['named.items']:,} most popular items, asked for by their titles: "
            f"{report['named.found@10']:.1%} among the first ten, {report['named.first']:.1%} first"
        )
    else:
        report["skipped"].append("finding by name: no item with a title has a train interaction")

    for line in report["skipped"]:
        run.say(f"skipped {line}")
    for name, draw in FIGURES.items():
        if report[name]:
            draw(report[name], run.folder / f"{name}.png")
    if values:
        pq.write_table(pa.concat_tables(values), run.folder / "per_query.parquet")
    run.report(report)


if __name__ == "__main__":
    run_stage("metrics", MetricsParams, main)
