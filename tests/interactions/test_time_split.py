"""The log cut in time: nothing learnt from lies after anything predicted."""

from __future__ import annotations

from collections import Counter

import duckdb
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from assets.interactions.artifact import Interactions
from assets.interactions.pairs import make_pairs
from assets.interactions.params import InteractionsParams
from assets.interactions.splits import find_cuts, make_timeline, withhold
from assets.stage import UserError

ITEMS = "abcdefghij"
SPLITS = ("train", "validation", "test")
EVENTS = st.lists(
    st.tuples(st.sampled_from("uvwx"), st.sampled_from(ITEMS), st.integers(0, 30).map(float)),
    unique=True,
    min_size=1,
    max_size=60,
)
SHARES = st.floats(0.05, 0.4)


@pytest.fixture(scope="module")
def db():
    with duckdb.connect() as connection:
        connection.execute(
            f"CREATE TEMP TABLE catalogue AS SELECT unnest(split('{ITEMS}', '')) AS item_id"
        )
        yield connection


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    return tmp_path_factory.mktemp("made")


def cut(db, folder, events, shares, cold, seed=0):
    """Split and pair events; return them as the artifact, the cuts and the cold items."""
    db.execute(
        "CREATE OR REPLACE TEMP TABLE positives (user_id VARCHAR, item_id VARCHAR, "
        "timestamp DOUBLE, event VARCHAR, weight DOUBLE, basket VARCHAR)"
    )
    db.executemany("INSERT INTO positives VALUES (?, ?, ?, NULL, NULL, NULL)", events)
    cuts = find_cuts(db, shares, None)
    withhold(db, share=cold, before=cuts.validation, seed=seed)
    make_timeline(db, seed, cuts)
    make_pairs(db, window=3, per_user=1000, per_item=1000, seed=seed)
    rows = {
        "interactions": "SELECT * EXCLUDE basket FROM timeline ORDER BY user_id, position",
        "pairs": "FROM pairs ORDER BY ALL",
    }
    for name, query in rows.items():
        db.execute(f"COPY ({query}) TO '{folder}/{name}.parquet'")
    cold_items = {item for (item,) in db.execute("FROM cold_items").fetchall()}
    return Interactions(folder), cuts, cold_items


@settings(deadline=None, max_examples=60)
@given(EVENTS, SHARES, SHARES, st.sampled_from([0.0, 0.3]), st.integers(0, 3))
def test_splits_follow_each_other_in_time_and_cold_items_have_no_past(
    db, folder, events, validation, test, cold, seed
):
    try:
        made, cuts, cold_items = cut(db, folder, events, (validation, test), cold, seed)
    except UserError:  # most of the log happened at its first instant
        first = min(when for _, _, when in events)
        at_first = sum(when == first for _, _, when in events)
        kept = len(events) - round((validation + test) * len(events))
        assert at_first > min(kept, len(events) - 1)
        return
    rows = made.interactions(*SPLITS)
    kept = {
        (user, item, when)
        for user, item, when in events
        if not (item in cold_items and when < cuts.validation)
    }
    assert set(rows[["user_id", "item_id", "timestamp"]].itertuples(index=False)) == kept
    for row in rows.itertuples():
        expected = (row.timestamp >= cuts.validation) + (row.timestamp >= cuts.test)
        assert row.split == SPLITS[expected]
    for _, history in rows.groupby("user_id"):
        assert history["position"].tolist() == list(range(len(history)))
        assert history["timestamp"].is_monotonic_increasing
    assert not cold_items & set(made.interactions("train")["item_id"])
    assert not cold_items & set(made.pairs("train")[["item_id", "other_item_id"]].to_numpy().flat)
    assert bool(cold_items) <= bool(cold)


@settings(deadline=None, max_examples=60)
@given(EVENTS, SHARES, SHARES, st.sampled_from([0.0, 0.3]))
def test_a_session_is_a_users_last_of_a_period_after_all_before_it(
    db, folder, events, validation, test, cold
):
    try:
        made, cuts, _ = cut(db, folder, events, (validation, test), cold)
    except UserError:
        return
    rows = made.interactions(*SPLITS)
    for split, until in {"validation": cuts.test, "test": float("inf")}.items():
        expected = {}
        repeats = 0
        for user, history in rows[rows["timestamp"] < until].groupby("user_id"):
            *past, target = history["item_id"]
            if history["split"].iloc[-1] == split and past:
                expected[user] = (past, target)
                repeats += target in past
        sessions = made.sessions(split)
        asked = zip(sessions.user_ids, sessions.histories, sessions.targets, strict=True)
        assert {user: (past, target) for user, past, (target,) in asked} == {
            user: task for user, task in expected.items() if task[1] not in task[0]
        }
        assert sessions.repeats == repeats


@settings(deadline=None, max_examples=60)
@given(EVENTS, SHARES, SHARES, st.sampled_from([0.0, 0.3]))
def test_train_pairs_come_from_train_and_validation_pairs_end_at_its_target(
    db, folder, events, validation, test, cold
):
    try:
        made, _, _ = cut(db, folder, events, (validation, test), cold)
    except UserError:
        return
    met, validated = Counter(), Counter()
    for _, history in made.interactions("train").groupby("user_id"):
        items = history["item_id"].tolist()
        for place, one in enumerate(items):
            for other in items[place + 1 : place + 4]:
                met.update([(one, other), (other, one)] if one != other else [])
    for _, history in made.interactions("train", "validation").groupby("user_id"):
        if history["split"].iloc[-1] == "validation":
            *past, target = history["item_id"]
            validated.update((one, target) for one in past[-3:] if one != target)
    for split, expected in {"train": met, "validation": validated}.items():
        pairs = made.pairs(split)[["item_id", "other_item_id", "count"]]
        assert {(a, b): n for a, b, n in pairs.itertuples(index=False)} == expected


def test_cuts_by_share_never_part_an_instant(db, folder):
    times = [0, 1, 1, 1, 2, 3, 4, 5, 5, 5]
    events = [("u", item, when) for item, when in zip(ITEMS, times, strict=True)]
    made, cuts, _ = cut(db, folder, events, (0.2, 0.2), 0.0)
    assert (cuts.validation, cuts.test) == (4, 5)
    assert [len(made.interactions(split)) for split in SPLITS] == [6, 1, 3]


def test_a_cold_item_stays_cold_whatever_else_is_in_the_log(db, folder):
    few = [("u", item, float(when)) for when, item in enumerate(ITEMS)]
    many = few + [("v", item, float(when)) for when, item in enumerate(reversed(ITEMS))]
    chosen = [cut(db, folder, events, (0.1, 0.1), 0.5, seed=2)[2] for events in (few, many)]
    assert chosen[0] == chosen[1]
    assert 0 < len(chosen[0]) < len(ITEMS)


def test_the_stage_cuts_at_given_times_and_reports_what_came_of_it(bench):
    log = "".join(f"{user},{item},{when}\n" for user, item, when in [
        ("u", "a", 1), ("u", "b", 5), ("u", "c", 10), ("u", "d", 20),
        ("new", "a", 21), ("new", "b", 22), ("once", "a", 30),
    ])  # fmt: skip
    bench.write("interactions/log.csv", "user_id,item_id,timestamp\n" + log)
    made = bench.run(split="global_time", cut_times=(10, 20))
    assert made.sessions("validation").histories == [["a", "b"]]
    sessions = made.sessions("test")
    asked = zip(sessions.user_ids, sessions.histories, sessions.targets, strict=True)
    assert list(asked) == [("new", ["a"], ["b"]), ("u", ["a", "b", "c"], ["d"])]
    report = bench.report()
    assert (report["validation_begins"], report["test_begins"]) == (10, 20)
    assert (report["validation_sessions"], report["test_sessions"]) == (1, 2)


def test_what_a_cut_leaves_empty_is_said(bench, capsys):
    bench.write("interactions/log.csv", "user_id,item_id,timestamp\nu,a,7\nu,b,8\n")
    bench.run(split="global_time", cut_times=(100, 200))
    assert "recommendation skipped: after the cut" in capsys.readouterr().out
    with pytest.raises(UserError, match=r"begins at 5, and no interaction lies before it .* at 7"):
        bench.run(split="global_time", cut_times=(5, 6))


@pytest.mark.parametrize(
    ("knobs", "why"),
    [
        ({"cut_shares": (0.5, 0.5)}, "leave something for train"),
        ({"cut_shares": (0.0, 0.5)}, "above 0"),
        ({"cut_times": (5, 5)}, "before test"),
        ({"cut_times": (5, float("nan"))}, "finite"),
        ({"cold_share": 0.1, "split": "leave_last_out"}, "needs `split: global_time`"),
    ],
)
def test_cuts_that_make_no_sense_are_refused(knobs, why):
    with pytest.raises(ValueError, match=why):
        InteractionsParams(**{"split": "global_time", **knobs})
