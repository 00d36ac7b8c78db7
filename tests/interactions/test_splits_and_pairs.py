"""Splits and pairs against an oracle in plain Python."""

from __future__ import annotations

import hashlib
import math
from collections import Counter, defaultdict

import duckdb
import pandas as pd
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from assets.interactions.pairs import make_pairs
from assets.interactions.splits import make_timeline

EVENTS = st.lists(
    st.tuples(
        st.sampled_from(["u1", "u2", "ü3", ""]),
        st.sampled_from("abcdefg"),
        st.integers(0, 6).map(float),
        st.sampled_from([None, "view", "buy"]),
        st.sampled_from([None, 1.0, 2.5]),
    ),
    unique=True,
    max_size=60,
)
COLUMNS = ["user_id", "item_id", "timestamp", "event", "weight"]


def slow_timeline(events, seed):
    """(user, position) -> (item, split)."""

    def place(event):
        user, item, when, what, weight = event
        tie = hashlib.md5(f"{seed}\0{user}\0{item}".encode(), usedforsecurity=False).hexdigest()
        return (when, tie, item, (what is not None, what or ""), (weight is not None, weight or 0))

    histories = defaultdict(list)
    for event in sorted(events, key=place):
        histories[event[0]].append(event[1])
    made = {}
    for user, items in histories.items():
        for position, item in enumerate(items):
            left = len(items) - 1 - position
            split = {0: "test", 1: "validation"}.get(left, "train") if len(items) >= 3 else "train"
            made[user, position] = (item, split)
    return made


def slow_pairs(timeline, *, window, per_user, per_item, seed):
    """(split, item, other) -> count."""
    histories = defaultdict(list)
    for (user, _), (item, split) in sorted(timeline.items()):
        histories[user].append((item, split))
    met = Counter()
    validation = Counter()
    for history in histories.values():
        train = [item for item, split in history if split == "train"]
        meetings = [
            (train[place], train[place + step])
            for step in range(1, window + 1)
            for place in reversed(range(len(train) - step))
        ]
        met.update(frozenset(pair) for pair in meetings[:per_user] if pair[0] != pair[1])
        for place, (item, split) in enumerate(history):
            if split == "validation":
                before = [other for other, _ in history[max(0, place - window) : place]]
                validation.update((other, item) for other in before if other != item)
    meetings_of = Counter()
    for pair, count in met.items():
        meetings_of.update(dict.fromkeys(pair, count))

    def rank(pair):
        a, b = pair
        cosine = math.sqrt(met[pair] ** 2 / (meetings_of[a] * meetings_of[b]))
        digests = [
            hashlib.md5(f"{seed}\0{item}".encode(), usedforsecurity=False).hexdigest()[:8]
            for item in pair
        ]
        return (-math.floor(cosine * 2**31), -(int(digests[0], 16) ^ int(digests[1], 16)))

    kept = set(met)
    for item in meetings_of:
        kept -= set(sorted((pair for pair in met if item in pair), key=rank)[per_item:])
    made = {("validation", *pair): count for pair, count in validation.items()}
    for pair in kept:
        a, b = sorted(pair)
        made["train", a, b] = made["train", b, a] = met[pair]
    return made


@pytest.fixture(scope="module")
def db():
    with duckdb.connect() as connection:
        connection.execute(
            "CREATE TEMP TABLE catalogue AS SELECT unnest(split('abcdefg', '')) AS item_id"
        )
        yield connection


def fast(db, events, *, window, per_user, per_item, seed):
    db.execute(
        "CREATE OR REPLACE TEMP TABLE positives (user_id VARCHAR, item_id VARCHAR, "
        "timestamp DOUBLE, event VARCHAR, weight DOUBLE, basket VARCHAR)"
    )
    if events:
        db.executemany("INSERT INTO positives VALUES (?, ?, ?, ?, ?, NULL)", events)
    make_timeline(db, seed)
    make_pairs(db, window=window, per_user=per_user, per_item=per_item, seed=seed)
    timeline = db.execute("SELECT user_id, position, item_id, split FROM timeline").fetchall()
    pairs = db.execute("SELECT split, item_id, other_item_id, count FROM pairs").fetchall()
    assert len({row[:3] for row in pairs}) == len(pairs)
    return {row[:2]: row[2:] for row in timeline}, {row[:3]: row[3] for row in pairs}


@settings(
    deadline=None, max_examples=60, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
@given(EVENTS, st.integers(1, 6), st.integers(1, 12), st.integers(1, 5), st.integers(0, 3))
def test_splits_and_pairs_are_those_of_the_slow_oracle(
    db, events, window, per_user, per_item, seed
):
    knobs = {"window": window, "per_user": per_user, "per_item": per_item, "seed": seed}
    timeline, pairs = fast(db, events, **knobs)
    assert timeline == slow_timeline(events, seed)
    assert pairs == slow_pairs(timeline, **knobs)


def test_ties_follow_neither_item_id_nor_file_order(bench):
    letters = [f"i{number:02}" for number in range(40)]
    bench.write("items/items.csv", "item_id,title\n" + "".join(f"{i},{i}\n" for i in letters))
    rows = [f"{user},{item},7\n" for user in range(50) for item in letters]
    bench.write("interactions/log.csv", "user_id,item_id,timestamp\n" + "".join(rows))
    made = bench.run()
    assert made.interactions("test")["item_id"].nunique() > 20  # by id it would be one
    assert bench.report()["tie_rate"] == 1
    other = bench.run(seed=1)
    assert (
        other.interactions("test")["item_id"].tolist()
        != made.interactions("test")["item_id"].tolist()
    )


def test_a_repeat_is_counted_and_no_target_of_a_session_unless_allowed(bench):
    log = "".join(
        f"u,{i},{t}\nv,{j},{t}\n" for t, (i, j) in enumerate(zip("abca", "abcd", strict=True))
    )
    bench.write("interactions/log.csv", "user_id,item_id,timestamp\n" + log)
    made = bench.run()
    sessions = made.sessions("test")
    assert (sessions.user_ids, sessions.targets, sessions.repeats) == (["v"], [["d"]], 1)
    assert sessions.histories == [["a", "b", "c"]]
    sessions = made.sessions("test", repeats="allow")
    assert (sessions.user_ids, sessions.targets) == (["u", "v"], [["a"], ["d"]])
    assert (sessions.histories, sessions.repeats) == ([["a", "b", "c"]] * 2, 0)


def test_a_history_ends_where_its_target_begins(bench):
    log = "".join(f"u,{i},{t}\n" for t, i in enumerate("abcd"))
    bench.write("interactions/log.csv", "user_id,item_id,timestamp\n" + log)
    made = bench.run()
    assert made.sessions("validation").histories == [["a", "b"]]
    assert made.sessions("test").histories == [["a", "b", "c"]]
    assert set(made.pairs("validation").itertuples(index=False, name=None)) == {
        ("a", "c", 1, "validation"),
        ("b", "c", 1, "validation"),
    }


def test_a_query_text_lives_in_one_split_and_a_given_split_stands(bench):
    rows = [f"text {n},a,\n" for n in range(300)]
    rows += ["Given  Text,a,validation\n", "given text,b,\n", "both,a,train\n", "BOTH,b,test\n"]
    bench.write("queries/q.csv", "query,item_id,split\n" + "".join(rows))
    made = bench.run(validation_share=0.3, test_share=0.3)
    table = made.queries("train", "validation", "test")
    assert table.groupby("query")["split"].nunique().max() == 1
    split = table.set_index("query")["split"]
    assert set(split["given text"]) == {"validation"}
    assert set(split["both"]) == {"test"}
    assert len(split["given text"]) == 2
    assert bench.report()["query_texts_given_two_splits"] == 1
    assert all(made.query_split(query) == given for query, given in split.items())
    shares = split[split.index.str.startswith("text")].value_counts(normalize=True)
    assert shares.to_dict() == pytest.approx(
        {"train": 0.4, "validation": 0.3, "test": 0.3}, abs=0.08
    )


def test_one_query_id_for_two_texts_is_refused_and_irrelevant_answers_stay_out(bench):
    rows = "1,space,a,1\n1,time,b,1\n2,robots,a,0\n2,robots,b,2\n"
    bench.write("queries/q.csv", "query_id,query,item_id,relevance\n" + rows)
    made = bench.run()
    table = made.queries("train", "validation", "test")
    assert table[["query_id", "query", "item_id", "relevance"]].to_numpy().tolist() == [
        ["2", "robots", "b", 2.0]
    ]
    assert made.rejects["reason"].str.contains("several texts").tolist() == [True, True]
    assert bench.report()["query_answers_not_relevant"] == 1


def test_query_columns_have_their_types_without_a_query(bench):
    table = bench.run().queries("train")
    assert table.empty
    assert table.dtypes["relevance"] == "float64"
    assert isinstance(table, pd.DataFrame)
