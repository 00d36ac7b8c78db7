"""How fast colliding items get their SIDs, on one thread. Run: python benchmarks/collisions.py.

Two cases, made here from clustered vectors: 100,000 items in 3 x 256 with 12 % more items than
distinct SIDs, and (``--full``) 60,000 items in 2 x 256, 92 % of all SIDs. A policy's seconds leave
out the distances from items to codes, which stand apart; compiling, once a machine, is left out
too. Beside the policies: PSI's own enumeration of the 8 nearest codes of each level.
"""

from __future__ import annotations

import argparse
import os

os.environ |= {"OMP_NUM_THREADS": "1", "NUMBA_NUM_THREADS": "1"}

import resource
import time
from collections.abc import Callable

import faiss
import numpy as np
from rich.console import Console
from rich.table import Table

from assets.semantic_ids import ecm, knn_n, rrs
from assets.semantic_ids.append_index import append_index
from assets.semantic_ids.params import SemanticIdsParams
from assets.semantic_ids.policies import POLICIES
from assets.semantic_ids.problem import Problem
from assets.semantic_ids.sid_keys import sid_keys
from assets.semantic_ids.solver import assignment
from assets.semantic_ids.solver.costs import offsets_of

DIM = 64
FAISS = {"min_points_per_centroid": 1, "max_points_per_centroid": 64}


def catalogue(items: int, clusters: int, spread: float) -> np.ndarray:
    """Clusters inside clusters, of sizes that differ as those of catalogues do."""
    draw = np.random.default_rng(0)
    coarse = draw.normal(size=(clusters, DIM))
    weights = 1 / np.arange(1, clusters + 1) ** 0.5
    fine = coarse[draw.choice(clusters, 40 * clusters, p=weights / weights.sum())]
    fine = fine + 0.5 * draw.normal(size=fine.shape)
    vectors = fine[draw.integers(len(fine), size=items)]
    return (vectors + spread * draw.normal(size=vectors.shape)).astype(np.float32)


def problem_of(vectors: np.ndarray, levels: int) -> Problem:
    """Codebooks of 256 codes, learnt by bare faiss from a part of the vectors."""
    residuals, books, codes = vectors, [], []
    for level in range(levels):
        kmeans = faiss.Kmeans(DIM, 256, niter=8, seed=level, **FAISS)
        kmeans.train(residuals)
        nearest = kmeans.index.search(residuals, 1)[1][:, 0]
        books.append(kmeans.centroids)
        codes.append(nearest.astype(np.int32))
        residuals = residuals - kmeans.centroids[nearest]
    ids = np.array([f"item{row:07}" for row in range(len(vectors))], object)
    errors = (residuals**2).sum(axis=1)
    return Problem(ids, vectors, books, np.stack(codes, axis=1), errors)


class Stopwatch:
    """Adds up the core-seconds that the distances take inside a policy."""

    def __init__(self) -> None:
        self.seconds = 0.0

    def watch(self, module: object, name: str) -> None:
        """Time a module's function from here on."""
        inner = getattr(module, name)

        def timed(*given: object) -> object:
            started = time.process_time()
            result = inner(*given)
            self.seconds += time.process_time() - started
            return result

        setattr(module, name, timed)


def brute_force(problem: Problem, k: int = 8) -> np.ndarray:
    """PSI's first step by enumeration: all k^L combinations of an item, sorted, first unused."""
    codes = problem.raw_codes.copy()
    used: set[int] = set()
    waiting = []
    for row, key in enumerate(sid_keys(codes, problem.sizes).tolist()):
        if key in used:
            waiting.append(row)
        used.add(key)
    offsets, levels = offsets_of(problem.sizes), len(problem.sizes)
    for start in range(0, len(waiting), 4096):
        rows = np.array(waiting[start : start + 4096])
        distances = ecm.greedy_distances(problem, rows)
        costs, keys = np.zeros((len(rows), 1)), np.zeros((len(rows), 1), np.int64)
        for level in range(levels):
            own = distances[:, offsets[level] : offsets[level + 1]]
            near = np.argsort(own, axis=1)[:, :k]
            cost = np.take_along_axis(own, near, 1)
            costs = (costs[:, :, None] + cost[:, None]).reshape(len(rows), -1)
            keys = (keys[:, :, None] * problem.sizes[level] + near[:, None]).reshape(len(rows), -1)
        for row, order, own_keys in zip(rows, np.argsort(costs, axis=1), keys, strict=True):
            key = next((key for key in own_keys[order].tolist() if key not in used), None)
            if key is not None:
                used.add(key)
                codes[row] = np.unravel_index(key, problem.sizes)
    return codes


def added_cost(problem: Problem, codes: np.ndarray) -> float:
    """Sum of distances along the raw path, above that of the raw codes (PSI's cost)."""
    rows = np.flatnonzero((codes[:, : len(problem.sizes)] != problem.raw_codes).any(axis=1))
    total = 0.0
    for start in range(0, len(rows), 4096):
        block = rows[start : start + 4096]
        distances = ecm.greedy_distances(problem, block)
        for level, offset in enumerate(offsets_of(problem.sizes)[:-1]):
            own = distances[:, offset : offset + problem.sizes[level]]
            chosen = np.take_along_axis(own, codes[block, level, None].astype(np.int64), 1)
            total += float(
                (chosen[:, 0] - own[range(len(block)), problem.raw_codes[block, level]]).sum()
            )
    return total


def squared_error(problem: Problem, codes: np.ndarray) -> float:
    rebuilt = sum(book[column] for book, column in zip(problem.codebooks, codes.T, strict=False))
    return float(((problem.latent - rebuilt) ** 2).sum(axis=1).mean())


def measure_policies(title: str, problem: Problem, stopwatch: Stopwatch, small: Problem) -> Table:
    """Return one row per policy."""
    distinct = len(np.unique(sid_keys(problem.raw_codes, problem.sizes)))
    items = len(problem.item_ids)
    table = Table(
        title=f"{title}: {items:,} items in {' x '.join(map(str, problem.sizes))}, "
        f"{(items - distinct) / items:.1%} beyond distinct SIDs, "
        f"load {items / problem.capacity:.0%}"
    )
    for name in (
        "policy",
        "core-s",
        "distances",
        "added cost",
        "MSE",
        "first moved",
        "unplaced",
        "MB",
    ):
        table.add_column(name, justify="left" if name == "policy" else "right")
    before = squared_error(problem, problem.raw_codes)

    def measure(name: str, place: Callable[[Problem], np.ndarray]) -> None:
        place(small)  # compiles
        stopwatch.seconds, started = 0.0, time.process_time()
        codes = place(problem)
        seconds = time.process_time() - started - stopwatch.seconds
        away = stopwatch.seconds
        levels = len(problem.sizes)
        lost = items - len(np.unique(sid_keys(codes[:, :levels], problem.sizes)))
        table.add_row(
            name,
            f"{seconds:.2f}",
            f"{away:.2f}",
            f"{added_cost(problem, codes):,.0f}",
            f"{squared_error(problem, codes) / before - 1:+.2%}",
            f"{(codes[:, 0] != problem.raw_codes[:, 0]).mean():.1%}",
            f"{lost:,}" if codes.shape[1] == levels else "0",
            f"{resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024:,.0f}",
        )

    for name, policy in POLICIES.items():
        if name == "none":
            continue
        params = SemanticIdsParams(policy=name, capacity=1, index_size=4096)
        measure(
            name,
            lambda given, policy=policy, params=params: policy.place(given, params).codes,
        )
    measure("enumeration, k = 8", brute_force)
    return table


def measure_index(items: int) -> float:
    """Return the core-seconds that an appended index takes."""
    draw = np.random.default_rng(0)
    codes = draw.integers(0, 256, size=(items, 3)).astype(np.int32)
    codes[: items // 8] = codes[items // 8 : 2 * (items // 8)]
    ids = np.array([f"item{row:07}" for row in range(items)], object)
    books = [np.zeros((256, 1), np.float32)] * 3
    problem = Problem(
        ids, np.zeros((items, 1), np.float32), books, codes, draw.random(items, np.float32)
    )
    seconds = []
    for _ in range(3):
        started = time.process_time()
        append_index(problem, SemanticIdsParams())
        seconds.append(time.process_time() - started)
    return min(seconds)


def main() -> None:
    full = argparse.ArgumentParser(description=__doc__)
    full.add_argument("--full", action="store_true", help="the crowded case too: minutes")
    arguments = full.parse_args()
    faiss.omp_set_num_threads(1)
    stopwatch = Stopwatch()
    for module in (assignment, ecm, rrs, knn_n):
        for name in ("greedy_distances", "path_scores", "code_products"):
            if hasattr(module, name):
                stopwatch.watch(module, name)
    console = Console(width=110)
    vectors = catalogue(100_000, 200, 0.505)
    console.print(
        measure_policies("(i)", problem_of(vectors, 3), stopwatch, problem_of(vectors[:2000], 3))
    )
    growth = (10_000, 100_000, 1_000_000)
    times = ", ".join(f"{items:,} items {measure_index(items):.3f}" for items in growth)
    console.print(f"append_index, core-seconds: {times}")
    if arguments.full:
        vectors = catalogue(60_000, 200, 0.5)
        console.print(
            measure_policies(
                "(ii)", problem_of(vectors, 2), stopwatch, problem_of(vectors[:2000], 2)
            )
        )


if __name__ == "__main__":
    main()
