"""Every measure against its definition, computed slowly."""

import math
from collections import Counter
from itertools import product

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from assets.collision_report.categories import Categories, prefix_purity
from assets.collision_report.hit_rates import (
    Sought,
    bounded,
    hits,
    neighbour_overlap,
    neighbours,
    partner_recall,
)
from assets.collision_report.measures import (
    bucket_counts,
    bucket_histogram,
    collisions,
    different,
    entropy,
    gini,
    index_share,
    level_use,
    prefix_keys,
    space_use,
    worst_levels,
)

counts_lists = st.lists(st.integers(1, 50), min_size=1, max_size=30)


def gini_by_definition(counts) -> float:
    """Half the mean absolute difference of all pairs, relative to the mean."""
    differences = [abs(a - b) for a, b in product(counts, counts)]
    return sum(differences) / (2 * len(counts) ** 2 * (sum(counts) / len(counts)))


@given(counts_lists, st.integers(0, 40))
def test_gini_is_half_the_relative_mean_difference(counts, empty):
    expected = gini_by_definition([*counts, *[0] * empty])
    assert gini(np.array(counts), len(counts) + empty) == pytest.approx(expected, abs=1e-9)
    assert gini(np.array([*counts, *[0] * empty])) == pytest.approx(expected, abs=1e-9)


def test_gini_over_occupied_sids_is_blind_to_collapse_and_over_the_space_is_not():
    assert gini(np.array([500, 500])) == 0
    assert gini(np.array([500, 500]), 1000) == pytest.approx(0.998)


@given(counts_lists)
def test_entropy_is_in_bits_and_empty_codes_add_nothing(counts):
    shares = [count / sum(counts) for count in counts]
    expected = -sum(share * math.log2(share) for share in shares)
    assert entropy(np.array([*counts, 0])) == pytest.approx(expected, abs=1e-12)
    even = np.full(8, 5)
    assert entropy(even) == pytest.approx(3)


@given(
    st.integers(1, 6).flatmap(
        lambda length: st.lists(
            st.lists(st.sampled_from([0, 1, 2, 2**31 - 1]), min_size=length, max_size=length),
            min_size=1,
            max_size=30,
        )
    )
)
def test_buckets_are_equal_rows_however_large_the_codes(rows):
    counts = Counter(map(tuple, rows))
    codes = np.array(rows, np.int32)
    assert bucket_counts(codes).tolist() == [counts[row] for row in sorted(counts)]
    for length, keys in enumerate(prefix_keys(codes), start=1):
        equal = [[a[:length] == b[:length] for b in rows] for a in rows]
        assert (keys[:, None] == keys).tolist() == equal


def test_collisions_count_items_that_share_and_ids_that_lack():
    codes = np.array([[0, 0], [0, 0], [0, 0], [0, 1], [1, 0], [1, 0]], np.int32)
    counts = bucket_counts(codes)
    assert collisions(counts) == {
        "conflict_rate": pytest.approx(3 / 6),
        "share_in_conflict": pytest.approx(5 / 6),
        "largest_bucket": 3,
    }
    final = np.array([[0, row] for row in range(6)], np.int32)
    assert bucket_histogram(counts, bucket_counts(final)) == [
        {"items_per_sid": 1, "sids_before": 1, "sids_after": 6},
        {"items_per_sid": 2, "sids_before": 1, "sids_after": 0},
        {"items_per_sid": 3, "sids_before": 1, "sids_after": 0},
    ]


@given(st.lists(st.sampled_from([0.0, 1.0, 1.0000001]), min_size=1, max_size=12))
def test_equal_vectors_count_once(firsts):
    vectors = np.array([[first, 2.0] for first in firsts], np.float32)
    rows = different(vectors)
    assert rows.tolist() == [
        row for row in range(len(firsts)) if vectors[row, 0] not in vectors[:row, 0]
    ]


@given(counts_lists)
def test_an_index_carries_what_the_codes_leave_open(counts):
    items = sum(counts)
    whole = math.log2(max(items, 2))
    told = entropy(np.array(counts))  # by the codes
    left = math.log2(items) - told
    assert index_share(np.array(counts)) == pytest.approx(left / whole, abs=1e-9)


def test_level_use_counts_codes_that_some_item_has():
    codes = np.array([[0, 0], [0, 0], [0, 1], [3, 1]], np.int32)
    entering = np.array([[1, 0.5], [1, 0.5], [1, 0], [1, 0]])
    vectors = np.eye(4)
    first, second = level_use(codes, [4, 8], entering, vectors)
    assert (first["used"], first["utilisation"], first["largest_share"]) == (2, 0.5, 0.75)
    assert first["gini"] == pytest.approx(gini_by_definition([3, 0, 0, 1]))
    # Only two items have anything left, and they could have had two codes.
    assert (second["items_left"], second["possible"], second["used"]) == (2, 2, 1)
    assert (second["utilisation"], second["entropy"], second["perplexity"]) == (0.5, 0, 1)
    assert worst_levels([first, second])["utilisation_worst_level"] == 0.5
    assert worst_levels([first, second])["perplexity_worst_level"] == first["perplexity"]


def told_apart(items: int, codes, entering=None, vectors=None) -> dict[str, float | None]:
    """The worst levels of so many items with 256 codes a level."""
    entering = np.ones(np.shape(codes)) if entering is None else entering
    vectors = np.eye(items) if vectors is None else vectors
    return worst_levels(level_use(np.asarray(codes, np.int32), [256, 256], entering, vectors))


def test_collapse_shows_where_there_are_fewer_items_than_codes():
    own = np.arange(40)
    nothing = np.zeros(40, int)
    collapsed = told_apart(40, np.column_stack([nothing, nothing]))
    assert collapsed["utilisation_worst_level"] == 1 / 40
    assert collapsed["gini_worst_level"] > 0.9
    assert collapsed["perplexity_worst_level"] == 1
    second = told_apart(40, np.column_stack([own % 8, nothing]))
    assert second["utilisation_worst_level"] == 1 / 40

    apart = told_apart(40, np.column_stack([own, own]))
    assert (apart["utilisation_worst_level"], apart["gini_worst_level"]) == (1, pytest.approx(0))


def test_what_is_told_apart_before_or_equal_is_no_collapse():
    own = np.arange(40)
    done = np.column_stack([np.ones(40), np.zeros(40)])
    assert told_apart(40, np.column_stack([own, own * 0]), done)["utilisation_worst_level"] == 1
    level = level_use(np.zeros((40, 2), np.int32), [256, 256], done, np.eye(40))[1]
    assert (level["items_left"], level["utilisation"], level["gini"]) == (0, None, None)
    # Equal vectors cannot have different codes, whoever makes them.
    equal = told_apart(40, np.zeros((40, 2)), vectors=np.ones((40, 3)))
    assert equal["utilisation_worst_level"] is None
    pairs = told_apart(40, np.column_stack([own // 2, own // 2]), vectors=np.eye(20)[own // 2])
    assert pairs["utilisation_worst_level"] == 1


def test_space_use_counts_empty_sids():
    codes = np.array([[0, 0], [0, 1], [1, 1]], np.int32)
    use = space_use(bucket_counts(codes), [2, 3])
    assert (use["code_space"], use["load"]) == (6, 0.5)
    assert use["gini_full_space"] == pytest.approx(gini_by_definition([1, 1, 1, 0, 0, 0]))


def naive_neighbours(vectors, row, k) -> set[int]:
    scores = vectors.astype(np.float64) @ vectors[row].astype(np.float64)
    order = [other for other in np.argsort(-scores, kind="stable").tolist() if other != row]
    return set(order[:k])


@settings(max_examples=30, deadline=None)
@given(st.integers(2, 40), st.integers(1, 12), st.integers(0, 1000))
def test_hit_rates_equal_a_loop_over_sessions(items, k, seed):
    rng = np.random.default_rng(seed)
    vectors = rng.normal(size=(items, 6)).astype(np.float32)
    sources = [rng.integers(items, size=rng.integers(0, 5)) for _ in range(15)]
    targets = [rng.integers(items, size=rng.integers(1, 4)) for _ in range(15)]
    expected = [
        np.mean([any(t in naive_neighbours(vectors, row, k) for row in rows) for t in right])
        for rows, right in zip(sources, targets, strict=True)
    ]
    assert hits(vectors, Sought(sources, targets), k).tolist() == expected


@given(
    st.lists(st.lists(st.integers(0, 20), max_size=6), min_size=1, max_size=15),
    st.integers(1, 30),
    st.integers(0, 9),
)
def test_tasks_are_taken_until_their_sources_are_too_many(lists, most, seed):
    sources = [np.array(rows, np.int64) for rows in lists]
    places = bounded(sources, most, np.random.default_rng(seed)).tolist()
    taken = set().union(*(lists[place] for place in places))
    assert places == sorted(set(places))
    assert len(taken) <= most or len(places) == 1
    order = np.random.default_rng(seed).permutation(len(lists)).tolist()
    assert sorted(order[: len(places)]) == places
    if len(places) < len(lists):
        assert len(taken | set(lists[order[len(places)]])) > most


@settings(max_examples=30, deadline=None)
@given(st.integers(2, 30), st.integers(1, 8), st.integers(0, 1000))
def test_partner_recall_equals_a_loop_over_items(items, k, seed):
    rng = np.random.default_rng(seed)
    vectors = rng.normal(size=(items, 5)).astype(np.float32)
    pairs = np.unique(rng.integers(items, size=(40, 2)), axis=0)
    shares = []
    for item in np.unique(pairs[:, 0]):
        others = pairs[pairs[:, 0] == item, 1]
        near = naive_neighbours(vectors, item, k)
        shares.append(np.mean([other in near for other in others]))
    assert partner_recall(vectors, pairs[:, 0], pairs[:, 1], k) == pytest.approx(np.mean(shares))


def test_an_item_is_never_its_own_neighbour_even_among_equal_ones():
    vectors = np.ones((20, 3), np.float32)
    found = neighbours(vectors, np.arange(20), 5)
    assert found.shape == (20, 5)
    assert not (found == np.arange(20)[:, None]).any()


@settings(max_examples=30, deadline=None)
@given(st.integers(2, 40), st.integers(1, 12), st.integers(0, 1000))
def test_overlap_is_the_mean_share_of_common_neighbours(items, k, seed):
    rng = np.random.default_rng(seed)
    raw = rng.normal(size=(items, 6)).astype(np.float32)
    rebuilt = raw + rng.normal(size=raw.shape, scale=0.4).astype(np.float32)
    common = [
        len(naive_neighbours(raw, row, k) & naive_neighbours(rebuilt, row, k))
        for row in range(items)
    ]
    found = neighbour_overlap(raw, rebuilt, k=k, most=items, seed=0)
    expected = np.mean(common) / min(k, items - 1)
    assert found["neighbour_overlap"] == pytest.approx(expected)
    few = neighbour_overlap(raw, rebuilt, k=k, most=2, seed=0)
    assert few["neighbour_overlap_items"] == 2


def test_overlap_is_one_for_the_same_vectors_and_nothing_for_a_single_item():
    vectors = np.random.default_rng(0).normal(size=(50, 4)).astype(np.float32)
    assert neighbour_overlap(vectors, vectors, k=5, most=50, seed=0)["neighbour_overlap"] == 1
    alone = neighbour_overlap(vectors[:1], vectors[:1], k=5, most=50, seed=0)
    assert alone["neighbour_overlap"] is None


words = st.sets(st.sampled_from(["Drama", "War", "Comedy", "Noir"]), max_size=3)


@settings(max_examples=50, deadline=None)
@given(st.lists(st.tuples(st.integers(0, 2), st.integers(0, 2), words), min_size=1, max_size=25))
def test_purity_is_the_share_with_the_commonest_word_of_their_prefix(rows):
    codes = np.array([row[:2] for row in rows], np.int32)
    texts = pd.Series(["|".join(sorted(row[2])) or None for row in rows], dtype="str")
    found = prefix_purity(codes, Categories.of(texts), seed=0)
    known = [row for row in rows if row[2]]
    if not known:
        assert found == {"prefix_purity": [None, None], "items_with_category": 0, "purity": []}
        return
    for length in (1, 2):
        buckets = {row[:length]: Counter() for row in known}
        for row in known:
            buckets[row[:length]].update(row[2])
        right = sum(max(counts.values()) for counts in buckets.values())
        assert found["prefix_purity"][length - 1] == pytest.approx(right / len(known))
    assert found["items_with_category"] == len(known)
    assert found["purity"][0]["prefixes"] == len({row[0] for row in known})


def test_purity_beats_chance_where_prefixes_follow_the_categories():
    names = np.array(["Drama", "War", "Noir"])
    kinds = np.random.default_rng(0).integers(3, size=900)
    table = prefix_purity(
        kinds[:, None].astype(np.int32), Categories.of(pd.Series(names[kinds])), 0
    )
    assert table["prefix_purity"] == [1]
    assert table["purity"][0]["purity_by_chance"] < 0.45
