"""Who answers, decided on validation: coordinate search, steadied where questions are few.

What a ranking is worth to a question is the mean of its recall@10 and its NDCG@10: by recall alone
a mixture may push the right answer from the first place to the ninth for nothing.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import cache

import numpy as np

from assets.answers.fusion import Fusion, Mixture, Pool
from assets.evaluation import Floats, gains_of, ndcg, recall
from assets.ranking import Ranked, Rows

CUT = 10
UNREAD = 0.5  # most weight of what does not read the question, as a share of the heaviest
PRIOR = 600  # questions that say as much of a weight as what its part is worth alone
LEAST = 0.01  # smaller shares are not worth asking for


@dataclass(frozen=True)
class Choice:
    """What validation says.

    Attributes:
        mixture: Who answers.
        parts: Recall@10 of each part alone.
        recall: Recall@10 of the mixture.
        ndcg: NDCG@10 of the mixture.
        gain: How much more than the best part the mixture is worth ...
        error: ... and the standard error of the difference, from paired questions.
        without: By part with weight, how much less the others are worth without it.
        given: The parts that stand there for another reason than validation; see :func:`raised`.
        cost: How much less than without that reason the mixture is worth.
    """

    mixture: Mixture
    parts: Mapping[str, float]
    recall: float
    ndcg: float
    gain: float
    error: float
    without: Mapping[str, float]
    given: Sequence[str] = ()
    cost: float = 0.0


def choose(
    lists: Mapping[str, Ranked],
    relevant: Sequence[Rows],
    *,
    fusions: Sequence[Fusion],
    weights: Sequence[float],
    depth: int,
    ties: Rows,
    allowances: Mapping[str, float] | None = None,
) -> Choice:
    """Choose a mixture, as shares of one.

    With few questions, whoever follows every gain ends with weights that are worth less to other
    questions than hardly looking at all, and with many questions the other way round
    (benchmarks/mixtures.py, docs/answers.md). So a share lies between what its part is worth alone
    and what the gains say, the nearer to these the more questions there are. Gains are followed
    from two ends, the best part alone and all with equal weights, and the mean of both is taken:
    either alone stops at a hill of its own. Where that does not beat the best part by more than one
    standard error, what the gains say stands alone, since what the parts are worth misleads where
    one is far above all others; and where that does not either, the best part answers alone.

    Where parts that validation wrongs are given weight, the others then stay only where the mixture
    would lose more than one standard error without them: beside what was given somebody may have a
    reason who has none alone.

    Args:
        lists: By part, each its ranking of the same questions.
        relevant: For each question the rows of its right answers.
        fusions: Ways to join that are tried.
        weights: Weights that are tried.
        depth: Ranks of each list that are joined.
        ties: (items,) rows in the order in which equals are shown.
        allowances: See :func:`raised`.
    """
    pools = {fusion: Pool.of(lists, fusion, depth, len(ties)) for fusion in fusions}

    @cache
    def known(fusion: Fusion, weights: tuple[tuple[str, float], ...]) -> Floats:
        return worth_of(pools[fusion].rank(Mixture(fusion, dict(weights)), CUT, ties), relevant)

    def worth(mixture: Mixture) -> Floats:
        return known(mixture.fusion, tuple(mixture.weights.items()))

    alone = {name: worth_of(ranked, relevant) for name, ranked in lists.items()}
    best_part = max(alone, key=lambda name: float(alone[name].mean()))
    ends = [followed(fusion, alone, weights, worth) for fusion in fusions]
    top, bold = (
        max(tried, key=lambda mixture: float(worth(mixture).mean()))
        for tried in ([held_back(mixture, alone) for mixture in ends], ends)
    )
    best = Mixture(fusions[0], {best_part: 1.0})
    for mixture in (top, bold):
        gap = worth(mixture) - alone[best_part]
        if gap.mean() > _error(gap):
            best = mixture
            break
    values = alone[best_part] if len(best.weights) == 1 else worth(best)
    allowances = allowances or {}
    others = [part for part in lists if part not in allowances]
    wide = raised(top, others, allowances, weights, worth)
    given = [part for part in allowances if wide.weights.get(part, 0) > best.weights.get(part, 0)]
    if given:
        best = _without_idle(wide, worth, given)
    if "popularity" in allowances:
        best = _bounded(best)
    best = _shares(best)
    told = _told(best, lists, pools[best.fusion], relevant, ties)
    cost = float((values - worth(best)).mean()) if given else 0.0
    return replace(told, given=given, cost=cost)


def followed(
    fusion: Fusion,
    alone: Mapping[str, Floats],
    weights: Sequence[float],
    worth: Callable[[Mixture], Floats],
) -> Mixture:
    """Return the mean of where every gain leads to, from the best part and from equal weights.

    Args:
        fusion: How the lists are joined.
        alone: By part, what it is worth to every question.
        weights: Weights that are tried.
        worth: Returns what a mixture is worth to every question.
    """
    best = max(alone, key=lambda part: float(alone[part].mean()))
    starts = ({best: 1.0}, dict.fromkeys(alone, 1.0))
    found = [_shares(climb(Mixture(fusion, start), [*alone], weights, worth)) for start in starts]
    shares = {part: sum(end.weights.get(part, 0.0) for end in found) / 2 for part in alone}
    return Mixture(fusion, {part: share for part, share in shares.items() if share})


def held_back(mixture: Mixture, alone: Mapping[str, Floats]) -> Mixture:
    """Draw shares to what the parts are worth alone, the more the fewer questions there are.

    Args:
        mixture: What the gains say.
        alone: By part, what it is worth to every question.
    """
    means = {part: float(values.mean()) for part, values in alone.items()}
    questions = len(next(iter(alone.values())))
    trust, total = questions / (PRIOR + questions), sum(means.values())
    shares = {
        part: trust * mixture.weights.get(part, 0.0)
        + (1 - trust) * (mean / total if total else 1 / len(means))
        for part, mean in means.items()
    }
    large = {part: share for part, share in shares.items() if share >= LEAST}
    return _shares(Mixture(mixture.fusion, large))


def raised(
    mixture: Mixture,
    others: Sequence[str],
    allowances: Mapping[str, float],
    weights: Sequence[float],
    worth: Callable[[Mixture], Floats],
) -> Mixture:
    """Give parts that validation wrongs as much weight as costs little there, one after the other.

    Queries made from documents share their words, so they flatter whoever matches words; people
    also ask for what a document means. And they ask for every item as often, while people mostly
    mean the known ones. What a part is given is no more than the heaviest has, popularity half of
    that, for it says the same of every question; and the others, none of which gets more than the
    heaviest had, may change beside it.

    Args:
        mixture: What validation says.
        others: The parts that may change.
        allowances: By part that is wronged, the share of the mixture's worth that may be given up.
        weights: Weights that are tried, the largest of which is what the heaviest part has.
        worth: Returns what a mixture is worth to every question.
    """
    for part, allowance in allowances.items():
        before = float(worth(mixture).mean())
        own, most = mixture.weights.get(part, 0.0), max(mixture.weights.values())
        light = [most * weight / max(weights) for weight in weights]
        heavy = UNREAD * most if part == "popularity" else most
        for weight in sorted({w for w in light if own < w <= heavy}, reverse=True):
            tried = climb(_with(mixture, part, weight), others, light, worth)
            if before - float(worth(tried).mean()) <= allowance * before:
                mixture = tried
                break
    return mixture


def _told(
    mixture: Mixture,
    lists: Mapping[str, Ranked],
    pool: Pool,
    relevant: Sequence[Rows],
    ties: Rows,
) -> Choice:
    """Say of a mixture all that there is to say."""
    whole = _whole(mixture, lists, pool, ties)
    values = worth_of(whole, relevant)
    alone = [worth_of(ranked, relevant) for ranked in lists.values()]
    gap = values - max(alone, key=lambda worth: float(worth.mean()))
    return Choice(
        mixture=mixture,
        parts={name: _measured(ranked, relevant)[0] for name, ranked in lists.items()},
        recall=_measured(whole, relevant)[0],
        ndcg=_measured(whole, relevant)[1],
        gain=float(gap.mean()),
        error=_error(gap),
        without={
            name: float((values - worth_of(pool.rank(less, CUT, ties), relevant)).mean())
            for name, less in _each_left_out(mixture)
        },
    )


def _whole(mixture: Mixture, lists: Mapping[str, Ranked], pool: Pool, ties: Rows) -> Ranked:
    """Return what a mixture answers; a part alone answers its own list, equals in its order."""
    if len(mixture.weights) == 1:
        return lists[mixture.heaviest]
    return pool.rank(mixture, CUT, ties)


def worth_of(ranked: Ranked, relevant: Sequence[Rows]) -> Floats:
    """Return what a ranking is worth to every question."""
    counts = np.fromiter(map(len, relevant), np.int64, len(relevant))
    gains = gains_of(ranked.rows[:, :CUT], relevant)
    return np.asarray((recall(gains, counts, CUT) + ndcg(gains, counts, CUT)) / 2)


def _measured(ranked: Ranked, relevant: Sequence[Rows]) -> tuple[float, float]:
    """Return mean recall@10 and NDCG@10."""
    counts = np.fromiter(map(len, relevant), np.int64, len(relevant))
    gains = gains_of(ranked.rows[:, :CUT], relevant)
    return float(recall(gains, counts, CUT).mean()), float(ndcg(gains, counts, CUT).mean())


def compared(
    mixture: Mixture,
    other: Mixture,
    lists: Mapping[str, Ranked],
    relevant: Sequence[Rows],
    *,
    depth: int,
    ties: Rows,
) -> tuple[float, float]:
    """Return how much more one mixture is worth than another, and the standard error of that.

    Args:
        mixture: The one.
        other: The other.
        lists: By part, each its ranking of the same questions.
        relevant: For each question the rows of its right answers.
        depth: Ranks of each list that are joined.
        ties: (items,) rows in the order in which equals are shown.
    """
    worths = [
        worth_of(Pool.of(lists, one.fusion, depth, len(ties)).rank(one, CUT, ties), relevant)
        for one in (mixture, other)
    ]
    gap = worths[0] - worths[1]
    return float(gap.mean()), _error(gap)


def climb(
    mixture: Mixture,
    parts: Sequence[str],
    weights: Sequence[float],
    worth: Callable[[Mixture], Floats],
) -> Mixture:
    """Change one weight at a time for as long as that helps."""
    best = float(worth(mixture).mean())
    before = None
    while mixture != before:
        before = mixture
        for part in parts:
            for weight in weights:
                tried = _with(mixture, part, weight)
                if not tried.weights or tried == mixture:
                    continue
                mean = float(worth(tried).mean())
                if mean > best:
                    best, mixture = mean, tried
    return mixture


def _without_idle(
    mixture: Mixture, worth: Callable[[Mixture], Floats], kept: Sequence[str] = ()
) -> Mixture:
    """Leave out, the idlest first, every part whose loss is no more than one standard error.

    Those in `kept` stay.
    """
    while others := [pair for pair in _each_left_out(mixture) if pair[0] not in kept]:
        values = worth(mixture)
        losses = [(values - worth(less), less) for _, less in others]
        loss, less = min(losses, key=lambda entry: float(entry[0].mean()))
        if loss.mean() > _error(loss):
            break
        mixture = less
    return mixture


def _bounded(mixture: Mixture) -> Mixture:
    """Let popularity have half of the heaviest other's weight at most, where there is another."""
    others = [weight for part, weight in mixture.weights.items() if part != "popularity"]
    most = UNREAD * max(others, default=np.inf)
    return _with(mixture, "popularity", min(mixture.weights.get("popularity", 0.0), most))


def _each_left_out(mixture: Mixture) -> list[tuple[str, Mixture]]:
    """Return each part with the mixture of all others."""
    if len(mixture.weights) < 2:
        return []
    return [(part, _with(mixture, part, 0.0)) for part in mixture.weights]


def _with(mixture: Mixture, part: str, weight: float) -> Mixture:
    weights = {**mixture.weights, part: weight}
    return Mixture(mixture.fusion, {name: value for name, value in weights.items() if value})


def _shares(mixture: Mixture) -> Mixture:
    """Return the same mixture, its weights summing to one."""
    total = sum(mixture.weights.values())
    return replace(mixture, weights={part: w / total for part, w in mixture.weights.items()})


def _error(values: Floats) -> float:
    """Return the standard error of a mean."""
    return float(values.std() / np.sqrt(max(len(values), 1)))
