"""How long the report takes on one core. Run: python benchmarks/report.py [--full].

Clustered vectors of 384 dimensions, 3 x 256 codes, one item in a hundred moved; 100,000 items, or a
million with --full. Hit rates and neighbours are exact searches by faiss and stand apart.
"""

from __future__ import annotations

import argparse
import os
import resource
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

os.environ["OMP_NUM_THREADS"] = os.environ["OPENBLAS_NUM_THREADS"] = "1"

import numpy as np
import pandas as pd

from assets.codebooks.artifact import Codebooks
from assets.codebooks.fitting.fit import TrainingData
from assets.codebooks.fitting.rq_kmeans import fit_rq_kmeans
from assets.codebooks.params import CodebooksParams
from assets.collision_report import figures
from assets.collision_report.artifact import Numbers
from assets.collision_report.categories import Categories, prefix_purity
from assets.collision_report.describe import describe_ids
from assets.collision_report.first_level import first_level
from assets.collision_report.hit_rates import Sought, hits, neighbour_overlap
from assets.collision_report.page import write_page
from assets.collision_report.params import CollisionReportParams
from assets.semantic_ids.artifact import SemanticIds
from assets.semantic_ids.path_distances import path_distances

DIM = 384
GROUPS = 2000


def vectors_of(items: int, draw: np.random.Generator) -> tuple[np.ndarray, np.ndarray]:
    """Return unit vectors around the centres of groups, and each item's group."""
    centres = draw.normal(size=(GROUPS, DIM)).astype(np.float32)
    group = draw.integers(GROUPS, size=items)
    vectors = draw.standard_normal((items, DIM), np.float32)
    vectors *= 0.6
    vectors += centres[group]
    vectors /= np.linalg.norm(vectors, axis=1, keepdims=True)
    return vectors, group


def ids_of(vectors: np.ndarray, codebooks: Codebooks, draw: np.random.Generator) -> SemanticIds:
    items = len(vectors)
    raw = codebooks.quantizer.encode(vectors)
    codes = raw.copy()
    moved = draw.choice(items, items // 100, replace=False)
    codes[moved, 2] = (codes[moved, 2] + 1) % 256
    moved_level = np.full(items, -1, np.int32)
    moved_level[moved] = 2
    return SemanticIds(
        item_ids=np.array([f"{row:07}" for row in range(items)], dtype=object),
        codes=codes,
        raw_codes=raw,
        moved_level=moved_level,
        distances=path_distances(vectors, codebooks.quantizer.codebooks, codes),
        sizes=[256] * 3,
        policy="moved by the benchmark",
        codebook_version=codebooks.version,
        bucket_limit=None,
    )


@contextmanager
def timed(what: str, spent: dict[str, float]) -> Iterator[None]:
    started = time.process_time()
    yield
    spent[what] = time.process_time() - started


def main() -> None:
    arguments = argparse.ArgumentParser()
    arguments.add_argument("--full", action="store_true", help="a million items")
    items = 1_000_000 if arguments.parse_args().full else 100_000
    draw = np.random.default_rng(0)
    params = CollisionReportParams()
    vectors, group = vectors_of(items, draw)
    fitted_on = vectors[:: max(items // 20_000, 1)]
    settings = CodebooksParams(iterations=5)
    codebooks = Codebooks(fit_rq_kmeans(TrainingData(fitted_on), settings).quantizer, "text", {})
    ids = ids_of(vectors, codebooks, draw)
    catalogue = pd.DataFrame(
        {
            "item_id": ids.item_ids,
            "title": [f"Title {row}" for row in range(items)],
            "text": None,
            "category": [f"kind {number % 50}|sort {number % 7}" for number in group],
        }
    )
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss

    spent: dict[str, float] = {}
    with timed("numbers and rebuilt vectors", spent):
        numbers, rebuilt = describe_ids(ids, codebooks, vectors)
    with timed("prefix purity", spent):
        categories = Categories.of(catalogue["category"])
        numbers |= prefix_purity(ids.codes, categories, 0)
    with timed("first level", spent):
        first = codebooks.quantizer.codebooks[0]
        prefixes = first_level(
            ids.codes[:, 0], ids.distances[:, 0], first, catalogue, categories, params.example_items
        )
    ours = dict(spent)
    with timed("neighbour overlap (faiss)", spent):
        numbers |= neighbour_overlap(vectors, rebuilt, k=10, most=params.max_overlap_items, seed=0)
    with timed("hit rates of 2,000 sessions of 10 (faiss)", spent):
        sources = list(draw.integers(items, size=(params.max_sessions, 10)))
        sought = Sought(sources, list(draw.integers(items, size=(params.max_sessions, 1))))
        rates = [hits(space, sought, params.neighbours).mean() for space in (vectors, rebuilt)]
    numbers |= {
        "unplaced_items": 0,
        "neighbours": params.neighbours,
        "embedding_hitrate_raw": rates[0],
        "embedding_hitrate_reconstructed": rates[1],
        "embedding_hitrate_sessions": params.max_sessions,
        "embedding_hitrate_coverage": 1.0,
        "embedding_recall_i2i": None,
        "embedding_i2i_lift": None,
        "embedding_recall_i2i_pairs": 0,
        "embedding_recall_i2i_coverage": None,
    }
    report = Numbers(**numbers)
    with timed("figures and page", spent), tempfile.TemporaryDirectory() as folder:
        pictures = figures.draw_all(ids.codes, codebooks.sizes, report, prefixes)
        write_page(Path(folder) / "report.html", report, pictures, prefixes[:12], params)
    ours["figures and page"] = spent["figures and page"]

    print(f"report on {items:,} items of {DIM} dimensions, core-seconds:")
    for what, seconds in spent.items():
        print(f"  {what:<44}{seconds:8.2f}")
    print(f"  {'all but hit rates and neighbours':<44}{sum(ours.values()):8.2f}")
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    print(f"peak memory {peak / 2**20:.1f} GiB, {before / 2**20:.1f} GiB of it for the input")


if __name__ == "__main__":
    main()
