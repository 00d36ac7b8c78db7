import numpy as np
import pytest
from codebooks.made_up_vectors import clustered, fit

from assets.codebooks.fit_report import describe_fit
from assets.codebooks.params import CodebooksParams
from assets.codebooks.rq_kmeans import RQKMeans


def test_each_level_lowers_the_error() -> None:
    vectors = clustered(400)
    quantizer = fit("rq_kmeans", vectors)
    codes = quantizer.encode(vectors)
    left = [((vectors - quantizer.decode(codes[:, :n])) ** 2).sum() for n in range(4)]
    assert left == sorted(left, reverse=True)
    assert left[3] < 0.5 * left[1]


@pytest.mark.parametrize("items", [1, 2, 7, 8, 9])
def test_more_codes_than_items_rebuild_every_item_exactly(items: int) -> None:
    vectors = clustered(items)
    quantizer = fit("rq_kmeans", vectors)
    assert [book.shape for book in quantizer.codebooks] == [(8, 16)] * 3
    rebuilt = quantizer.decode(quantizer.encode(vectors))
    np.testing.assert_allclose(rebuilt, vectors, atol=1e-2 if items > 8 else 1e-6)


def test_equal_vectors_get_equal_codes() -> None:
    vectors = np.repeat(clustered(1), 50, axis=0)
    codes = fit("rq_kmeans", vectors).encode(vectors)
    assert len(np.unique(codes, axis=0)) == 1


def test_a_large_catalogue_is_sampled_and_still_encoded_as_a_whole() -> None:
    vectors = clustered(2000)
    quantizer = fit("rq_kmeans", vectors, max_points_per_code=10)
    codes = quantizer.encode(vectors)
    assert codes.shape == (2000, 3)
    whole = fit("rq_kmeans", vectors)
    error = ((vectors - quantizer.decode(codes)) ** 2).sum()
    assert error < 1.5 * ((vectors - whole.decode(whole.encode(vectors))) ** 2).sum()


def test_the_report_counts_what_the_codes_do() -> None:
    books = [np.eye(4, 2, dtype=np.float32), np.zeros((4, 2), np.float32)]
    codes = np.array([[0, 0], [0, 0], [1, 0], [1, 1]], np.int32)
    vectors = books[0][codes[:, 0]] + np.float32([0, 0.5])
    report = describe_fit(RQKMeans(books), vectors, codes)
    assert report["conflict_rate_raw"] == pytest.approx(1 / 4)
    assert report["mse"] == pytest.approx(0.25)
    assert report["levels"][0]["utilisation"] == pytest.approx(2 / 4)
    assert report["levels"][0]["perplexity"] == pytest.approx(2)


def test_codes_stay_in_even_use_where_vectors_have_many_dimensions() -> None:
    vectors = np.random.default_rng(0).normal(size=(1500, 96)).astype(np.float32)

    def least_perplexity(spread: float) -> float:
        knobs = {"levels": 2, "codebook_size": 32, "iterations": 25}
        quantizer = fit("rq_kmeans", vectors, start_spread=spread, **knobs)
        return describe_fit(quantizer, vectors, quantizer.encode(vectors))["perplexity_worst_level"]

    assert least_perplexity(CodebooksParams().start_spread) > least_perplexity(1.0) + 4


def test_normalised_residuals_are_coded_by_direction_and_rebuilt_by_their_mean() -> None:
    vectors = clustered(400)
    quantizer = fit("rq_kmeans", vectors, rq_kmeans={"normalise_residuals": True})
    codes = quantizer.encode(vectors)
    left = vectors
    for level, book in enumerate(quantizer.codebooks):
        unit = left / np.linalg.norm(left, axis=1, keepdims=True)
        centres = quantizer.tensors()[f"direction_{level}"]
        nearest = ((unit[:, None] - centres[None]) ** 2).sum(axis=2).argmin(axis=1)
        assert (nearest == codes[:, level]).mean() > 0.99
        for code in range(8):
            members = left[codes[:, level] == code]
            np.testing.assert_allclose(book[code], members.mean(axis=0), atol=1e-5)
        left = left - book[codes[:, level]]
    loaded = RQKMeans.from_tensors(quantizer.tensors())
    np.testing.assert_array_equal(loaded.encode(vectors), codes)
    plain = fit("rq_kmeans", vectors)
    assert (plain.encode(vectors) != codes).any()
