"""A fall is told from chance: on made-up answers whose truth is known."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest

from orchestration.releases.checks import ReleaseParams
from orchestration.releases.comparing import Comparison, NotComparableError, answered, compare

RECALL, SHARED = 0.10, 0.7  # of two models, and the share of hits that both have
PARAMS = ReleaseParams()


def table(hits: np.ndarray, task: str = "recommendation", first: int = 0, items=None):
    numbers = range(first, first + len(hits))
    return pd.DataFrame(
        {
            "task": task,
            "question": [f"q{number}" for number in numbers],
            "item": [f"i{number}" for number in numbers] if items is None else items,
            "recall@10": np.asarray(hits, np.float32),
        }
    )


def against(before: pd.DataFrame, now: pd.DataFrame) -> Comparison:
    found, notes = compare(before, now, release="r1", level=PARAMS.interval_level)
    assert not notes
    return found[0]


def refused(before: np.ndarray, now: np.ndarray) -> bool:
    return against(table(before), table(now)).is_worse(PARAMS.max_recall_fall)


def two_models(draw: np.random.Generator, users: int, now: float) -> tuple[np.ndarray, np.ndarray]:
    """Hits of a model of recall RECALL and one of recall `now` that shares SHARED of its hits."""
    chance = draw.random(users)
    before = chance < RECALL
    both = SHARED * now
    return before, (chance < both) | ((chance >= RECALL) & (chance < RECALL + now - both))


def test_equally_good_models_are_hardly_ever_refused():
    draw = np.random.default_rng(0)
    assert sum(refused(*two_models(draw, 671, RECALL)) for _ in range(100)) <= 3


def test_a_model_as_good_as_the_five_before_is_hardly_ever_refused_by_any():
    draw = np.random.default_rng(0)
    stopped = 0
    for _ in range(50):
        chance = draw.random(671)
        both = SHARED * RECALL
        own = draw.random((6, 671)) < (RECALL - both) / (1 - both)
        *five, now = (chance < both) | own
        stopped += any(refused(before, now) for before in five)
    assert stopped <= 2


def test_a_model_that_lost_a_fifth_is_nearly_always_refused():
    draw = np.random.default_rng(0)
    assert sum(refused(*two_models(draw, 5000, 0.8 * RECALL)) for _ in range(100)) >= 95


def test_a_fall_is_refused_where_it_is_both_large_and_no_chance():
    hits = np.zeros(2000)
    hits[:200] = 1
    lost = hits.copy()
    lost[:30] = 0
    fall = against(table(hits), table(lost))
    assert (fall.before, fall.now) == (pytest.approx(0.1), pytest.approx(0.085))
    assert fall.high < 0
    assert fall.is_worse(0.01)
    assert not fall.is_worse(0.02)
    gain = against(table(lost), table(hits))
    assert gain.fall == pytest.approx(-0.015)
    assert not gain.is_worse(0)


def test_the_smallest_fall_is_what_the_interval_could_have_told():
    draw = np.random.default_rng(1)
    few = against(*map(table, two_models(draw, 671, RECALL)))
    many = against(*map(table, two_models(draw, 20_000, RECALL)))
    assert few.smallest_fall == pytest.approx((few.high - few.low) / 2)
    assert 0.015 < few.smallest_fall < 0.035
    assert many.smallest_fall < few.smallest_fall / 4
    assert f"a fall below {few.smallest_fall:.4f} could not have been told" in few.sentence()


def test_equal_answers_do_not_claim_to_see_everything():
    hits = np.random.default_rng(0).random(500) < RECALL
    same = against(table(hits), table(hits))
    assert (same.low, same.high) == (0, 0)
    fewest = round(same.smallest_fall * 500)
    for lost, worse in ((fewest - 2, False), (fewest + 1, True)):
        changed = hits.copy()
        changed[np.flatnonzero(hits)[:lost]] = False
        assert (against(table(hits), table(changed)).high < 0) is worse


def test_questions_about_one_item_count_as_one_in_search_alone():
    draw = np.random.default_rng(0)
    hits, lost = (np.repeat(half, 10) for half in two_models(draw, 200, RECALL))
    items = np.repeat([f"i{number}" for number in range(200)], 10)
    found = {
        task: against(table(hits, task, items=items), table(lost, task, items=items))
        for task in ("search", "recommendation")
    }
    wide, narrow = (one.high - one.low for one in found.values())
    assert wide > 2 * narrow


def test_only_questions_that_both_answered_are_compared():
    before = table(np.array([1] * 40 + [0] * 60))
    now = pd.concat([table(np.zeros(50), first=50), table(np.ones(40), "search")])
    found, notes = compare(before, now.sample(frac=1, random_state=0), release="r1", level=0.99)
    assert [(one.task, one.questions, one.before, one.now) for one in found] == [
        ("recommendation", 50, 0, 0)
    ]
    assert not notes


def test_too_few_common_questions_are_no_reason_to_refuse():
    found, notes = compare(
        table(np.ones(100)), table(np.zeros(50), first=90), release="r1", level=0.99
    )
    assert not found
    assert "10 of its 100 questions are asked still" in notes[0]


@pytest.mark.parametrize(
    ("change", "why"),
    [
        (lambda rows: rows.drop(columns="question"), "no `question`: it was measured by another"),
        (lambda rows: rows.assign(method="retriever"), "no method `answers`"),
        (None, "holds no metrics/per_query.parquet"),
    ],
)
def test_what_was_measured_in_another_way_is_not_compared(tmp_path, change, why):
    rows = table(np.ones(3)).assign(method="answers")
    (tmp_path / "metrics").mkdir()
    file = tmp_path / "metrics" / "per_query.parquet"
    rows.to_parquet(file)
    assert len(answered(tmp_path)) == 3
    file.unlink()
    if change:
        change(rows).to_parquet(file)
    with pytest.raises(NotComparableError, match=why):
        answered(tmp_path)
