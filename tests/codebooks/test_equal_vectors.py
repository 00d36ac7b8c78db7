"""Equal vectors have equal codes, wherever they stand and on whatever machine."""

import hashlib
from functools import cache
from pathlib import Path
from tempfile import TemporaryDirectory

import numpy as np
import pytest
from codebooks.made_up_vectors import FITTED, clustered, fit, names_of
from hypothesis import given, settings
from hypothesis import strategies as st
from other_processor import run_elsewhere
from threadpoolctl import threadpool_limits

from assets.codebooks.artifact import Codebooks
from assets.codebooks.quantizer import Quantizer

# a quantizer, its params, and how many distinct vectors it learns from: with five there are spare
# codes that repeat others, so that every vector has ties
CASES = [
    *((name, "", points) for name in FITTED for points in (5, 200)),
    ("rq_kmeans", "by direction", 5),
    ("rq_kmeans", "by direction", 200),
    ("external", "", 200),
]
POOL = 60
SHORT = st.lists(st.integers(0, POOL - 1), min_size=1, max_size=70)


@cache
def quantizer_of(name: str, variant: str, points: int) -> Quantizer:
    vectors = clustered(points)
    if name == "external":
        with TemporaryDirectory() as folder:
            codes = np.random.default_rng(0).integers(8, size=(points, 3))
            named = zip(names_of(points), codes, strict=True)
            rows = [f"{item},{a} {b} {c}" for item, (a, b, c) in named]
            (Path(folder) / "ids.csv").write_text("item_id,sid\n" + "\n".join(rows))
            return fit(name, vectors, external={"folder": folder})
    knobs = {"rq_kmeans": {"normalise_residuals": True}} if variant else {}
    return fit(name, vectors, **knobs)


@cache
def pool_of(case: tuple[str, str, int]) -> np.ndarray:
    """Vectors that are hard to decide: learnt from, halfway between two of these, rebuilt, zero."""
    quantizer, vectors = quantizer_of(*case), clustered(case[2])
    rng = np.random.default_rng(1)
    some, others = (vectors[rng.integers(len(vectors), size=POOL // 4)] for _ in range(2))
    sizes = [len(book) for book in quantizer.codebooks]
    rebuilt = quantizer.decode(rng.integers(sizes, size=(POOL // 4, 3)).astype(np.int32))
    halfway = (some + others) / 2
    pool = np.concatenate([some, halfway, rebuilt, rebuilt[::-1] / 3 + some / 3])
    pool[0] = 0
    return np.ascontiguousarray(pool, np.float32)


@cache
def alone(case: tuple[str, str, int]) -> tuple[np.ndarray, np.ndarray]:
    """Codes and latents of the pool's vectors, one at a time."""
    quantizer, pool = quantizer_of(*case), pool_of(case)
    each = [pool[row : row + 1] for row in range(POOL)]
    return (
        np.concatenate([quantizer.encode(one) for one in each]),
        np.concatenate([quantizer.latent(one) for one in each]),
    )


@pytest.mark.parametrize("case", CASES, ids=str)
@settings(max_examples=40, deadline=None)
@given(rows=SHORT)
def test_a_vector_has_the_codes_that_it_has_alone(case, rows) -> None:
    codes, latent = alone(case)
    quantizer, vectors = quantizer_of(*case), pool_of(case)[rows]
    np.testing.assert_array_equal(quantizer.encode(vectors), codes[rows])
    np.testing.assert_array_equal(quantizer.latent(vectors), latent[rows])


@pytest.mark.parametrize("case", CASES, ids=str)
@settings(max_examples=20, deadline=None)
@given(row=st.integers(0, POOL - 1), times=st.integers(1, 140))
def test_a_repeated_vector_has_one_code(case, row, times) -> None:
    codes, latent = alone(case)
    quantizer, vectors = quantizer_of(*case), np.repeat(pool_of(case)[row, None], times, axis=0)
    np.testing.assert_array_equal(quantizer.encode(vectors), np.repeat(codes[row, None], times, 0))
    np.testing.assert_array_equal(quantizer.latent(vectors), np.repeat(latent[row, None], times, 0))


@pytest.mark.parametrize("case", CASES, ids=str)
def test_codes_are_the_same_at_every_place_of_large_blocks_and_with_two_threads(case) -> None:
    rows = np.random.default_rng(2).integers(POOL, size=3 * 4096 + 37)
    vectors, (codes, _) = pool_of(case)[rows], alone(case)
    for threads in (1, 2):
        with threadpool_limits(threads):
            np.testing.assert_array_equal(quantizer_of(*case).encode(vectors), codes[rows])


ENCODE = """
import hashlib, sys
import numpy as np
from pathlib import Path
from assets.codebooks.artifact import Codebooks

for folder in sorted(Path(sys.argv[1]).iterdir()):
    quantizer = Codebooks.load(folder).quantizer
    vectors = np.load(folder / "vectors.npy")
    codes = quantizer.encode(vectors)
    print(hashlib.sha256(codes.tobytes() + quantizer.latent(vectors).tobytes()).hexdigest())
    for few in range(1, 40):  # rows stand elsewhere in their block, and in others' company
        rows = np.arange(few, len(vectors), few)
        np.testing.assert_array_equal(quantizer.encode(vectors[rows]), codes[rows])
        np.testing.assert_array_equal(quantizer.encode(vectors[:few]), codes[:few])
"""


def test_another_processor_gives_the_same_codes_wherever_vectors_stand(tmp_path) -> None:
    expected = []
    for place, case in enumerate(CASES):
        folder = tmp_path / f"{place:02}"
        folder.mkdir()
        quantizer, vectors = (
            quantizer_of(*case),
            np.concatenate([pool_of(case), clustered(500, 16)]),
        )
        Codebooks(quantizer, "text", {}).save(folder)
        np.save(folder / "vectors.npy", vectors)
        told = quantizer.encode(vectors).tobytes() + quantizer.latent(vectors).tobytes()
        expected.append(hashlib.sha256(told).hexdigest())
    for threads in (1, 2):
        assert run_elsewhere(ENCODE, tmp_path, threads=threads).split() == expected
