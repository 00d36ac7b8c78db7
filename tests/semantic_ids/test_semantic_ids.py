import shutil
from typing import get_args

import numpy as np
import pytest
import yaml
from conftest import run_stage

from assets.codebooks.artifact import Codebooks
from assets.codebooks.rq_kmeans import RQKMeans
from assets.embeddings.artifact import Embeddings
from assets.semantic_ids.artifact import SemanticIds, sid_text
from assets.semantic_ids.params import PolicyName
from assets.semantic_ids.path_distances import path_distances
from assets.semantic_ids.placement import Placement, check_placement
from assets.semantic_ids.policies import POLICIES
from assets.semantic_ids.problem import Prior, Problem
from assets.semantic_ids.sid_keys import sid_keys
from assets.stage import UserError


@pytest.fixture
def folder(tmp_path):
    """Upstream assets of 60 made-up items, 4 x 4 x 4 codes."""
    rng = np.random.default_rng(0)
    vectors = rng.normal(size=(60, 6)).astype(np.float32)
    books = [rng.normal(size=(4, 6)).astype(np.float32) / (level + 1) for level in range(3)]
    for stage in ("embeddings", "codebooks"):
        (tmp_path / "data" / stage).mkdir(parents=True)
    ids = np.array([f"i{row:02}" for row in range(60)], object)
    Embeddings(ids, {"text": vectors}).save(tmp_path / "data" / "embeddings")
    Codebooks(RQKMeans(books), "text", {}).save(tmp_path / "data" / "codebooks")
    return tmp_path


def write_params(folder, **section) -> None:
    (folder / "params.yaml").write_text(yaml.safe_dump({"semantic_ids": section}))


@pytest.mark.parametrize("policy", sorted(POLICIES))
def test_two_runs_leave_the_same_bytes_and_shuffled_rows_the_same_ids(folder, run_in, policy):
    write_params(folder, policy=policy)
    assert run_stage("semantic_ids", folder).returncode == 0  # the other runs are in one process
    first = shutil.copytree(folder / "data" / "semantic_ids", folder / "first")
    assert run_in("semantic_ids", folder).returncode == 0
    for name in ("semantic_ids.parquet", "manifest.json", "report.json"):
        assert (first / name).read_bytes() == (folder / "data/semantic_ids" / name).read_bytes()

    embeddings = Embeddings.load(folder / "data" / "embeddings")
    rows = np.random.default_rng(1).permutation(60)
    shuffled = Embeddings(embeddings.item_ids[rows], {"text": embeddings.text[rows]})
    shuffled.save(folder / "data" / "embeddings")
    assert run_in("semantic_ids", folder).returncode == 0
    again = SemanticIds.load(folder / "data" / "semantic_ids")
    assert again.version == SemanticIds.load(first).version
    assert len(again.item_ids) == 60
    most = np.unique(again.codes, axis=0, return_counts=True)[1].max()
    assert most <= (again.bucket_limit or 60)


def test_the_table_says_what_was_moved_and_how_far(folder, run_in):
    write_params(folder, policy="rrs")
    assert run_in("semantic_ids", folder).returncode == 0
    ids = SemanticIds.load(folder / "data" / "semantic_ids")
    vectors = Embeddings.load(folder / "data" / "embeddings").text
    books = Codebooks.load(folder / "data" / "codebooks").quantizer.codebooks
    assert (ids.moved_level >= 0).any()
    for row in range(60):
        differs = [
            level for level in range(3) if ids.codes[row, level] != ids.raw_codes[row, level]
        ]
        assert ids.moved_level[row] == (differs[0] if differs else -1)
        left = vectors[row]
        for level, code in enumerate(ids.codes[row]):
            left = left - books[level][code]
            assert ids.distances[row, level] == pytest.approx(np.linalg.norm(left), rel=1e-5)


def test_a_nearly_full_code_space_is_warned_of_and_a_full_one_refused(folder, run_in):
    write_params(folder, policy="rrs")
    assert "94% of all 64 SIDs" in run_in("semantic_ids", folder).stdout
    books = Codebooks.load(folder / "data" / "codebooks").quantizer.codebooks
    Codebooks(RQKMeans(books[:2]), "text", {}).save(folder / "data" / "codebooks")
    done = run_in("semantic_ids", folder)
    assert done.returncode == 1
    assert "codebooks.levels" in done.stderr
    assert "Traceback" not in done.stderr


def test_an_unknown_policy_is_answered_with_the_known_ones(folder, run_in):
    write_params(folder, policy="ecmm")
    done = run_in("semantic_ids", folder)
    assert done.returncode == 1
    assert all(f"'{name}'" in done.stderr for name in POLICIES)


def test_versions_change_with_the_ids_and_with_the_codebooks():
    def version(code: int, books: str) -> str:
        codes = np.array([[0, code]], np.int32)
        moved, distances = np.array([-1], np.int32), np.zeros((1, 2), np.float32)
        ids = np.array(["a"], object)
        return SemanticIds(ids, codes, codes, moved, distances, [4, 4], "rrs", books).version

    assert version(1, "x") == version(1, "x")
    assert len({version(1, "x"), version(2, "x"), version(1, "y")}) == 3


def test_a_sid_is_written_as_level_letters_and_codes():
    assert sid_text([12, 200, 7]) == "<a_12><b_200><c_7>"


@pytest.mark.parametrize("sizes", [[3, 4, 5], [2**20] * 4])
def test_keys_are_equal_exactly_where_sids_are(sizes):
    codes = np.random.default_rng(0).integers(0, 3, size=(200, len(sizes))).astype(np.int32)
    codes[0] = np.array(sizes) - 1
    keys = sid_keys(codes, sizes)
    same = (codes[:, None] == codes[None]).all(axis=2)
    np.testing.assert_array_equal(keys[:, None] == keys[None], same)


def two_items(prior=None) -> Problem:
    ids = np.array(["a", "b"], object)
    books = [np.zeros((3, 1), np.float32)] * 2
    zeros = np.zeros((2, 2), np.int32)
    return Problem(ids, np.zeros((2, 1), np.float32), books, zeros, np.zeros(2, np.float32), prior)


@pytest.mark.parametrize(
    ("codes", "prior", "said"),
    [
        ([[0, 0]], None, "1 of 2 items"),
        ([[0, 0], [0, 3]], None, "'b' got codes"),
        ([[0, 0], [-1, 1]], None, "'b' got codes"),
        ([[0, 1], [0, 1]], None, "'a' shares"),
        ([[0, 0], [0, 1]], [[0, 1]], "'b' shares"),
    ],
)
def test_a_placement_that_breaks_its_promise_is_refused(codes, prior, said):
    placement = Placement(np.array(codes, np.int32), [3, 3])
    taken = Prior(np.array(prior, np.int32)) if prior else None
    with pytest.raises(UserError, match=said):
        check_placement(placement, two_items(taken), bucket_limit=1)


def test_a_placement_that_keeps_its_promise_passes():
    two = Placement(np.array([[0, 1], [0, 1]], np.int32), [3, 3])
    check_placement(two, two_items(), bucket_limit=None)
    check_placement(two, two_items(), bucket_limit=2)


def test_path_distances_do_not_depend_on_blocks(monkeypatch):
    rng = np.random.default_rng(0)
    latent = rng.normal(size=(10, 3)).astype(np.float32)
    books = [rng.normal(size=(4, 3)).astype(np.float32) for _ in range(2)]
    codes = rng.integers(0, 4, size=(10, 2)).astype(np.int32)
    whole = path_distances(latent, books, codes)
    monkeypatch.setattr("assets.semantic_ids.path_distances.BLOCK", 3)
    np.testing.assert_array_equal(path_distances(latent, books, codes), whole)


def test_every_policy_that_params_know_is_listed():
    assert list(POLICIES) == list(get_args(PolicyName))
