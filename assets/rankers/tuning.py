"""Settings chosen on validation: one value after another, for as long as that helps."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any, Generic, TypeVar

import numpy as np

from assets.evaluation import gains_of, ndcg, recall
from assets.rankers.log import UnfitError
from assets.ranking import Histories, Queries, Ranker, Rows

CUT = 10
ROUNDS = 3  # of the coordinate search, at most; it ends when a round changes nothing

R = TypeVar("R")
A = TypeVar("A", Queries, Histories)
Worth = tuple[float, float]  # recall@CUT, NDCG@CUT


@dataclass(frozen=True)
class Tuned(Generic[R]):
    """A ranker with the settings that were best.

    Attributes:
        ranker: It.
        settings: What it was made with.
        worth: Recall@10 and NDCG@10 on validation; None where nothing was asked.
        passed_over: How many settings it could not be fitted with ...
        why: ... and what was said of the last.
    """

    ranker: R
    settings: Mapping[str, Any]
    worth: Worth | None
    passed_over: int = 0
    why: str = ""


def tune(
    make: Callable[..., R], tried: Mapping[str, Sequence[Any]], exam: Callable[[R], Worth] | None
) -> Tuned[R]:
    """Search for settings, one at a time, from the first of each.

    Better is a higher recall@10, at equal recall a higher NDCG@10, at equal both the earlier value.

    Args:
        make: Makes a ranker of settings, by name.
        tried: By setting, the values that are tried.
        exam: What decides; None: the first values stand.

    Raises:
        UnfitError: It cannot be fitted with the first values; with others it is passed over.
    """
    settings = {name: values[0] for name, values in tried.items()}
    best = Tuned(make(**settings), settings, None)
    if exam is None:
        return best
    best = Tuned(best.ranker, settings, exam(best.ranker))
    done, refusals = [settings], [""]
    for _ in range(ROUNDS):
        before = best
        for name, values in tried.items():
            for value in values:
                settings = {**best.settings, name: value}
                if settings in done:
                    continue
                done.append(settings)
                try:
                    ranker = make(**settings)
                except UnfitError as error:
                    refusals.append(str(error))
                    continue
                worth = exam(ranker)
                if best.worth is None or worth > best.worth:
                    best = Tuned(ranker, settings, worth)
        if best is before:
            break
    return replace(best, passed_over=len(refusals) - 1, why=refusals[-1])


def exam_of(asked: A, relevant: Sequence[Rows]) -> Callable[[Ranker[A]], Worth] | None:
    """Return what some questions say of rankers; None where there is no question.

    Args:
        asked: The questions.
        relevant: For each the rows of its right answers.
    """
    if not relevant:
        return None
    counts = np.fromiter(map(len, relevant), np.int64, len(relevant))

    def exam(ranker: Ranker[A]) -> Worth:
        gains = gains_of(ranker.rank(asked, CUT).rows, relevant)
        return float(recall(gains, counts, CUT).mean()), float(ndcg(gains, counts, CUT).mean())

    return exam
