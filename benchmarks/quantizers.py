"""RQ-KMeans beside its peers, on one thread. Run: python benchmarks/quantizers.py [--full].

3 x 256 codes on 20,000 vectors of 384 dimensions (``--full``: 100,000), made here from clusters.
The floor is faiss used barely: k-means per level, and the search for each level's nearest code in
residuals that lie ready, which is less than encoding. Then scikit-learn's KMeans in the same loop,
and the RQKMeans of the package semantic-id where it is installed (``pip install --no-deps
semantic-id``), both with the same iterations and one start. All times are core-seconds.
"""

from __future__ import annotations

import argparse
import os

os.environ |= {"OMP_NUM_THREADS": "1", "OPENBLAS_NUM_THREADS": "1"}

import time
from collections.abc import Callable
from typing import Any

import faiss
import numpy as np
from rich.console import Console
from rich.table import Table

from assets.codebooks.fitting.fit import TrainingData
from assets.codebooks.fitting.rq_kmeans import fit_rq_kmeans
from assets.codebooks.params import CodebooksParams

DIM, LEVELS, CODES, ITERATIONS = 384, 3, 256, 25


def clustered(items: int) -> np.ndarray:
    """Clusters inside clusters, as unit vectors."""
    draw = np.random.default_rng(0)
    coarse = draw.normal(size=(300, DIM))
    fine = coarse[draw.integers(300, size=6000)] + 0.7 * draw.normal(size=(6000, DIM))
    # wide enough that k-means has not converged before its last iteration, as on real text
    vectors = fine[draw.integers(6000, size=items)] + 1.5 * draw.normal(size=(items, DIM))
    return (vectors / np.linalg.norm(vectors, axis=1, keepdims=True)).astype(np.float32)


def timed(rounds: int, *works: Callable[[], Any]) -> list[tuple[float, Any]]:
    """Return the least core-seconds and the last result of each, taking turns."""
    seconds: list[list[float]] = [[] for _ in works]
    results: list[Any] = [None] * len(works)
    for _ in range(rounds):
        for place, work in enumerate(works):
            started = time.process_time()
            results[place] = work()
            seconds[place].append(time.process_time() - started)
    return [(min(own), result) for own, result in zip(seconds, results, strict=True)]


def bare_faiss(vectors: np.ndarray) -> list[np.ndarray]:
    residuals, books = vectors, []
    for level in range(LEVELS):
        kmeans = faiss.Kmeans(DIM, CODES, niter=ITERATIONS, seed=level)
        kmeans.train(residuals)
        books.append(kmeans.centroids)
        if level + 1 < LEVELS:
            residuals = residuals - books[-1][kmeans.index.search(residuals, 1)[1][:, 0]]
    return books


def bare_searches(vectors: np.ndarray, books: list[np.ndarray]) -> Callable[[], None]:
    """Return the search of every level's codes, with residuals and indexes made beforehand."""
    residuals, ready = vectors, []
    for book in books:
        index = faiss.IndexFlatL2(DIM)
        index.add(book)
        ready.append((index, residuals))
        residuals = residuals - book[index.search(residuals, 1)[1][:, 0]]

    def search() -> None:
        for index, own in ready:
            index.search(own, 1)

    return search


def sklearn_loop(vectors: np.ndarray) -> list[np.ndarray]:
    from sklearn.cluster import KMeans

    residuals, books = vectors, []
    for level in range(LEVELS):
        kmeans = KMeans(CODES, n_init=1, max_iter=ITERATIONS, tol=0, random_state=level)
        codes = kmeans.fit_predict(residuals)
        books.append(kmeans.cluster_centers_)
        residuals = residuals - books[-1][codes]
    return books


def sklearn_encode(vectors: np.ndarray, books: list[np.ndarray]) -> np.ndarray:
    from sklearn.metrics import pairwise_distances_argmin

    residuals, codes = vectors, []
    for book in books:
        codes.append(pairwise_distances_argmin(residuals, book))
        residuals = residuals - book[codes[-1]]
    return np.column_stack(codes)


def error(vectors: np.ndarray, books: list[np.ndarray], codes: np.ndarray) -> float:
    rebuilt = sum(book[column] for book, column in zip(books, codes.T, strict=True))
    return float(((vectors - rebuilt) ** 2).sum(axis=1).mean())


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--full", action="store_true", help="100,000 vectors: some minutes")
    full = parser.parse_args().full
    items, rounds = (100_000, 2) if full else (20_000, 2)
    faiss.omp_set_num_threads(1)
    vectors = clustered(items)
    params = CodebooksParams(levels=LEVELS, codebook_size=CODES, iterations=ITERATIONS)

    data = TrainingData(vectors)
    (floor, _), (train, fitted) = timed(
        rounds, lambda: bare_faiss(vectors), lambda: fit_rq_kmeans(data, params)
    )
    ours = fitted.quantizer
    (searching, _), (encode, codes) = timed(
        3 * rounds, bare_searches(vectors, ours.codebooks), lambda: ours.encode(vectors)
    )
    rows = [("faiss, bare", floor, searching, None)]
    rows.append(("rq_kmeans", train, encode, error(vectors, ours.codebooks, codes)))

    [(seconds, books)] = timed(1, lambda: sklearn_loop(vectors))
    [(encoding, codes)] = timed(1, lambda: sklearn_encode(vectors, books))
    rows.append(("scikit-learn", seconds, encoding, error(vectors, books, codes)))
    try:
        from semantic_id import RQKMeans as Theirs
    except ImportError:
        print("semantic-id is not installed and left out: pip install --no-deps semantic-id")
    else:
        theirs = Theirs(LEVELS, CODES, max_iter=ITERATIONS, n_init=1, random_state=0)
        [(seconds, _)] = timed(1, lambda: theirs.fit(vectors))
        [(encoding, codes)] = timed(1, lambda: theirs.encode(vectors))
        rows.append(("semantic-id", seconds, encoding, error(vectors, theirs.codebooks_, codes)))

    table = Table(title=f"{items:,} x {DIM}, {LEVELS} x {CODES} codes, one thread, core-seconds")
    for heading in ("", "train", "of faiss", "encode", "vectors/s", "speed of faiss", "error"):
        table.add_column(heading, justify="right" if heading else "left")
    for name, seconds, encoding, mse in rows:
        cells = [f"{seconds:.2f}", f"{seconds / floor:.2f} x", f"{encoding:.3f}"]
        cells += [f"{items / encoding:,.0f}", f"{searching / encoding:.2f} x"]
        table.add_row(name, *cells, "" if mse is None else f"{mse:.4f}")
    Console(width=100).print(table)


if __name__ == "__main__":
    main()
