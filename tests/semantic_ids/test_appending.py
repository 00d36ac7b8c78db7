import dataclasses

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from semantic_ids.made_up import books_of, catalogue

from assets.codebooks.artifact import Codebooks
from assets.codebooks.fitting.fit import TrainingData
from assets.codebooks.fitting.hierarchical_kmeans import fit_hierarchical_kmeans
from assets.codebooks.params import CodebooksParams
from assets.embeddings.artifact import Embeddings
from assets.semantic_ids.appending import Grown, added_error, append_items, drift
from assets.semantic_ids.artifact import SemanticIds
from assets.semantic_ids.params import SemanticIdsParams
from assets.semantic_ids.path_distances import code_distances
from assets.semantic_ids.policies import POLICIES, place_items
from assets.semantic_ids.problem import Problem
from assets.stage import UserError

BOOKS = books_of([6, 6, 6])
UNIQUE = sorted(set(POLICIES) - {"none"})


def params_of(policy: str, **more) -> SemanticIdsParams:
    return SemanticIdsParams(**{"policy": policy, "capacity": 1, "index_size": 300} | more)


def table_of(problem: Problem, grown: Grown, old: SemanticIds) -> SemanticIds:
    return dataclasses.replace(
        old,
        item_ids=problem.item_ids,
        codes=grown.placement.codes,
        raw_codes=problem.raw_codes,
        moved_level=np.zeros(len(problem.item_ids), np.int32),
        distances=code_distances(BOOKS.quantizer, problem.latent, grown.placement.codes),
        extends=old.version,
        reserved=grown.reserved,
    )


def empty(policy: str, **more) -> SemanticIds:
    """A table without items."""
    sizes = [6, 6, 6, 300] if policy == "append_index" else [6, 6, 6]
    none = np.empty((0, len(sizes)), np.int32)
    return SemanticIds(
        item_ids=np.empty(0, object),
        codes=none,
        raw_codes=none[:, :3],
        moved_level=np.empty(0, np.int32),
        distances=np.empty((0, 3), np.float32),
        sizes=sizes,
        policy=policy,
        codebook_version=BOOKS.version,
        bucket_limit=POLICIES[policy].bucket_limit(params_of(policy, **more)),
    )


def grow(old: SemanticIds, ids, vectors, **more) -> SemanticIds:
    problem = Problem.of(ids, vectors, BOOKS)
    params = params_of(old.policy, **more)
    return table_of(problem, append_items(old, problem, params, BOOKS.version), old)


def codes_of(table: SemanticIds) -> dict:
    return dict(zip(table.item_ids, map(tuple, table.codes.tolist()), strict=True))


@settings(max_examples=80, deadline=None)
@given(
    st.sampled_from(sorted(POLICIES)),
    st.lists(st.integers(0, 59), min_size=1, unique=True),
    st.lists(st.integers(0, 59), min_size=1, unique=True),
    st.lists(st.integers(0, 59), min_size=1, unique=True),
    st.integers(0, 20),
)
def test_whoever_comes_goes_and_comes_back_has_one_id_for_good(policy, first, second, third, seed):
    ids, vectors = catalogue(60, seed)
    given: dict = {}
    table = empty(policy)
    for rows in (first, second, third):
        table = grow(table, ids[rows], vectors[rows])
        now = codes_of(table)
        assert sorted(now) == sorted(ids[rows])
        assert all(given.get(item, code) == code for item, code in now.items())
        given |= now
        left = table.reserved
        kept = {} if left is None else dict(zip(left.item_ids, left.codes.tolist(), strict=True))
        assert {item: tuple(code) for item, code in kept.items()} == {
            item: code for item, code in given.items() if item not in now
        }
        if policy != "none":
            assert len(set(given.values())) == len(given)


@pytest.mark.parametrize("policy", sorted(POLICIES))
def test_the_order_of_rows_changes_nothing(policy):
    ids, vectors = catalogue(120)
    old = grow(empty(policy), ids[::2], vectors[::2])
    mixed = np.random.default_rng(1).permutation(120)
    straight, shuffled = grow(old, ids, vectors), grow(old, ids[mixed], vectors[mixed])
    np.testing.assert_array_equal(straight.codes, shuffled.codes)
    assert straight.version == shuffled.version


@pytest.mark.parametrize("policy", UNIQUE)
def test_in_one_batch_and_in_ten_old_ids_stay_and_all_are_unique(policy):
    ids, vectors = catalogue(200)
    mixed = np.random.default_rng(0).permutation(200)
    ids, vectors = ids[mixed], vectors[mixed]
    first = grow(empty(policy), ids[:100], vectors[:100])
    at_once = grow(first, ids, vectors)
    in_ten = first
    for end in range(110, 201, 10):
        in_ten = grow(in_ten, ids[:end], vectors[:end])
    errors = Problem.of(ids, vectors, BOOKS).errors
    is_new = ~np.isin(at_once.item_ids, first.item_ids)
    assert is_new.sum() == 100
    for grown in (at_once, in_ten):
        np.testing.assert_array_equal(grown.codes[~is_new], first.codes)
        assert len(np.unique(grown.codes, axis=0)) == 200
        added = added_error(grown, errors, is_new)
        if policy == "append_index":
            assert added == pytest.approx(0, abs=1e-6)
        elif policy != "random_n":
            assert 0 < added < errors.mean() * 10


@pytest.mark.parametrize("policy", sorted(POLICIES))
def test_without_a_new_item_nothing_changes(policy):
    ids, vectors = catalogue(60)
    old = grow(empty(policy), ids, vectors)
    np.testing.assert_array_equal(grow(old, ids, vectors).codes, old.codes)


def test_the_table_keeps_on_disk_what_it_extends_and_what_is_reserved(tmp_path):
    ids, vectors = catalogue(50)
    first = grow(empty("rrs"), ids[:40], vectors[:40])
    grown = grow(first, ids[10:], vectors[10:])
    grown.save(tmp_path)
    read = SemanticIds.load(tmp_path)
    assert read.version == grown.version
    assert read.extends == first.version == SemanticIds.manifest(tmp_path)["extends"]
    assert read.reserved is not None
    assert read.reserved.item_ids.tolist() == ids[:10].tolist()
    np.testing.assert_array_equal(read.reserved.codes, first.codes[:10])


@pytest.mark.parametrize("policy", sorted(set(UNIQUE) - {"append_index"}))
def test_reserved_ids_leave_no_room_and_a_rebuild_does(policy):
    ids, vectors = catalogue(217)
    full = grow(empty(policy), ids[:216], vectors[:216])
    with pytest.raises(UserError, match=r"216 that are taken.*enlarge.*`sidmill rebuild`"):
        grow(full, ids[1:], vectors[1:])


def test_an_index_without_numbers_left_asks_for_a_rebuild():
    ids, _ = catalogue(5)
    vectors = np.zeros((5, 5), np.float32)
    old = dataclasses.replace(empty("append_index"), sizes=[6, 6, 6, 4])
    old = grow(old, ids[:4], vectors[:4], index_size=4)
    with pytest.raises(UserError, match=r"`semantic_ids.index_size` to 5.*`sidmill rebuild`"):
        grow(old, ids, vectors, index_size=4)


def test_codes_that_mean_something_only_under_their_prefix_are_appended_to_as_well():
    ids, vectors = catalogue(80)
    params = CodebooksParams(quantizer="hierarchical_kmeans", levels=2, codebook_size=4)
    fitted = fit_hierarchical_kmeans(TrainingData(vectors[:60]), params)
    tree = Codebooks(fitted.quantizer, "text", {})
    assert not tree.quantizer.additive
    first = Problem.of(ids[:60], vectors[:60], tree)
    placed = place_items(first, params_of("append_index"))
    old = dataclasses.replace(
        empty("append_index"),
        item_ids=first.item_ids,
        codes=placed.codes,
        raw_codes=first.raw_codes,
        sizes=placed.sizes,
        codebook_version=tree.version,
    )
    now = Problem.of(ids, vectors, tree)
    grown = append_items(old, now, params_of("append_index"), tree.version)
    np.testing.assert_array_equal(grown.placement.codes[:60], placed.codes)
    assert len(np.unique(grown.placement.codes, axis=0)) == 80


def test_what_is_asked_for_must_be_what_was_given():
    ids, vectors = catalogue(20)
    problem = Problem.of(ids, vectors, BOOKS)
    rrs, ecm = params_of("rrs"), params_of("ecm")
    old = grow(empty("rrs"), ids[:10], vectors[:10])
    with pytest.raises(UserError, match="does not hold the codebooks"):
        append_items(old, problem, rrs, "other")
    with pytest.raises(UserError, match=r"`semantic_ids.policy` is 'ecm'.*given with 'rrs'"):
        append_items(old, problem, ecm, BOOKS.version)
    old = grow(empty("knn_n", capacity=3), ids[:10], vectors[:10], capacity=3)
    with pytest.raises(UserError, match=r"`semantic_ids.capacity` is 2.*given with 3"):
        grow(old, ids, vectors, capacity=2)
    old = grow(empty("append_index"), ids[:10], vectors[:10])
    with pytest.raises(UserError, match=r"SIDs of \[6, 6, 6, 99\] codes.*set it back"):
        grow(old, ids, vectors, index_size=99)


def test_drift_counts_changed_items_and_how_far_they_went():
    ids, vectors = catalogue(60)
    old = grow(empty("rrs"), ids, vectors)
    later = vectors.copy()
    later[7] += 3
    later[9, 0] += 0.5
    later[11] += 1e-6  # another batch
    mixed = np.random.default_rng(0).permutation(60)[5:]
    problem = Problem.of(ids[mixed], later[mixed], BOOKS)
    now = Embeddings(ids[mixed], {"text": later[mixed]})
    told = drift(old, Embeddings(ids, {"text": vectors}), problem, now, "text")
    far = np.linalg.norm(later - vectors, axis=1)[[row for row in (7, 9) if row in mixed]]
    assert told["changed_items"] == len(far) == 2
    assert told["drift_mean"] == pytest.approx(far.mean(), rel=1e-5)
    assert told["drift_max"] == pytest.approx(far.max(), rel=1e-5)
    codes = BOOKS.quantizer.encode(later) != BOOKS.quantizer.encode(vectors)
    assert told["changed_items_other_codes"] == codes[[7, 9]].any(axis=1).sum()
    again = Problem.of(ids, vectors, BOOKS)
    same = Embeddings(ids, {"text": vectors})
    assert set(drift(old, same, again, same, "text").values()) == {0}
