"""Joining rankings beside a slow, literal way to do it; and choosing who answers."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from assets.answers.choosing import choose, climb, compared, followed, held_back, raised, worth_of
from assets.answers.fusion import Mixture, Pool
from assets.ranking import Ranked

ITEMS = 8


@st.composite
def ranked_lists(draw, questions=2):
    """Lists of distinct items with falling scores; some end early, some score the rest."""
    lists = {}
    for name in draw(st.sampled_from([("a",), ("a", "b"), ("a", "b", "c")])):
        depth = draw(st.integers(1, 6))
        rows = np.full((questions, depth), -1, dtype=np.int64)
        scores = np.full((questions, depth), -np.inf, dtype=np.float32)
        for question in range(questions):
            found = draw(st.permutations(range(ITEMS)))[: draw(st.integers(0, depth))]
            values = draw(st.lists(st.integers(-5, 5), min_size=len(found), max_size=len(found)))
            rows[question, : len(found)] = found
            scores[question, : len(found)] = sorted(values, reverse=True)
        lists[name] = Ranked(rows, scores, draw(st.sampled_from([None, -5.0, -6.0])))
    return lists


def _literal(lists, mixture, depth, question):
    """The fused score of every listed item, as the docstring says it."""
    total = {}
    listed = sorted({int(r) for ranked in lists.values() for r in ranked.rows[question] if r >= 0})
    for item in listed:
        score = 0.0
        for name, weight in mixture.weights.items():
            rows = lists[name].rows[question].tolist()
            values = [float(s) for s in lists[name].scores[question] if np.isfinite(s)]
            if mixture.fusion == "reciprocal_rank":
                score += weight / (61 + rows.index(item)) if item in rows else 0.0
                continue
            top, rest = values[:depth], lists[name].rest
            if rest is not None and top:
                top += [rest] * (min(depth, len(rows)) - len(top))
            spread = float(np.std(top)) if top else 0.0
            if spread == 0:
                continue
            own = values[rows.index(item)] if item in rows else -np.inf
            score += weight * (max(own, min(top)) - float(np.mean(top))) / spread
        total[item] = score
    return total


@settings(max_examples=150, deadline=None)
@given(
    ranked_lists(),
    st.sampled_from(["z_score", "reciprocal_rank"]),
    st.lists(st.sampled_from([0.25, 0.5, 1.0, 2.0]), min_size=3, max_size=3),
    st.integers(1, 6),
    st.permutations(range(ITEMS)),
)
def test_a_mixture_ranks_as_its_formula_says(lists, fusion, weights, depth, ties):
    mixture = Mixture(fusion, dict(zip(lists, weights, strict=False)))
    found = Pool.of(lists, fusion, depth, ITEMS).rank(mixture, ITEMS, np.array(ties))
    for question in range(2):
        truth = _literal(lists, mixture, depth, question)
        rows = found.rows[question]
        shown = rows[rows >= 0].tolist()
        assert sorted(shown) == sorted(truth)
        assert found.scores[question][: len(shown)] == pytest.approx(
            [truth[row] for row in shown], abs=1e-5
        )
        assert (np.diff(found.scores[question][: len(shown)]) <= 1e-6).all()


def test_few_hits_of_a_list_that_scores_all_others_stand_far_above_the_rest():
    """Where nothing is said of the others, the last hit is no better than they."""
    other = Ranked(np.arange(ITEMS)[None, :6], np.linspace(1, 0, 6, dtype=np.float32)[None])
    rows = np.array([[6, 7, -1, -1, -1, -1]])
    scores = np.array([[2.1, 2.0, *[-np.inf] * 4]], np.float32)
    mixture = Mixture("z_score", {"words": 2.0, "other": 1.0})
    for rest, expected in ((0.0, [6, 7, 0, 1]), (None, [6, 0, 1, 2])):
        lists = {"words": Ranked(rows, scores, rest), "other": other}
        ranked = Pool.of(lists, "z_score", 6, ITEMS).rank(mixture, 4, np.arange(ITEMS))
        assert ranked.rows[0].tolist() == expected


def test_equals_come_as_the_heaviest_part_has_them_then_in_the_order_of_ties():
    one = Ranked(np.array([[4, 2]]), np.array([[1.0, 1.0]], np.float32))
    other = Ranked(np.array([[0, 1]]), np.array([[3.0, 3.0]], np.float32))
    pool = Pool.of({"one": one, "other": other}, "z_score", 10, ITEMS)
    ranked = pool.rank(Mixture("z_score", {"one": 2.0, "other": 1.0}), 4, np.arange(ITEMS)[::-1])
    assert ranked.rows.tolist() == [[4, 2, 1, 0]]


def _world(skills, questions=800, seed=0):
    """Rankings in which each part has the right answer first with its own chance."""
    draw = np.random.default_rng(seed)
    right = draw.integers(0, 100, questions)
    lists = {}
    for name, skill in skills.items():
        rows = np.array([draw.permutation(100)[:30] for _ in range(questions)])
        knows = draw.random(questions) < skill
        for row, answer, known in zip(rows, right, knows, strict=True):
            row[row == answer] = row[0]
            row[0] = answer if known else (answer + 1) % 100
        scores = np.tile(np.linspace(1, 0, 30, dtype=np.float32), (questions, 1))
        scores[:, 0] += 3 * knows  # a part that knows is sure of it
        lists[name] = Ranked(rows, scores)
    return lists, [np.array([answer]) for answer in right]


def _choose(lists, relevant, **more):
    return choose(
        lists,
        relevant,
        fusions=["z_score", "reciprocal_rank"],
        weights=[0.0, 0.5, 1.0, 2.0],
        depth=30,
        ties=np.arange(100),
        **more,
    )


def test_parts_that_know_different_things_answer_together():
    lists, relevant = _world({"a": 0.5, "b": 0.5})
    choice = _choose(lists, relevant)
    assert set(choice.mixture.weights) == {"a", "b"}
    assert choice.recall > max(choice.parts.values()) + 0.1
    assert choice.gain > choice.error > 0
    assert all(lost > 0 for lost in choice.without.values())


def test_a_part_that_adds_only_noise_does_not_answer():
    lists, relevant = _world({"good": 0.9, "noise": 0.0})
    choice = _choose(lists, relevant)
    assert list(choice.mixture.weights) == ["good"]
    assert choice.recall == choice.parts["good"]
    assert (choice.gain, choice.without) == (0, {})


@settings(max_examples=10, deadline=None)
@given(st.integers(0, 100), st.floats(0.1, 0.9), st.floats(0.1, 0.9))
def test_the_choice_is_never_below_the_best_part(seed, one, other):
    lists, relevant = _world({"a": one, "b": other, "c": 0.05}, questions=150, seed=seed)
    choice = _choose(lists, relevant)
    best = max(float(worth_of(ranked, relevant).mean()) for ranked in lists.values())
    assert (choice.recall + choice.ndcg) / 2 >= best - 1e-9
    assert sum(choice.mixture.weights.values()) == pytest.approx(1)


@settings(max_examples=10, deadline=None)
@given(st.integers(0, 100), st.floats(0.1, 0.9), st.floats(0.1, 0.9), st.sampled_from([40, 300]))
def test_shares_lie_between_what_parts_are_worth_alone_and_what_gains_say(
    seed, one, other, questions
):
    skills = {"a": one, "b": other, "c": 0.05}
    lists, relevant = _world(skills, questions=questions, seed=seed)
    weights, pool = [0.0, 0.5, 1.0, 2.0], Pool.of(lists, "z_score", 30, 100)

    def worth(mixture):
        return worth_of(pool.rank(mixture, 10, np.arange(100)), relevant)

    alone = {part: worth_of(ranked, relevant) for part, ranked in lists.items()}
    means = {part: values.mean() for part, values in alone.items()}
    best = max(means, key=means.get)
    ends = [
        climb(Mixture("z_score", start), [*lists], weights, worth).weights
        for start in ({best: 1.0}, {"a": 1.0, "b": 1.0, "c": 1.0})
    ]
    mean = {part: sum(end.get(part, 0) / sum(end.values()) for end in ends) / 2 for part in lists}
    found = followed("z_score", alone, weights, worth)
    assert found.weights == pytest.approx({part: share for part, share in mean.items() if share})
    expected = {
        part: (questions * mean[part] + 600 * means[part] / sum(means.values())) / (questions + 600)
        for part in lists
    }
    expected = {part: share for part, share in expected.items() if share >= 0.01}
    total = sum(expected.values())
    assert held_back(found, alone).weights == pytest.approx(
        {part: share / total for part, share in expected.items()}
    )


@settings(max_examples=10, deadline=None)
@given(st.integers(0, 100), st.floats(0.1, 0.9), st.floats(0.1, 0.9))
def test_a_climb_ends_where_no_single_weight_gains(seed, one, other):
    lists, relevant = _world({"a": one, "b": other, "c": 0.05}, questions=150, seed=seed)
    weights, pool = [0.0, 1.0, 2.0], Pool.of(lists, "z_score", 30, 100)

    def worth(mixture):
        return worth_of(pool.rank(mixture, 10, np.arange(100)), relevant)

    start = Mixture("z_score", {"a": 1.0, "b": 1.0, "c": 1.0})
    found = climb(start, [*lists], weights, worth)
    reached = worth(found).mean()
    assert reached >= worth(start).mean()
    for part in lists:
        for weight in weights:
            tried = {**found.weights, part: weight}
            there = {name: value for name, value in tried.items() if value}
            assert not there or worth(Mixture("z_score", there)).mean() <= reached + 1e-9


def test_where_few_questions_tell_nobody_apart_weights_stay_nearly_equal():
    lists, relevant = _world({"a": 0.5, "b": 0.5}, questions=40)
    assert _choose(lists, relevant).mixture.weights == pytest.approx({"a": 0.5, "b": 0.5}, abs=0.1)


def test_where_one_part_is_far_above_all_others_what_gains_say_is_not_held_back():
    skills = {"a": 0.6, "b": 0.1, "c": 0.1, "d": 0.1}
    lists, relevant = _world(skills, questions=150)
    pool = Pool.of(lists, "z_score", 30, 100)

    def worth(mixture):
        return worth_of(pool.rank(mixture, 10, np.arange(100)), relevant)

    alone = {part: worth_of(ranked, relevant) for part, ranked in lists.items()}
    bold = followed("z_score", alone, [0.0, 0.5, 1.0, 2.0], worth)
    lost = worth(held_back(bold, alone)) - alone["a"]
    assert lost.mean() <= lost.std() / len(lost) ** 0.5
    choice = _choose(lists, relevant)
    assert choice.gain > choice.error > 0
    assert choice.mixture.fusion == "z_score"
    assert choice.mixture.weights == pytest.approx(bold.weights)


@pytest.mark.parametrize("allowance", [0.0, 0.03, 0.2, 0.9])
def test_a_part_is_given_the_most_weight_that_costs_no_more_than_allowed(allowance):
    lists, relevant = _world({"words": 0.9, "meaning": 0.2})
    before = _choose(lists, relevant).mixture
    weights, ties = [0.0, 0.5, 1.0, 2.0], np.arange(100)
    pool = Pool.of(lists, before.fusion, 30, 100)

    def worth(mixture):
        return worth_of(pool.rank(mixture, 10, ties), relevant)

    after = raised(before, [], {"meaning": allowance}, weights, worth)
    most, own = max(before.weights.values()), before.weights.get("meaning", 0.0)
    weights = [most * weight / 2 for weight in weights]  # as parts of what the heaviest has

    def lost(weight):
        tried = {**before.weights, "meaning": weight}
        return float(worth(before).mean() - worth(Mixture(before.fusion, tried)).mean())

    bearable = [
        weight
        for weight in weights
        if own < weight <= most and lost(weight) <= allowance * worth(before).mean()
    ]
    expected = max(bearable, default=own)
    assert after.weights.get("meaning", 0.0) == expected
    assert {**after.weights, "meaning": 0} == {**before.weights, "meaning": 0}
    assert (allowance == 0.9) <= (expected == most)


@settings(max_examples=15, deadline=None)
@given(st.integers(0, 100), st.floats(0.0, 0.9), st.floats(0.1, 0.9), st.floats(0.0, 0.5))
def test_popularity_never_gets_more_than_half_of_the_heaviest_others_weight(
    seed, popular, knows, allowance
):
    skills = {"words": knows, "meaning": 0.3, "popularity": popular}
    lists, relevant = _world(skills, questions=150, seed=seed)
    allowances = {"meaning": allowance, "popularity": allowance}
    choice = _choose(lists, relevant, allowances=allowances)
    weights = dict(choice.mixture.weights)
    own = weights.pop("popularity", 0.0)
    assert own <= 0.5 * max(weights.values(), default=np.inf) + 1e-9


def test_a_part_that_answers_for_its_own_worth_is_not_called_given():
    lists, relevant = _world({"meaning": 0.9, "words": 0.1})
    choice = _choose(lists, relevant, allowances={"meaning": 0.1})
    assert "meaning" in choice.mixture.weights
    assert (choice.given, choice.cost) == ([], 0)


def test_who_makes_up_for_a_part_that_is_given_weight_stays_though_idle_alone():
    # `letters` knows what `words` knows: idle beside it, until `meaning` has to be outweighed
    lists, relevant = _world({"words": 0.9, "meaning": 0.0})
    lists["meaning"].scores[:, 0] += 8.0  # as sure as it is wrong
    lists["letters"] = lists["words"]
    plain = _choose(lists, relevant)
    assert [*plain.mixture.weights] == ["words"]
    assert (plain.given, plain.cost) == ([], 0)
    given = _choose(lists, relevant, allowances={"meaning": 0.5})
    assert list(given.given) == ["meaning"]
    assert given.mixture.weights.keys() == {"words", "meaning", "letters"}
    assert given.without["letters"] > 0
    worths = [(choice.recall + choice.ndcg) / 2 for choice in (plain, given)]
    assert given.cost == pytest.approx(worths[0] - worths[1])
    assert given.cost <= 0.5 * worths[0] + given.error


def test_mixtures_are_compared_question_by_question():
    lists, relevant = _world({"a": 0.5, "b": 0.5})
    both, one = Mixture("z_score", {"a": 1.0, "b": 1.0}), Mixture("z_score", {"a": 1.0})
    rest = {"lists": lists, "relevant": relevant, "depth": 30, "ties": np.arange(100)}
    more, error = compared(both, one, **rest)
    assert more > 5 * error > 0
    assert compared(one, both, **rest) == pytest.approx((-more, error))
    assert compared(both, both, **rest) == (0, 0)
