"""Decide who answers, on validation: ``python -m assets.answers``."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from functools import partial
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq

from assets.answers.artifact import GENERATED, HISTORIES, Answers, Parts
from assets.answers.choosing import CUT, Choice, choose, compared
from assets.answers.fusion import Mixture
from assets.answers.guiding import guided, guided_unasked, guiding
from assets.answers.params import AnswersParams
from assets.answers.questions import questions
from assets.answers.settings import Settings
from assets.interactions.artifact import Interactions
from assets.machine import Machine
from assets.ranking import Ranked, Rows, Task
from assets.stage import Run, UserError, run_stage
from assets.synthetic_queries.artifact import SyntheticQueries


def main(run: Run[AnswersParams]) -> None:
    """Ask every part what validation asks, and join those that gain by it."""
    params = run.params
    data = Interactions.load(run.input("interactions"))
    queries = SyntheticQueries.load(run.input("synthetic_queries"))
    settings = Settings(params.beams, params.depth, params.repeats == "allow", {})
    root = run.input("retriever").parent
    parts = Parts.load(root, settings, Machine.here().torch_device())

    allowed: dict[Task, list[str]] = {
        "search": [*params.search],
        "recommendation": [*params.recommendation],
    }
    mixtures: dict[Task, Mixture] = {}
    choices: dict[Task, Choice] = {}
    generated: dict[Task, tuple[float, float]] = {}
    sentences: list[str] = []
    for task in parts.tasks:
        names = [name for name in allowed[task] if name in parts.names(task)]
        if not parts.catalogue.popularity.any():  # it would tell nobody apart
            names = [name for name in names if name != "popularity"] or names
        if not names:
            raise UserError(
                f"params.yaml: nobody in `answers.{task}` ({', '.join(allowed[task])}) can do it "
                f"here; there are {', '.join(parts.names(task))}."
            )
        asked, relevant, made = questions(task, parts, data, queries, params)
        if not relevant:
            parts = guided_unasked(task, parts, params)
            mixtures[task] = Mixture(params.fusions[0], {names[0]: 1.0})
            sentences.append(f"{task}: validation asks nothing, so {names[0]} answers alone")
            run.say(sentences[-1])
            continue
        others = [name for name in names if name != "retriever"]
        ties = parts.catalogue.by_popularity
        lists, _ = parts.ask(asked, dict.fromkeys([*others, *guiding(task, parts, params)]), 0)
        if "retriever" in parts.names(task):  # it can be asked alone even where it may not answer
            parts, found = guided(task, parts, asked, relevant, lists, params)
            lists = {"retriever": found, **lists}
        decide = partial(_decide, relevant=relevant, ties=ties, params=params, made=made)
        choices[task] = decide({name: lists[name] for name in names})
        mixtures[task] = choices[task].mixture
        rest = {name: lists[name] for name in names if name not in GENERATED}
        if rest and set(GENERATED) & set(mixtures[task].weights):
            without = decide(rest).mixture
            generated[task] = compared(
                mixtures[task], without, lists, relevant, depth=params.depth, ties=ties
            )
        sentences.append(_sentence(task, choices[task], generated.get(task)))
        run.say(sentences[-1])

    Answers(parts, mixtures, run.folder).save(run.folder)
    if params.user_histories and "recommendation" in mixtures:
        _keep_histories(data, run)
    run.report({"sentences": sentences, **_report(choices, generated)})


def _decide(
    lists: Mapping[str, Ranked],
    relevant: Sequence[Rows],
    ties: Rows,
    params: AnswersParams,
    *,
    made: bool,
) -> Choice:
    """Choose a mixture; where made queries alone decide, some parts get what they may cost."""
    allowances: dict[str, float] = {}
    if made:
        asked = params.allowances.items()
        allowances = {name: share for name, share in asked if share and name in lists}
    return choose(
        lists,
        relevant,
        fusions=params.fusions,
        weights=params.weights,
        depth=params.depth,
        ties=ties,
        allowances=allowances,
    )


def _keep_histories(data: Interactions, run: Run[AnswersParams]) -> None:
    lists = data.histories()
    table = {
        "user_id": pa.array(lists.index, pa.string()),
        "item_ids": pa.array(lists.tolist(), pa.list_(pa.string())),
    }
    pq.write_table(pa.table(table), run.folder / HISTORIES)


def _sentence(task: Task, choice: Choice, generated: tuple[float, float] | None) -> str:
    """Say who answers, and what that is worth."""
    weights = choice.mixture.weights
    if len(weights) == 1:
        said = f"{choice.mixture.heaviest} answers alone"
    else:
        heavy_first = sorted(weights.items(), key=lambda pair: -pair[1])
        joined = " + ".join(f"{weight:.0%} {name}" for name, weight in heavy_first)
        said = f"{joined} ({choice.mixture.fusion.replace('_', ' ')})"
    idle = [name for name in choice.parts if name not in weights]
    ends = f"; {' and '.join(idle)} would add nothing beyond noise" if idle else ""
    if choice.given:
        many = len(choice.given) > 1
        ends += (
            f"; {' and '.join(choice.given)} {'cost' if many else 'costs'} {choice.cost:.3f} and "
            f"{'stand' if many else 'stands'} there because these queries were made, of the "
            "documents' own words and of every item alike (`answers.allowances`)"
        )
    return (
        f"{task}: {said}, recall@{CUT} {choice.recall:.3f} and NDCG@{CUT} {choice.ndcg:.3f} on "
        f"validation, their mean {choice.gain:+.3f} (standard error {choice.error:.3f}) over the "
        f"best part{ends}; {_said_of_generator(generated)}"
    )


def _said_of_generator(generated: tuple[float, float] | None) -> str:
    """Say what the generator, its beam and its item head together, is good for."""
    if generated is None:
        return "the generator has no part in it, or nobody stands beside it"
    adds, error = generated
    noise = "" if adds > 2 * error else ", no more than noise might"
    return (
        f"the generator adds {adds:+.3f} (standard error {error:.3f}{noise}) to the best mixture "
        "of the others"
    )


def _report(
    choices: dict[Task, Choice], generated: dict[Task, tuple[float, float]]
) -> dict[str, Any]:
    report: dict[str, Any] = {"parts": []}
    for task, choice in choices.items():
        report[f"{task}.recall@{CUT}"] = choice.recall
        report[f"{task}.ndcg@{CUT}"] = choice.ndcg
        report[f"{task}.gain"] = choice.gain
        report[f"{task}.gain_error"] = choice.error
        report[f"{task}.fusion"] = choice.mixture.fusion
        adds, error = generated.get(task, (None, None))
        report |= {f"{task}.generator_adds": adds, f"{task}.generator_adds_error": error}
        report["parts"] += [
            {
                "task": task,
                "part": name,
                "weight": choice.mixture.weights.get(name, 0.0),
                f"recall@{CUT}": alone,
                "lost_without": choice.without.get(name),
            }
            for name, alone in choice.parts.items()
        ]
    return report


if __name__ == "__main__":
    run_stage("answers", AnswersParams, main)
