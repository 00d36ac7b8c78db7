"""Histories split by whole baskets, against an oracle in plain Python."""

from __future__ import annotations

import hashlib
from collections import Counter, defaultdict

import duckdb
import pyarrow.parquet as pq
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from assets.interactions.artifact import Interactions
from assets.interactions.pairs import make_pairs
from assets.interactions.splits import make_timeline
from assets.stage import UserError

ITEMS = "abcdefg"
SPLITS = ("train", "validation", "test")
LOG = "user_id,item_id,timestamp,basket\n"
LINES = st.lists(
    st.tuples(
        st.sampled_from("uvü"),
        st.sampled_from(ITEMS),
        st.integers(0, 4).map(float),
        st.sampled_from([None, 1.0, 2.5]),
        st.sampled_from("1234"),
    ),
    unique=True,
    min_size=1,
    max_size=60,
)


def md5(*parts):
    return hashlib.md5("\0".join(map(str, parts)).encode(), usedforsecurity=False).hexdigest()


def slow_baskets(lines, seed):
    """user -> baskets in time order, each with its items in order."""
    found = defaultdict(dict)
    for user, item, when, _, basket in sorted(lines, key=lambda line: line[2]):
        found[user].setdefault(basket, {}).setdefault(item, when)
    return {
        user: [
            sorted(items, key=lambda item: (items[item], md5(seed, user, item)))
            for _, items in sorted(
                baskets.items(),
                key=lambda entry: (min(entry[1].values()), md5(seed, user, entry[0])),
            )
        ]
        for user, baskets in found.items()
    }


@pytest.fixture(scope="module")
def split(tmp_path_factory):
    """``split(lines, seed)``: the artifact of some lines, pairs of a window of three."""
    folder = tmp_path_factory.mktemp("made")
    with duckdb.connect() as db:
        db.execute(f"CREATE TEMP TABLE catalogue AS SELECT unnest(split('{ITEMS}', '')) AS item_id")

        def made(lines, seed=0):
            db.execute(
                "CREATE OR REPLACE TEMP TABLE positives (user_id VARCHAR, item_id VARCHAR, "
                "timestamp DOUBLE, event VARCHAR, weight DOUBLE, basket VARCHAR)"
            )
            db.executemany("INSERT INTO positives VALUES (?, ?, ?, NULL, ?, ?)", lines)
            make_timeline(db, seed, baskets=True)
            make_pairs(db, window=3, per_user=1000, per_item=1000, seed=seed)
            tables = {"interactions": "timeline ORDER BY user_id, position", "pairs": "pairs"}
            for name, rows in tables.items():
                db.execute(f"COPY (FROM {rows}) TO '{folder}/{name}.parquet'")
            return Interactions(folder)

        yield made


@settings(deadline=None, max_examples=60)
@given(LINES, st.integers(0, 3))
def test_the_last_basket_is_test_and_the_one_before_validation(split, lines, seed):
    rows = split(lines, seed).interactions(*SPLITS)
    expected = {}
    for user, baskets in slow_baskets(lines, seed).items():
        held_out = ["validation", "test"] if len(baskets) >= 3 else []
        splits = ["train"] * (len(baskets) - len(held_out)) + held_out
        items = [(item, s) for basket, s in zip(baskets, splits, strict=True) for item in basket]
        expected |= {(user, position): entry for position, entry in enumerate(items)}
    found = rows[["user_id", "position", "item_id", "split"]].itertuples(index=False)
    assert {(user, position): (item, s) for user, position, item, s in found} == expected


@settings(deadline=None, max_examples=60)
@given(LINES, st.sampled_from(["validation", "test"]), st.sampled_from(["exclude", "allow"]))
def test_a_session_asks_for_a_whole_basket_from_the_ones_before_it(split, lines, asked, repeats):
    sessions = split(lines).sessions(asked, repeats=repeats)
    expected = {}
    left_out = 0
    for user, baskets in slow_baskets(lines, 0).items():
        if len(baskets) < 3:
            continue
        place = len(baskets) - {"validation": 2, "test": 1}[asked]
        past = [item for basket in baskets[:place] for item in basket]
        right = [item for item in baskets[place] if repeats == "allow" or item not in past]
        left_out += not right
        if right:
            expected[user] = (past, right)
    found = zip(sessions.histories, sessions.targets, strict=True)
    assert dict(zip(sessions.user_ids, found, strict=True)) == expected
    assert sessions.user_ids == sorted(expected)
    assert sessions.repeats == left_out


@settings(deadline=None, max_examples=60)
@given(LINES)
def test_pairs_meet_in_train_and_lead_from_the_history_to_the_validation_basket(split, lines):
    made = split(lines)
    met, validated = Counter(), Counter()
    for baskets in slow_baskets(lines, 0).values():
        train = [item for basket in baskets[: -2 if len(baskets) >= 3 else None] for item in basket]
        for place, one in enumerate(train):
            for other in train[place + 1 : place + 4]:
                met.update([(one, other), (other, one)] if one != other else [])
        if len(baskets) >= 3:
            targets = baskets[-2]
            validated.update((one, to) for one in train[-3:] for to in targets if one != to)
    for name, expected in {"train": met, "validation": validated}.items():
        pairs = made.pairs(name)[["item_id", "other_item_id", "count"]]
        assert {(a, b): n for a, b, n in pairs.itertuples(index=False)} == expected


@settings(deadline=None, max_examples=30)
@given(LINES, st.randoms(use_true_random=False))
def test_the_order_of_the_lines_changes_nothing(split, lines, random):
    def everything(rows):
        made = split(rows)
        return [
            (made.folder / f"{name}.parquet").read_bytes() for name in ("interactions", "pairs")
        ]

    assert everything(lines) == everything(random.sample(lines, len(lines)))


BASKETS = [
    ("u", "1", 1, "ab"), ("u", "2", 5, "c"), ("u", "3", 7, "ad"), ("u", "4", 9, "ab"),
    ("v", "1", 2, "ab"), ("v", "2", 1, "cd"),
    ("w", "x", 3, "a"), ("w", "y", 4, "bc"), ("w", "z", 5, "dcb"),
]  # fmt: skip


def log_of(baskets):
    rows = [f"{u},{i},{t},{basket}\n" for u, basket, t, items in baskets for i in items]
    return LOG + "".join(rows)


def tasks(sessions):
    found = zip(sessions.user_ids, sessions.histories, sessions.targets, strict=True)
    return {user: ("".join(sorted(past)), "".join(sorted(right))) for user, past, right in found}


def test_the_stage_asks_for_baskets_and_says_what_they_are_like(bench, capsys):
    bench.write("interactions/log.csv", log_of(BASKETS) + "u,a,1,1\nu,a,2,1\n")
    made = bench.run(split="basket")
    assert tasks(made.sessions("validation")) == {"u": ("abc", "d"), "w": ("a", "bc")}
    assert tasks(made.sessions("test")) == {"w": ("abc", "d")}
    assert made.sessions("test").repeats == 1
    allowed = made.sessions("test", repeats="allow")
    assert tasks(allowed) == {"u": ("aabcd", "ab"), "w": ("abc", "bcd")}
    assert made.interactions("train")["user_id"].value_counts().to_dict() == {
        "v": 4,
        "u": 3,
        "w": 1,
    }
    report = bench.report()
    expected = {
        "baskets": 9,
        "basket_size_median": 2,
        "basket_size_max": 3,
        "users_below_three": 1,
        "interactions_repeated_in_basket": 1,
        "interactions_repeated_exactly": 1,
    }
    assert {name: report[name] for name in expected} == expected
    assert "17 interactions, 9 baskets" in capsys.readouterr().out


def test_baskets_follow_each_other_by_their_first_instants(bench):
    log = "u,a,1,first\nu,b,9,first\nu,c,2,second\nu,d,3,third\n"
    bench.write("interactions/log.csv", LOG + log)
    sessions = bench.run(split="basket").sessions("test")
    assert (sessions.histories, sessions.targets) == ([["a", "b", "c"]], [["d"]])


def test_the_order_inside_a_basket_follows_neither_item_id_nor_file_order(bench):
    letters = [f"i{number:02}" for number in range(40)]
    bench.write("items/items.csv", "item_id,title\n" + "".join(f"{i},{i}\n" for i in letters))
    bench.write("interactions/log.csv", log_of([(user, "1", 7, letters) for user in range(30)]))
    rows = bench.run(split="basket").interactions("train")
    assert rows.groupby("user_id")["item_id"].last().nunique() > 15  # by id it would be one
    assert rows["split"].eq("train").all()


def test_rows_without_a_basket_are_refused_and_the_others_stay(bench):
    bench.write("interactions/log.csv", log_of(BASKETS) + "u,d,9,\nu,zz,9,\n")
    bench.write("interactions/other.csv", "user_id,item_id,timestamp\nu,d,9\n")
    made = bench.run(split="basket")
    rows = made.rejects[["file", "row", "reason"]].itertuples(index=False)
    found = {(row.file.rsplit("/", 1)[-1], row.row): row.reason.split(":")[0] for row in rows}
    assert found == {
        ("log.csv", 19): "basket is empty",
        ("log.csv", 20): "item_id is not among the items",
        ("other.csv", 2): "basket is empty",
    }
    assert len(made.interactions(*SPLITS)) == 17
    assert len(bench.run().interactions(*SPLITS)) == 18


def test_a_log_without_any_basket_is_refused_with_what_to_do(bench, says):
    bench.write("interactions/log.csv", "user_id,item_id,timestamp,receipt\nu,a,1,x\nu,b,2,y\n")
    says("log.csv", "column `basket`", "`interactions.columns`", split="basket")
    made = bench.run(split="basket", columns={"receipt": "basket"})
    assert made.interactions("train")["basket"].tolist() == ["x", "y"]


def test_a_basket_that_is_a_list_is_refused(bench):
    row = '{"user_id": "u", "item_id": "a", "timestamp": 1, "basket": %s}\n'
    bench.write("interactions/log.jsonl", row % "[1, 2]" + row % "7")
    made = bench.run(split="basket")
    assert made.interactions("train")["basket"].tolist() == ["7"]
    assert made.rejects["reason"].str.startswith("basket is a list or an object").tolist() == [True]


@pytest.mark.parametrize("other", ["leave_last_out", "global_time"])
def test_other_splits_know_no_baskets(bench, tables, other):
    bench.write("interactions/log.csv", log_of(BASKETS))
    made = bench.run(split=other)
    assert "basket" not in pq.read_schema(made.folder / "interactions.parquet").names
    assert all(len(right) == 1 for right in made.sessions("validation").targets)
    plain = [line.rsplit(",", 1)[0] for line in log_of(BASKETS).splitlines()]
    bench.write("interactions/log.csv", "\n".join(plain))
    assert tables(bench.run(split=other)) == tables(made)


def test_a_catalogue_alone_gives_an_empty_table_with_baskets(bench):
    made = bench.run(split="basket")
    assert made.interactions(*SPLITS)["basket"].empty
    assert made.sessions("test").targets == []


def test_a_log_of_two_baskets_each_is_learnt_from_alone(bench, capsys):
    bench.write("interactions/log.csv", log_of(BASKETS[4:6]))
    bench.run(split="basket")
    assert "recommendation skipped: no user has three baskets" in capsys.readouterr().out


def test_the_packaged_movies_have_no_baskets(bench):
    (bench.folder / "data/incoming/items/items.csv").unlink()
    with pytest.raises(UserError, match=r"movielens-small: .* needs a column `basket`"):
        bench.run(split="basket")
