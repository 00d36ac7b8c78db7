import numpy as np
import pytest

from assets.codebooks.artifact import Codebooks
from assets.codebooks.fitting.fit import TrainingData
from assets.codebooks.fitting.fitters import fit_quantizer
from assets.codebooks.from_release import codebooks_from_release
from assets.codebooks.params import CodebooksParams
from assets.stage import UserError


@pytest.fixture
def released(tmp_path):
    """Params, and the folder of codebooks that were learnt with them."""
    params = CodebooksParams(quantizer="opq", levels=2, codebook_size=4)
    vectors = np.random.default_rng(0).normal(size=(50, 6)).astype(np.float32)
    quantizer = fit_quantizer(TrainingData(vectors), params).quantizer
    learnt = Codebooks(quantizer, "text", params.settings)
    folder = tmp_path / "r1-00000000" / "codebooks"
    folder.mkdir(parents=True)
    learnt.save(folder)
    return params, folder


def test_frozen_codebooks_are_saved_again_byte_for_byte(released, tmp_path):
    params, folder = released
    other = params.model_copy(update={"iterations": 3, "seed": 7})  # nothing is learnt
    codebooks_from_release(folder, other, 6).save(tmp_path)
    for file in folder.iterdir():
        assert (tmp_path / file.name).read_bytes() == file.read_bytes()


@pytest.mark.parametrize(
    ("name", "value"),
    [("quantizer", "rq_kmeans"), ("view", "image"), ("levels", 3), ("codebook_size", 8)],
)
def test_other_codebooks_than_the_frozen_ones_are_refused(released, name, value):
    params, folder = released
    with pytest.raises(UserError, match=rf"`codebooks.{name}` is .*r1-00000000.*set it back"):
        codebooks_from_release(folder, params.model_copy(update={name: value}), 6)


def test_vectors_of_another_length_are_refused(released):
    with pytest.raises(UserError, match=r"vectors of 5 numbers, .* stand for vectors of 6"):
        codebooks_from_release(released[1], released[0], 5)
