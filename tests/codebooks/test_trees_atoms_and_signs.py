"""Hierarchical k-means, dictionary, OPQ and residual LFQ against their definitions."""

import numpy as np
import pytest
import torch
from codebooks.made_up_vectors import clustered, fit
from vector_quantize_pytorch import ResidualLFQ as Modules

from assets.codebooks.fit_report import describe_fit


def test_a_tree_takes_the_nearest_child_under_each_prefix() -> None:
    vectors = clustered(300)
    tree = fit("hierarchical_kmeans", vectors, codebook_size=4)
    codes, saved = tree.encode(vectors), tree.tensors()
    for vector, row, rebuilt in zip(vectors, codes, tree.decode(codes), strict=True):
        node, stopped = 0, False
        for level, code in enumerate(row):
            children = np.flatnonzero(saved[f"parents_{level}"] == node)
            if stopped or not len(children):
                stopped = True
                assert code == 0
                continue
            distances = ((vector - saved[f"centroids_{level}"][children]) ** 2).sum(axis=1)
            node = children[distances.argmin()]
            assert saved[f"codes_{level}"][node] == code
            np.testing.assert_array_equal(
                rebuilt, saved[f"centroids_{level}"][node]
            ) if level == 2 else None


def test_children_have_different_codes_and_the_same_code_goes_the_same_way_under_all_parents() -> (
    None
):
    vectors = clustered(600)
    tree = fit("hierarchical_kmeans", vectors, codebook_size=6, levels=2)
    saved = tree.tensors()
    parents, codes = saved["parents_1"], saved["codes_1"]
    assert len(np.unique(np.column_stack([parents, codes]), axis=0)) == len(codes)
    offsets = saved["centroids_1"] - saved["centroids_0"][parents]

    def alike(numbers: np.ndarray) -> float:
        """Share of the offsets' squared length that their numbers' means explain."""
        rest = sum(
            ((offsets[numbers == n] - offsets[numbers == n].mean(axis=0)) ** 2).sum()
            for n in np.unique(numbers)
        )
        return 1 - rest / (offsets**2).sum()

    shuffled = codes.copy()
    rng = np.random.default_rng(0)
    for parent in np.unique(parents):
        shuffled[parents == parent] = rng.permutation(codes[parents == parent])
    assert alike(codes) > 1.3 * alike(shuffled)


def test_a_tree_rebuilds_from_a_code_that_no_cluster_has_by_the_deepest_that_exists() -> None:
    vectors = clustered(12)
    tree = fit("hierarchical_kmeans", vectors, codebook_size=[3, 20, 8])
    codes, saved = tree.encode(vectors), tree.tensors()
    missing = codes.copy()
    for row in missing:
        parent = np.flatnonzero(saved["codes_0"] == row[0])[0]
        row[1] = min(set(range(20)) - set(saved["codes_1"][saved["parents_1"] == parent]))
    np.testing.assert_array_equal(tree.decode(missing), tree.decode(codes[:, :1]))


def test_a_vectors_codes_are_its_atoms_by_matching_pursuit() -> None:
    vectors = clustered(200)
    quantizer = fit("dictionary", vectors)
    atoms = quantizer.tensors()["atoms"].astype(np.float64)
    np.testing.assert_allclose(np.linalg.norm(atoms, axis=1), 1, atol=1e-5)
    for vector, row in zip(vectors, quantizer.encode(vectors), strict=True):
        left = vector.astype(np.float64)
        for code in row:
            fits = atoms @ left
            assert fits[code] == pytest.approx(fits.max(), abs=1e-5)
            left = left - max(0.0, fits[code]) * atoms[code]


def test_an_atoms_row_is_its_mean_strength_at_that_level() -> None:
    vectors = clustered(200)
    quantizer = fit("dictionary", vectors)
    atoms, codes = quantizer.tensors()["atoms"], quantizer.encode(vectors)
    code = np.bincount(codes[:, 0]).argmax()
    strength = (vectors[codes[:, 0] == code] @ atoms[code]).clip(0).mean()
    np.testing.assert_allclose(quantizer.codebooks[0][code], strength * atoms[code], atol=1e-4)


@pytest.mark.parametrize("levels", [3, 5])  # 16 dimensions are cut evenly by neither
def test_parts_of_a_product_quantizer_do_not_overlap_and_its_rotation_keeps_lengths(levels) -> None:
    vectors = clustered(400)
    quantizer = fit("opq", vectors, levels=levels)
    used = np.array([np.abs(book).sum(axis=0) > 0 for book in quantizer.codebooks])
    assert used.sum(axis=0).max() == 1
    lengths = np.linalg.norm(quantizer.latent(vectors), axis=1)
    np.testing.assert_allclose(lengths, np.linalg.norm(vectors, axis=1), rtol=1e-4)
    error = ((vectors - quantizer.decode(quantizer.encode(vectors))) ** 2).sum(axis=1)
    rest = quantizer.latent(vectors) - sum(
        book[column]
        for book, column in zip(quantizer.codebooks, quantizer.encode(vectors).T, strict=True)
    )
    # dimensions that only fill up the last part are outside of the vectors' space
    assert (error <= (rest**2).sum(axis=1) + 1e-4).all()


def test_a_learnt_rotation_rebuilds_better_than_cutting_the_vectors_as_they_are() -> None:
    rng = np.random.default_rng(0)
    # all variance in the first third: cut as they are, two of three codes have nothing to say
    vectors = rng.normal(size=(800, 12)).astype(np.float32)
    vectors[:, 4:] *= 0.05
    report = [
        describe_fit(q, vectors, q.encode(vectors))["mse"]
        for q in (fit("opq", vectors, codebook_size=16), fit("opq", vectors[:16], codebook_size=16))
    ]
    assert report[0] < 0.7 * report[1]


def test_signs_are_those_of_the_library() -> None:
    vectors = clustered(200)
    quantizer = fit("residual_lfq", vectors, codebook_size=16)
    modules = Modules(dim=4, num_quantizers=3, codebook_size=16).eval()
    latent = torch.from_numpy(quantizer.latent(vectors))
    summed, indices, _ = modules(latent[None])
    codes = quantizer.encode(vectors)
    np.testing.assert_array_equal(codes, indices[0].numpy())
    own = sum(book[column] for book, column in zip(quantizer.codebooks, codes.T, strict=True))
    np.testing.assert_allclose(own, summed[0].numpy(), atol=1e-6)


def test_the_whitened_start_splits_every_axis_of_most_variance_in_half() -> None:
    vectors = clustered(400)
    quantizer = fit("residual_lfq", vectors, residual_lfq={"epochs": 0})
    latent = quantizer.latent(vectors)
    np.testing.assert_allclose(np.cov(latent.T, bias=True), np.eye(3), atol=1e-3)
    rest = vectors - vectors.mean(axis=0)
    kept = np.linalg.svd(rest, full_matrices=False)[1][:3] ** 2
    rebuilt = latent @ quantizer.tensors()["out_weight"].T
    np.testing.assert_allclose((rebuilt**2).sum(), kept.sum(), rtol=1e-3)
