import numpy as np
import pytest

from assets.codebooks.artifact import Codebooks
from assets.codebooks.frozen import frozen_codebooks
from assets.codebooks.params import CodebooksParams
from assets.codebooks.quantizers import QUANTIZERS
from assets.stage import UserError


@pytest.fixture
def released(tmp_path):
    """Params, and the folder of codebooks that were learnt with them."""
    params = CodebooksParams(quantizer="opq", levels=2, codebook_size=4)
    vectors = np.random.default_rng(0).normal(size=(50, 6)).astype(np.float32)
    learnt = Codebooks(QUANTIZERS["opq"].fit(vectors, params), "text", params.settings)
    folder = tmp_path / "r1-00000000" / "codebooks"
    folder.mkdir(parents=True)
    learnt.save(folder)
    return params, folder


def test_frozen_codebooks_are_saved_again_byte_for_byte(released, tmp_path):
    params, folder = released
    other = params.model_copy(update={"iterations": 3, "seed": 7})  # nothing is learnt
    frozen_codebooks(folder, other, 6).save(tmp_path)
    for file in folder.iterdir():
        assert (tmp_path / file.name).read_bytes() == file.read_bytes()


@pytest.mark.parametrize(
    ("name", "value"),
    [("quantizer", "rq_kmeans"), ("view", "image"), ("levels", 3), ("codebook_size", 8)],
)
def test_other_codebooks_than_the_frozen_ones_are_refused(released, name, value):
    params, folder = released
    with pytest.raises(UserError, match=rf"`codebooks.{name}` is .*r1-00000000.*set it back"):
        frozen_codebooks(folder, params.model_copy(update={name: value}), 6)


def test_vectors_of_another_length_are_refused(released):
    with pytest.raises(UserError, match=r"vectors of 5 numbers, .* stand for vectors of 6"):
        frozen_codebooks(released[1], released[0], 5)
