"""The numbers of the report, flat and as rows of its tables."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from assets.answers.artifact import GENERATED
from assets.evaluation import Floats, Interval, bootstrap, ndcg, recall, reciprocal_rank
from assets.interactions.catalogue import SLICES
from assets.metrics.answering import WHOLE, Generated
from assets.metrics.params import MetricsParams
from assets.metrics.questions import Answered, Questions
from assets.stage import progress

Row = dict[str, Any]
TABLES = ("table", "differences", "slices", "kinds")


def measure(
    report: dict[str, Any],
    questions: Questions,
    methods: Sequence[Answered],
    generated: Generated | None,
    params: MetricsParams,
) -> None:
    """Measure every method on one task and add what comes out to the report.

    Flat numbers are called ``<task>.<method>.<measure>``; rows go to the lists `table`,
    `differences`, `slices` and `kinds`.

    Args:
        report: It knows the number of `items` and has the lists.
        questions: What was asked.
        methods: What every method answers, the whole first.
        generated: What the generator's SIDs are worth.
        params: Cut-offs and settings of the bootstrap.
    """
    task = questions.task
    report[f"{task}.questions"] = len(questions.ids)
    at_10 = {m.method: recall(m.gains, questions.answers, 10) for m in methods}
    for answers in progress(methods, f"intervals ({task})"):
        name, values = answers.method, at_10[answers.method]
        measured = _measures(answers, questions, params)
        interval = _interval(values, params, questions.groups)
        measured |= {
            "recall@10.low": interval.low,
            "recall@10.high": interval.high,
            "coverage@10": coverage(answers.ranked[:, :10], report["items"]),
        }
        report["table"].append(_table_row(task, name, measured, params))
        for table, groups in _groups(questions).items():
            for group, members in groups.items():
                if members.any():
                    measured[f"recall@10.{group}"] = float(values[members].mean())
                    row = _group_row(questions, name, group, values, members, params)
                    report[table].append(row)
        report |= {f"{task}.{name}.{measure}": value for measure, value in measured.items()}

    # The whole beside each part, then what is generated beside each ranker.
    generated_ones = [name for name in GENERATED if name in at_10]
    rankers = [name for name in at_10 if name != WHOLE and name not in generated_ones]
    beside = {WHOLE: [*generated_ones, *rankers], **dict.fromkeys(generated_ones, rankers)}
    for name, others in beside.items():
        for other in others:
            gap = _interval(at_10[name] - at_10[other], params, questions.groups)
            report[f"{task}.{name}.recall@10.minus_{other}"] = gap.mean
            report["differences"].append(
                {"task": task, "method": name, "baseline": other, "difference": gap.mean}
                | {"low": gap.low, "high": gap.high}
            )
        if "dense" in at_10 and at_10["dense"].any():
            ratio = at_10[name].mean() / at_10["dense"].mean()
            report[f"{task}.{name}.recall@10.ratio_to_dense"] = float(ratio)
    if generated is None:
        return
    for k in params.cut_offs:
        values = recall(generated.gains, generated.answers, k)
        report[f"{task}.retriever.sid_recall@{k}"] = float(values.mean())
        values = ndcg(generated.gains, generated.answers, k)
        report[f"{task}.retriever.sid_ndcg@{k}"] = float(values.mean())
    report[f"{task}.retriever.sid_mrr"] = float(reciprocal_rank(generated.gains).mean())
    report[f"{task}.retriever.valid_ids"] = generated.valid


def coverage(ranked: NDArray[np.integer[Any]], n_items: int) -> float:
    """Return the share of the catalogue that somebody is shown."""
    return len(np.unique(ranked[ranked >= 0])) / n_items


def per_question(questions: Questions, methods: Sequence[Answered]) -> pa.Table:
    """Return every method's worth per question, for comparing releases and for later analysis.

    Columns: task, question (see ``Questions.ids``), item (item_id of the first right answer), kind,
    slice, method, recall@10, ndcg@10, mrr. It names no user.
    """
    size = len(questions.ids)
    slices = [SLICES[place] for place in questions.slices]
    tables = []
    for answers in methods:
        values = {
            "recall@10": recall(answers.gains, questions.answers, 10),
            "ndcg@10": ndcg(answers.gains, questions.answers, 10),
            "mrr": reciprocal_rank(answers.first),
        }
        columns = {
            "task": pa.array([questions.task] * size, pa.string()),
            "question": pa.array(questions.ids, pa.string()),
            "item": pa.array(questions.items, pa.string()),
            "kind": pa.array(questions.kinds or pa.nulls(size), pa.string()),
            "slice": pa.array(slices, pa.string()),
            "method": pa.array([answers.method] * size, pa.string()),
        }
        floats = {name: pa.array(row, pa.float32()) for name, row in values.items()}
        tables.append(pa.table(columns | floats))
    return pa.concat_tables(tables)


def _measures(answers: Answered, questions: Questions, params: MetricsParams) -> dict[str, float]:
    found = {}
    for k in params.cut_offs:
        found[f"recall@{k}"] = float(recall(answers.gains, questions.answers, k).mean())
        found[f"ndcg@{k}"] = float(ndcg(answers.gains, questions.answers, k).mean())
    found["mrr"] = float(reciprocal_rank(answers.first).mean())
    return found


def _groups(questions: Questions) -> dict[str, dict[str, NDArray[np.bool_]]]:
    """Return the questions of each slice, and of each kind of query."""
    kinds = np.array(questions.kinds or [], dtype=object)
    return {
        "slices": {name: questions.slices == place for place, name in enumerate(SLICES)},
        "kinds": {kind: kinds == kind for kind in sorted(set(kinds))},
    }


def _table_row(task: str, method: str, measured: Mapping[str, float], params: MetricsParams) -> Row:
    row: Row = {"task": task, "method": method}
    row |= {f"recall@{k}": measured[f"recall@{k}"] for k in params.cut_offs}
    row |= {name: measured[name] for name in ("ndcg@10", "mrr")}
    return row | {"low": measured["recall@10.low"], "high": measured["recall@10.high"]}


def _group_row(
    questions: Questions,
    method: str,
    group: str,
    values: Floats,
    members: NDArray[np.bool_],
    params: MetricsParams,
) -> Row:
    about = questions.groups
    units = [about[place] for place in np.flatnonzero(members)] if about else None
    interval = _interval(values[members], params, units)
    row: Row = {"task": questions.task, "method": method, "group": group}
    row |= {"questions": int(members.sum()), "recall@10": interval.mean}
    return row | {"low": interval.low, "high": interval.high}


def _interval(values: Floats, params: MetricsParams, groups: list[str] | None) -> Interval:
    return bootstrap(
        values,
        seed=params.seed,
        samples=params.bootstrap_samples,
        level=params.interval_level,
        groups=groups,
    )
