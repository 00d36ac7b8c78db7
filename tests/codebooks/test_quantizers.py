"""What holds of every quantizer that learns from vectors."""

from typing import get_args

import numpy as np
import pytest
from codebooks.made_up_vectors import FITTED, clustered, fit, small
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as arrays
from pydantic import ValidationError
from safetensors.numpy import save_file

from assets.codebooks.artifact import Codebooks
from assets.codebooks.fit_report import describe_fit
from assets.codebooks.fitting.fitters import FITTERS
from assets.codebooks.params import CodebooksParams, QuantizerName
from assets.codebooks.quantizers import QUANTIZERS

some_vectors = arrays.arrays(
    np.float32, st.tuples(st.integers(1, 30), st.just(5)), elements=st.floats(-1, 1, width=16)
)


def test_every_quantizer_is_listed_under_its_own_name_and_can_be_fitted() -> None:
    assert all(name == kind.name for name, kind in QUANTIZERS.items())
    assert list(QUANTIZERS) == list(FITTERS) == list(get_args(QuantizerName))


@pytest.mark.parametrize("name", FITTED)
@settings(max_examples=8, deadline=None)
@given(vectors=some_vectors, size=st.sampled_from([2, 4]), levels=st.integers(1, 4))
def test_any_finite_vectors_get_codes_that_exist(name, vectors, size, levels) -> None:
    quantizer = fit(name, vectors, codebook_size=size, levels=levels)
    codes = quantizer.encode(vectors)
    assert [len(book) for book in quantizer.codebooks] == [size] * levels
    assert codes.shape == (len(vectors), levels)
    assert codes.dtype == np.int32
    assert ((codes >= 0) & (codes < size)).all()
    rebuilt = quantizer.decode(codes)
    assert rebuilt.shape == vectors.shape
    assert rebuilt.dtype == np.float32
    assert np.isfinite(rebuilt).all()


@pytest.mark.parametrize("name", FITTED)
@pytest.mark.parametrize(
    "vectors",
    [
        pytest.param(np.repeat(clustered(1), 50, axis=0), id="all equal"),
        pytest.param(clustered(1), id="one item"),
        pytest.param(clustered(5), id="more codes than items"),
        pytest.param(np.zeros((20, 16), np.float32), id="all zero"),
    ],
)
def test_degenerate_vectors_get_codes_that_follow_from_the_vector(name, vectors) -> None:
    quantizer = fit(name, vectors)
    codes = quantizer.encode(vectors)
    assert len(np.unique(codes, axis=0)) <= len(np.unique(vectors, axis=0))
    assert np.isfinite(quantizer.decode(codes)).all()
    assert np.isfinite(quantizer.latent(vectors)).all()


@pytest.mark.parametrize("name", FITTED)
def test_saved_codebooks_load_as_they_were(name, tmp_path) -> None:
    vectors = clustered(100)
    saved = Codebooks(fit(name, vectors), "text", {"levels": 3})
    saved.save(tmp_path)
    loaded = Codebooks.load(tmp_path)
    assert (loaded.version, loaded.sizes) == (saved.version, [8] * 3)
    codes = saved.quantizer.encode(vectors)
    np.testing.assert_array_equal(loaded.quantizer.encode(vectors), codes)
    np.testing.assert_array_equal(loaded.quantizer.decode(codes), saved.quantizer.decode(codes))
    np.testing.assert_array_equal(loaded.quantizer.latent(vectors), saved.quantizer.latent(vectors))


@pytest.mark.parametrize("name", FITTED)
def test_the_same_seed_gives_the_same_bytes_and_another_seed_others(name, tmp_path) -> None:
    vectors = clustered(300)
    for run, seed in enumerate((1, 1, 2)):
        save_file(fit(name, vectors, seed=seed).tensors(), tmp_path / f"{run}.safetensors")
    first, again, other = ((tmp_path / f"{run}.safetensors").read_bytes() for run in range(3))
    assert first == again
    assert first != other


@pytest.mark.parametrize("name", FITTED)
def test_codes_tell_more_than_the_mean_and_each_vector_is_coded_by_itself(name) -> None:
    vectors = clustered(400)
    # twenty times the quick training for those that train: it must learn, not only run
    longer = {"rq_vae": {"epochs": 60, "learning_rate": 0.01}} if name == "rq_vae" else {}
    quantizer = fit(name, vectors, **longer)
    codes = quantizer.encode(vectors)
    error = ((vectors - quantizer.decode(codes)) ** 2).sum(axis=1).mean()
    assert error < 0.6 * vectors.var(axis=0).sum()
    few = np.arange(399, 380, -3)
    np.testing.assert_array_equal(quantizer.encode(vectors[few]), codes[few])


def codes_level_by_level(latent: np.ndarray, books: list[np.ndarray]) -> np.ndarray:
    """The definition: at each level the code nearest to what is left, one vector at a time."""
    rows = []
    for vector in latent.astype(np.float64):
        left, row = vector, []
        for book in books:
            row.append(int(((left - book) ** 2).sum(axis=1).argmin()))
            left = left - book[row[-1]]
        rows.append(row)
    return np.array(rows)


@pytest.mark.parametrize("name", ["rq_kmeans", "rq_vae", "opq", "residual_lfq"])
def test_codes_are_the_nearest_at_every_level(name) -> None:
    vectors = clustered(300)
    quantizer = fit(name, vectors)
    expected = codes_level_by_level(quantizer.latent(vectors), quantizer.codebooks)
    np.testing.assert_array_equal(quantizer.encode(vectors), expected)


@pytest.mark.parametrize("name", ["rq_kmeans", "rq_vae", "opq", "hierarchical_kmeans"])
def test_each_level_may_have_a_size_of_its_own(name) -> None:
    vectors = clustered(300)
    quantizer = fit(name, vectors, codebook_size=[4, 16, 7])
    assert Codebooks(quantizer, "text", {}).sizes == [4, 16, 7]
    codes = quantizer.encode(vectors)
    assert (codes.max(axis=0) < [4, 16, 7]).all()
    assert codes[:, 1].max() > 7


@pytest.mark.parametrize("name", ["dictionary", "residual_lfq"])
def test_who_needs_levels_of_one_size_says_so(name) -> None:
    with pytest.raises(Exception, match="codebook_size"):
        fit(name, clustered(50), codebook_size=[4, 8, 8])


def test_residual_lfq_asks_for_a_power_of_two() -> None:
    with pytest.raises(Exception, match="power of two"):
        fit("residual_lfq", clustered(50), codebook_size=12)


@pytest.mark.parametrize(
    ("section", "told"),
    [
        ({"codebook_size": [4, 4]}, "2 sizes for 3 `levels`"),
        ({"codebook_size": 0}, "codebook_size"),
        ({"rq_vae": {"epoch": 3}}, "rq_vae.epoch"),
        ({"rq_vae": {"on_collapse": "pray"}}, "on_collapse"),
        ({"opq": {}}, "opq"),
    ],
)
def test_params_that_make_no_sense_are_refused(section, told) -> None:
    with pytest.raises(ValidationError) as caught:
        CodebooksParams.model_validate(section)
    assert told in str(caught.value)


def test_every_knob_of_a_quantizers_own_section_is_documented() -> None:
    sections = {name: getattr(small(), name) for name in QUANTIZERS if hasattr(small(), name)}
    assert {"rq_vae", "residual_lfq", "dictionary", "external"} <= set(sections)
    for section in sections.values():
        assert all(field.description for field in type(section).model_fields.values())


def test_the_manifest_tells_the_settings_of_the_chosen_quantizer_alone() -> None:
    settings = small("dictionary").settings
    assert settings["dictionary"]["batch_size"] == 32
    assert "rq_vae" not in settings


def test_the_report_tells_what_is_left_after_each_level_of_a_tree() -> None:
    vectors = clustered(100)
    tree = fit("hierarchical_kmeans", vectors, codebook_size=3)
    report = describe_fit(tree, vectors, tree.encode(vectors))
    errors = [row["mse"] for row in report["levels"]]
    assert errors == sorted(errors, reverse=True)
    assert errors[-1] == pytest.approx(report["mse"])
    centre = vectors[tree.encode(vectors)[:, 0] == 1].mean(axis=0)
    np.testing.assert_allclose(tree.decode(np.int32([[1]]))[0], centre, atol=1e-4)
