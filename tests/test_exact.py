"""Products that nothing rounds."""

from fractions import Fraction

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as arrays

from assets.exact import products, rounded

numbers = st.floats(-(2.0**100), 2.0**100, width=32)
shapes = st.tuples(st.integers(1, 6), st.sampled_from([1, 2, 3, 7, 64]))


@settings(max_examples=80, deadline=None)
@given(rows=shapes.flatmap(lambda shape: arrays.arrays(np.float32, shape, elements=numbers)))
def test_every_sum_is_exact(rows) -> None:
    kept = [[Fraction(number) for number in row] for row in rounded(rows).tolist()]
    found = products(rows, rows)
    for row, (own, told) in enumerate(zip(kept, found.tolist(), strict=True)):
        for other, value in enumerate(told):
            exact = sum(a * b for a, b in zip(own, kept[other], strict=True))
            assert Fraction(value) == exact, (row, other)


@pytest.mark.parametrize("dim", [1, 5, 64, 384, 4096])
def test_products_are_about_as_good_as_float32(dim) -> None:
    rng = np.random.default_rng(0)
    rows, others = (rng.normal(size=(20, dim)).astype(np.float32) for _ in range(2))
    error = np.abs(products(rows, others) - rows.astype(np.float64) @ others.T.astype(np.float64))
    lengths = np.linalg.norm(rows, axis=1)[:, None] * np.linalg.norm(others, axis=1)
    assert (error / lengths).max() < {1: 1e-7, 5: 1e-7, 64: 1e-7, 384: 2e-7, 4096: 1e-6}[dim]


def test_the_order_of_dimensions_and_rows_changes_no_bit() -> None:
    rng = np.random.default_rng(0)
    rows, others = (rng.normal(size=(100, 384)).astype(np.float32) for _ in range(2))
    expected = products(rows, others)
    for _ in range(5):
        dims, order = rng.permutation(384), rng.permutation(100)
        mixed = products(rows[order][:, dims], others[:, dims])
        np.testing.assert_array_equal(mixed, expected[order])


def test_rows_of_nothing_stay_nothing() -> None:
    np.testing.assert_array_equal(rounded(np.zeros((2, 3), np.float32)), np.zeros((2, 3)))
    assert rounded(np.empty((0, 3), np.float32)).shape == (0, 3)
