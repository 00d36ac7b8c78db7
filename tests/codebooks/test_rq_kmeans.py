import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as arrays

from assets.codebooks.artifact import QUANTIZERS, Codebooks
from assets.codebooks.fit_report import describe_fit
from assets.codebooks.params import CodebooksParams
from assets.codebooks.rq_kmeans import RQKMeans


def clustered(items: int, dim: int = 16, seed: int = 0) -> np.ndarray:
    rng = np.random.default_rng(seed)
    centres = rng.normal(size=(12, dim))
    points = centres[rng.integers(12, size=items)] + 0.3 * rng.normal(size=(items, dim))
    return (points / np.linalg.norm(points, axis=1, keepdims=True)).astype(np.float32)


def small(**changes: int) -> CodebooksParams:
    return CodebooksParams(**{"levels": 3, "codebook_size": 8, "iterations": 10} | changes)


def codes_level_by_level(vectors: np.ndarray, books: list[np.ndarray]) -> np.ndarray:
    """The definition: at each level the code nearest to what is left, one vector at a time."""
    rows = []
    for vector in vectors.astype(np.float64):
        left, row = vector, []
        for book in books:
            row.append(int(((left - book) ** 2).sum(axis=1).argmin()))
            left = left - book[row[-1]]
        rows.append(row)
    return np.array(rows)


def test_codes_are_the_nearest_at_every_level() -> None:
    vectors = clustered(400)
    quantizer = RQKMeans.fit(vectors, small())
    expected = codes_level_by_level(vectors, quantizer.codebooks)
    np.testing.assert_array_equal(quantizer.encode(vectors), expected)


def test_each_level_lowers_the_error() -> None:
    vectors = clustered(400)
    quantizer = RQKMeans.fit(vectors, small())
    codes = quantizer.encode(vectors)
    left = [((vectors - quantizer.decode(codes[:, :n])) ** 2).sum() for n in range(4)]
    assert left == sorted(left, reverse=True)
    assert left[3] < 0.5 * left[1]


def test_the_same_seed_gives_the_same_version_and_another_one_another() -> None:
    vectors = clustered(400)

    def version(seed: int) -> str:
        return Codebooks(RQKMeans.fit(vectors, small(seed=seed)), "text", {}).version

    assert version(1) == version(1)
    assert version(1) != version(2)


def test_saved_codebooks_load_as_they_were(tmp_path) -> None:
    vectors = clustered(100)
    saved = Codebooks(RQKMeans.fit(vectors, small()), "text", {"levels": 3})
    saved.save(tmp_path)
    loaded = Codebooks.load(tmp_path)
    assert (loaded.version, loaded.sizes, loaded.settings) == (
        saved.version,
        [8] * 3,
        {"levels": 3},
    )
    np.testing.assert_array_equal(loaded.quantizer.encode(vectors), saved.quantizer.encode(vectors))


@pytest.mark.parametrize("items", [1, 2, 7, 8, 9])
def test_more_codes_than_items_rebuild_every_item_exactly(items: int) -> None:
    vectors = clustered(items)
    quantizer = RQKMeans.fit(vectors, small())
    assert [book.shape for book in quantizer.codebooks] == [(8, 16)] * 3
    rebuilt = quantizer.decode(quantizer.encode(vectors))
    np.testing.assert_allclose(rebuilt, vectors, atol=1e-2 if items > 8 else 1e-6)


def test_equal_vectors_get_equal_codes() -> None:
    vectors = np.repeat(clustered(1), 50, axis=0)
    codes = RQKMeans.fit(vectors, small()).encode(vectors)
    assert len(np.unique(codes, axis=0)) == 1


def test_a_large_catalogue_is_sampled_and_still_encoded_as_a_whole() -> None:
    vectors = clustered(2000)
    quantizer = RQKMeans.fit(vectors, small(max_points_per_code=10))
    codes = quantizer.encode(vectors)
    assert codes.shape == (2000, 3)
    whole = RQKMeans.fit(vectors, small())
    error = ((vectors - quantizer.decode(codes)) ** 2).sum()
    assert error < 1.5 * ((vectors - whole.decode(whole.encode(vectors))) ** 2).sum()


@settings(max_examples=30, deadline=None)
@given(
    arrays.arrays(
        np.float32,
        st.tuples(st.integers(1, 30), st.just(3)),
        elements=st.floats(-1, 1, width=16),
    ),
    st.integers(1, 6),
)
def test_any_finite_vectors_get_codes_that_exist(vectors: np.ndarray, size: int) -> None:
    quantizer = RQKMeans.fit(vectors, small(levels=2, codebook_size=size))
    codes = quantizer.encode(vectors)
    assert codes.shape == (len(vectors), 2)
    assert ((codes >= 0) & (codes < size)).all()
    assert np.isfinite(quantizer.decode(codes)).all()


def test_the_report_counts_what_the_codes_do() -> None:
    books = [np.eye(4, 2, dtype=np.float32), np.zeros((4, 2), np.float32)]
    codes = np.array([[0, 0], [0, 0], [1, 0], [1, 1]], np.int32)
    vectors = books[0][codes[:, 0]] + np.float32([0, 0.5])
    report = describe_fit(RQKMeans(books), vectors, codes)
    assert report["conflict_rate_raw"] == pytest.approx(1 / 4)
    assert report["mse"] == pytest.approx(0.25)
    assert report["levels"][0]["utilisation"] == pytest.approx(2 / 4)
    assert report["levels"][0]["perplexity"] == pytest.approx(2)


def test_every_quantizer_is_listed_under_its_own_name() -> None:
    assert all(name == kind.name for name, kind in QUANTIZERS.items())


def test_codes_stay_in_even_use_where_vectors_have_many_dimensions() -> None:
    vectors = np.random.default_rng(0).normal(size=(1500, 96)).astype(np.float32)

    def least_perplexity(spread: float) -> float:
        params = CodebooksParams(levels=2, codebook_size=32, start_spread=spread)
        quantizer = RQKMeans.fit(vectors, params)
        return describe_fit(quantizer, vectors, quantizer.encode(vectors))["perplexity_worst_level"]

    assert least_perplexity(CodebooksParams().start_spread) > least_perplexity(1.0) + 4
