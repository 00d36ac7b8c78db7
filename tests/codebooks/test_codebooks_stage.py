import shutil

import numpy as np
import pytest
import yaml
from conftest import run_stage

from assets.codebooks.artifact import Codebooks
from assets.embeddings.artifact import Embeddings


@pytest.fixture
def folder(tmp_path):
    """A project whose embeddings are few and made up."""
    vectors = np.random.default_rng(0).normal(size=(40, 8)).astype(np.float32)
    ids = np.array([f"item {row:02}" for row in range(40)], object)
    (tmp_path / "data" / "embeddings").mkdir(parents=True)
    Embeddings(ids, {"text": vectors}).save(tmp_path / "data" / "embeddings")
    return tmp_path


def write_params(folder, **section) -> None:
    (folder / "params.yaml").write_text(
        yaml.safe_dump({"codebooks": {"codebook_size": 4} | section})
    )


def test_two_runs_leave_the_same_bytes(folder, run_in) -> None:
    write_params(folder)
    assert run_stage("codebooks", folder).returncode == 0
    first = shutil.copytree(folder / "data" / "codebooks", folder / "first")
    assert run_in("codebooks", folder).returncode == 0
    names = sorted(file.name for file in first.iterdir())
    assert names == ["codebooks.safetensors", "manifest.json", "report.json"]
    for name in names:
        assert (first / name).read_bytes() == (folder / "data" / "codebooks" / name).read_bytes()
    assert Codebooks.load(first).sizes == [4, 4, 4]


def test_a_vector_that_is_not_finite_is_refused_by_the_name_of_its_item(folder, run_in) -> None:
    embeddings = Embeddings.load(folder / "data" / "embeddings")
    vectors = embeddings.text.copy()
    vectors[7, 3] = np.nan
    Embeddings(embeddings.item_ids, {"text": vectors}).save(folder / "data" / "embeddings")
    write_params(folder)
    done = run_in("codebooks", folder)
    assert done.returncode == 1
    assert "'item 07'" in done.stderr
    assert "Traceback" not in done.stderr


@pytest.mark.parametrize(
    ("section", "named"), [({"view": "image"}, "text"), ({"quantizer": "k_means"}, "rq_kmeans")]
)
def test_an_unknown_choice_is_answered_with_the_known_ones(folder, run_in, section, named) -> None:
    write_params(folder, **section)
    done = run_in("codebooks", folder)
    assert done.returncode == 1
    assert named in done.stderr
    assert "Traceback" not in done.stderr


def test_codes_of_another_tool_are_taken_from_the_incoming_folder(folder, run_in) -> None:
    ids = Embeddings.load(folder / "data" / "embeddings").item_ids
    given = folder / "data" / "incoming" / "semantic_ids"
    given.mkdir(parents=True)
    codes = np.random.default_rng(0).integers(5, size=(40, 2))
    rows = [f"{item},<a_{a}><b_{b}>" for item, (a, b) in zip(ids, codes, strict=True)]
    (given / "ids.csv").write_text("item_id,sid\n" + "\n".join(rows))
    write_params(folder, quantizer="external")
    done = run_in("codebooks", folder)
    assert done.returncode == 0, done.stderr
    quantizer = Codebooks.load(folder / "data" / "codebooks").quantizer
    vectors = Embeddings.load(folder / "data" / "embeddings").text
    np.testing.assert_array_equal(quantizer.codes_of(ids, vectors), codes)

    (given / "ids.csv").write_text("item_id,sid\nitem 00,1 2\n")
    refused = run_in("codebooks", folder)
    assert refused.returncode == 1
    assert "no codes for item 'item 01'" in refused.stderr
    assert "Traceback" not in refused.stderr
