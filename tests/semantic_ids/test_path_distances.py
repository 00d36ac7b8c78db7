import numpy as np

from assets.codebooks.fitting.fit import TrainingData
from assets.codebooks.fitting.hierarchical_kmeans import fit_hierarchical_kmeans
from assets.codebooks.params import CodebooksParams
from assets.semantic_ids.path_distances import code_distances, path_distances


def test_distances_in_a_tree_are_to_the_cluster_that_the_codes_name() -> None:
    vectors = np.random.default_rng(0).normal(size=(60, 4)).astype(np.float32)
    params = CodebooksParams(levels=3, codebook_size=(8, 40, 8))
    tree = fit_hierarchical_kmeans(TrainingData(vectors), params).quantizer
    codes = tree.encode(vectors)
    distances = code_distances(tree, vectors, codes)
    assert distances.shape == (60, 3)
    own = np.linalg.norm(vectors - tree.decode(codes), axis=1)
    np.testing.assert_allclose(distances[:, -1], own, atol=1e-6)
    # 8 x 40 clusters hold 60 items one by one: nothing is left, which mean offsets would not tell
    assert distances[:, 1].max() < 1e-5
    assert path_distances(vectors, tree.codebooks, codes)[:, 1].max() > 0.1
