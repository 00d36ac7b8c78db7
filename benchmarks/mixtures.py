"""How weights should be chosen, judged where they were not. Run: python benchmarks/mixtures.py.

Run it where a run has finished. The validation sessions are cut into halves at random: weights of
the parts of a recommendation are chosen on one and judged on the other, both ways round, the same
halves for every way of choosing. What is judged is what the stage `answers` goes by, the mean of
recall@10 and NDCG@10; no split but validation is looked at.
"""

from __future__ import annotations

import argparse
import os

os.environ |= {"OMP_NUM_THREADS": "1", "OPENBLAS_NUM_THREADS": "1"}

from collections import defaultdict
from functools import cache

import numpy as np
from rich.console import Console
from rich.table import Table

from assets.answers.artifact import Answers
from assets.answers.choosing import CUT, climb, followed, held_back, worth_of
from assets.answers.fusion import Mixture, Pool
from assets.answers.params import AnswersParams
from assets.answers.questions import questions
from assets.evaluation import Floats
from assets.interactions.artifact import Interactions
from assets.ranking import Rows
from assets.stage import DATA, load_params
from assets.synthetic_queries.artifact import SyntheticQueries

Weights = tuple[tuple[str, float], ...]


def ways(
    worths: dict[str, Floats],
    pool: Pool,
    relevant: list[Rows],
    ties: Rows,
    half: Rows,
    weights: list[float],
) -> dict[str, Mixture]:
    """Choose on a half of the questions, in every way."""

    @cache
    def whole(mixture: Weights) -> Floats:
        return worth_of(pool.rank(Mixture("z_score", dict(mixture)), CUT, ties), relevant)

    def worth(mixture: Mixture) -> Floats:
        return whole(tuple(sorted(mixture.weights.items())))[half]

    alone = {part: values[half] for part, values in worths.items()}
    best = Mixture("z_score", {max(alone, key=lambda part: alone[part].mean()): 1.0})
    equal = Mixture("z_score", dict.fromkeys(worths, 1.0))
    ends = followed("z_score", alone, weights, worth)
    return {
        "the best part alone": best,
        "equal weights": equal,
        "every gain followed, from the best part": climb(best, [*worths], weights, worth),
        "every gain followed, from equal weights": climb(equal, [*worths], weights, worth),
        "what parts are worth alone": Mixture("z_score", {p: w.mean() for p, w in alone.items()}),
        "the mean of both ends": ends,
        "the same, held back": held_back(ends, alone),
    }


def main() -> None:
    """Print a line for each way."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--splits", type=int, default=2, help="in halves, each used both ways")
    parser.add_argument("--sessions", type=int, default=1000, help="most of validation")
    options = parser.parse_args()
    if not (DATA / "answers" / "manifest.json").is_file():
        print("nobody answers here: `sidmill run` first.")
        return
    params = load_params("answers", AnswersParams).model_copy(
        update={"questions": options.sessions}
    )
    answers = Answers.load(DATA, device="cpu")
    parts, ties = answers.parts, answers.parts.catalogue.by_popularity
    data = Interactions.load(DATA / "interactions")
    queries = SyntheticQueries.load(DATA / "synthetic_queries")
    asked, relevant, _ = questions("recommendation", parts, data, queries, params)
    names = [name for name in params.recommendation if name in parts.names("recommendation")]
    lists, _ = parts.ask(asked, names, 0)
    worths = {name: worth_of(ranked, relevant) for name, ranked in lists.items()}
    pool = Pool.of(lists, "z_score", params.depth, len(ties))

    draw, judged, sizes = np.random.default_rng(0), defaultdict(list), defaultdict(list)
    for _ in range(options.splits):
        order = draw.permutation(len(relevant))
        for chosen, others in ((order[::2], order[1::2]), (order[1::2], order[::2])):
            found = ways(worths, pool, relevant, ties, chosen, params.weights)
            for way, mixture in found.items():
                ranked = pool.rank(mixture, CUT, ties)
                judged[way].append(float(worth_of(ranked, relevant)[others].mean()))
                sizes[way].append(len(mixture.weights))
    table = Table(title=f"{len(relevant)} sessions, {2 * options.splits} halves to choose on")
    for column in ("weights", "worth on the other half", "over the best part", "parts"):
        table.add_column(column, justify="left" if column == "weights" else "right")
    alone = judged["the best part alone"]
    for way, values in judged.items():
        gain = np.subtract(values, alone).mean()
        size = np.mean(sizes[way])
        table.add_row(way, f"{np.mean(values):.4f}", f"{gain:+.4f}", f"{size:.1f}")
    Console(width=110).print(table)


if __name__ == "__main__":
    main()
