"""RRS against a literal reading of PSI, and the promises that hold for any input."""

from itertools import product

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from assets.codebooks.artifact import Codebooks
from assets.codebooks.fitting.fit import TrainingData
from assets.codebooks.fitting.rq_kmeans import fit_rq_kmeans
from assets.codebooks.params import CodebooksParams
from assets.semantic_ids.params import SemanticIdsParams
from assets.semantic_ids.problem import Prior, Problem
from assets.semantic_ids.rrs import place_by_rrs
from assets.stage import UserError


def fitted(vectors: np.ndarray, levels: int, size: int) -> Codebooks:
    params = CodebooksParams(levels=levels, codebook_size=size, iterations=5)
    return Codebooks(fit_rq_kmeans(TrainingData(vectors), params).quantizer, "text", {})


def catalogue(items: int, seed: int = 0, dim: int = 5) -> tuple[np.ndarray, np.ndarray]:
    rng = np.random.default_rng(seed)
    vectors = rng.normal(size=(4, dim))[rng.integers(4, size=items)]
    vectors = vectors + 0.4 * rng.normal(size=(items, dim))
    return np.array([f"i{row:05}" for row in range(items)], object), vectors.astype(np.float32)


def literal_rrs(  # noqa: C901  the whole algorithm in one place, as the paper has it
    problem: Problem, params: SemanticIdsParams
) -> list[tuple[int, ...]]:
    """PSI word by word: residuals subtracted, branches walked to their end, nothing pruned."""
    books = [book.astype(np.float64) for book in problem.codebooks]
    turns = list(range(len(problem.item_ids)))
    if params.order == "error":
        turns.sort(key=lambda row: (problem.errors[row], problem.item_ids[row]))
    used = {tuple(row) for row in problem.prior.codes.tolist()} if problem.prior else set()
    codes: dict[int, tuple[int, ...]] = {}
    for row in turns:
        raw = tuple(problem.raw_codes[row].tolist())
        if raw not in used:
            used.add(raw)
            codes[row] = raw

    def search(residual, widths, path):
        level = len(path)
        if level == len(books):
            return None if path in used else path
        distances = np.linalg.norm(residual - books[level], axis=1)
        for code in np.argsort(distances, kind="stable")[: widths[level]]:
            found = search(residual - books[level][code], widths, (*path, int(code)))
            if found:
                return found
        return None

    last = len(books) - 1
    steps = [[early] * last + [late] for early, late in params.widths]
    while steps[-1][-1] < len(books[-1]):
        steps.append([2 * width for width in steps[-1]])
    for widths in steps:
        for row in turns:
            if row not in codes:
                found = search(problem.latent[row].astype(np.float64), widths, ())
                if found:
                    used.add(found)
                    codes[row] = found
    for row in turns:
        if row not in codes:
            residual, costs = problem.latent[row].astype(np.float64), []
            for book in books:
                costs.append(np.linalg.norm(residual - book, axis=1))
                residual = residual - book[costs[-1].argmin()]
            free = (c for c in product(*map(range, problem.sizes)) if c not in used)
            codes[row] = min(
                free, key=lambda c: sum(cost[k] for cost, k in zip(costs, c, strict=True))
            )
            used.add(codes[row])
    return [codes[row] for row in range(len(problem.item_ids))]


@pytest.mark.parametrize("order", ["error", "index"])
@pytest.mark.parametrize(
    ("items", "levels", "size", "widths"),
    [
        (200, 3, 8, ((1, 10), (5, 20))),  # the released steps, all of the last level at once
        (120, 3, 5, ((1, 2), (2, 3))),  # 96 % load: widened, then best first
        (30, 2, 6, ((1, 1),)),
        (63, 2, 8, ((1, 2), (1, 3))),
        (20, 1, 20, ((1, 2),)),
    ],
)
def test_it_equals_the_literal_recursion(items, levels, size, widths, order):
    ids, vectors = catalogue(items, seed=items)
    params = SemanticIdsParams(order=order, widths=widths)
    problem = Problem.of(ids, vectors, fitted(vectors, levels, size))
    placed = place_by_rrs(problem, params)
    assert [tuple(row) for row in placed.codes.tolist()] == literal_rrs(problem, params)


def test_it_equals_the_literal_recursion_beside_ids_already_taken():
    ids, vectors = catalogue(150)
    books = fitted(vectors, 3, 7)
    old = Problem.of(ids[:90], vectors[:90], books)
    prior = Prior(place_by_rrs(old, SemanticIdsParams()).codes)
    new = Problem.of(ids[90:], vectors[90:], books, prior)
    placed = place_by_rrs(new, SemanticIdsParams())
    assert [tuple(row) for row in placed.codes.tolist()] == literal_rrs(new, SemanticIdsParams())


@settings(max_examples=60, deadline=None)
@given(st.integers(1, 64), st.integers(0, 10), st.sampled_from([(2, 8), (3, 4), (6, 2)]))
def test_every_item_gets_a_sid_of_its_own_up_to_the_last_one(items, seed, shape):
    ids, vectors = catalogue(items, seed)
    problem = Problem.of(ids, vectors, fitted(vectors, *shape))
    codes = place_by_rrs(problem, SemanticIdsParams()).codes
    assert len(np.unique(codes, axis=0)) == items
    assert ((codes >= 0) & (codes < problem.sizes)).all()
    assert codes.shape == (items, shape[0])


@settings(max_examples=40, deadline=None)
@given(st.integers(2, 60), st.integers(0, 10), st.randoms(use_true_random=False))
def test_shuffled_items_get_the_same_ids(items, seed, random):
    ids, vectors = catalogue(items, seed)
    books = fitted(vectors, 2, 8)
    rows = list(range(items))
    random.shuffle(rows)
    straight = Problem.of(ids, vectors, books)
    shuffled = Problem.of(ids[rows], vectors[rows], books)
    np.testing.assert_array_equal(straight.item_ids, shuffled.item_ids)
    for order in ("error", "index"):
        params = SemanticIdsParams(order=order)
        one, other = (place_by_rrs(rows, params).codes for rows in (straight, shuffled))
        np.testing.assert_array_equal(one, other)


def test_items_without_a_conflict_and_the_best_of_each_bucket_never_move():
    ids, vectors = catalogue(200)
    problem = Problem.of(ids, vectors, fitted(vectors, 3, 6))
    codes = place_by_rrs(problem, SemanticIdsParams()).codes
    best: dict[tuple[int, ...], int] = {}
    for row in np.lexsort((ids, problem.errors)):
        best.setdefault(tuple(problem.raw_codes[row]), row)
    keepers = sorted(best.values())
    assert 0 < len(keepers) < len(ids)
    np.testing.assert_array_equal(codes[keepers], problem.raw_codes[keepers])


@settings(max_examples=30, deadline=None)
@given(st.integers(1, 40), st.integers(1, 24), st.integers(0, 5))
def test_an_appended_item_never_takes_an_id_that_was_given_before(old, new, seed):
    ids, vectors = catalogue(old + new, seed)
    books = fitted(vectors, 2, 8)
    params = SemanticIdsParams()
    prior = place_by_rrs(Problem.of(ids[:old], vectors[:old], books), params).codes
    late = Problem.of(ids[old:], vectors[old:], books, Prior(prior))
    added = place_by_rrs(late, params).codes
    assert len(np.unique(np.concatenate([prior, added]), axis=0)) == old + new


def test_a_full_code_space_of_equal_items_is_filled_to_the_last_sid():
    ids, vectors = catalogue(1)
    ids = np.array([f"i{row:03}" for row in range(64)], object)
    vectors = np.repeat(vectors, 64, axis=0)
    codes = place_by_rrs(Problem.of(ids, vectors, fitted(vectors, 3, 4)), SemanticIdsParams()).codes
    assert len(np.unique(codes, axis=0)) == 64


def test_more_items_than_sids_are_refused_with_advice():
    ids, vectors = catalogue(17)
    problem = Problem.of(ids, vectors, fitted(vectors, 2, 4))
    with pytest.raises(UserError, match=r"17 items.*4 x 4.*only 16.*codebook_size"):
        place_by_rrs(problem, SemanticIdsParams())


def test_ids_already_taken_count_against_the_room():
    ids, vectors = catalogue(16)
    books = fitted(vectors, 2, 4)
    prior = Prior(place_by_rrs(Problem.of(ids, vectors, books), SemanticIdsParams()).codes)
    with pytest.raises(UserError, match="enlarge"):
        place_by_rrs(Problem.of(ids[:1], vectors[:1], books, prior), SemanticIdsParams())


def test_one_item_keeps_its_raw_codes():
    ids, vectors = catalogue(1)
    problem = Problem.of(ids, vectors, fitted(vectors, 3, 4))
    codes = place_by_rrs(problem, SemanticIdsParams()).codes
    np.testing.assert_array_equal(codes, problem.raw_codes)
