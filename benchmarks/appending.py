"""What appending costs, and what splitting it costs. Run: python benchmarks/appending.py [release].

Of a built catalogue (``data/`` by default, or the folder of a release) a fifth of the items is held
back. Codebooks are learnt from the others, which get their IDs by each policy that gives unique
ones; then the fifth is appended at once and in ten batches. Beside it: a rebuild, in which
everybody is there from the start and the codebooks are learnt from all.

The added error is the mean squared error of an item's final codes above that of its nearest ones.
"""

from __future__ import annotations

import argparse
import os

os.environ |= {"OMP_NUM_THREADS": "1", "NUMBA_NUM_THREADS": "1"}

from dataclasses import replace
from pathlib import Path

import numpy as np
from rich.console import Console
from rich.table import Table

from assets.codebooks.artifact import Codebooks
from assets.codebooks.fitting.fit import TrainingData
from assets.codebooks.fitting.fitters import fit_quantizer
from assets.codebooks.params import CodebooksParams
from assets.embeddings.artifact import Embeddings
from assets.semantic_ids.appending import added_error, append_items
from assets.semantic_ids.artifact import SemanticIds
from assets.semantic_ids.params import SemanticIdsParams
from assets.semantic_ids.path_distances import code_distances
from assets.semantic_ids.placement import Placement
from assets.semantic_ids.policies import POLICIES, place_items
from assets.semantic_ids.problem import Problem

HELD_BACK = 0.2
BATCHES = 10
CASES = [(3, 256), (2, 128)]  # levels and codes per level


def rows_of(problem: Problem, rows: np.ndarray) -> Problem:
    """Some of the items, in ascending order."""
    rows = np.sort(rows)
    return replace(
        problem,
        item_ids=problem.item_ids[rows],
        latent=problem.latent[rows],
        raw_codes=problem.raw_codes[rows],
        errors=problem.errors[rows],
    )


def table_of(
    problem: Problem, placement: Placement, params: SemanticIdsParams, codebooks: Codebooks
) -> SemanticIds:
    """The table of a placement; what was moved where is not looked at here."""
    return SemanticIds(
        item_ids=problem.item_ids,
        codes=placement.codes,
        raw_codes=problem.raw_codes,
        moved_level=np.full(len(problem.item_ids), -1, np.int32),
        distances=code_distances(codebooks.quantizer, problem.latent, placement.codes),
        sizes=placement.sizes,
        policy=params.policy,
        codebook_version=codebooks.version,
        bucket_limit=POLICIES[params.policy].bucket_limit(params),
    )


def build(problem: Problem, params: SemanticIdsParams, codebooks: Codebooks) -> SemanticIds:
    """All items at once."""
    return table_of(problem, place_items(problem, params), params, codebooks)


def grow(
    old: SemanticIds,
    problem: Problem,
    params: SemanticIdsParams,
    codebooks: Codebooks,
    batches: list[np.ndarray],
) -> SemanticIds:
    """Append the batches one after the other."""
    there = np.flatnonzero(np.isin(problem.item_ids, old.item_ids))
    first, codes = there, old.codes
    for batch in batches:
        there = np.concatenate([there, batch])
        now = rows_of(problem, there)
        grown = append_items(old, now, params, codebooks.version)
        old = table_of(now, grown.placement, params, codebooks)
    still = old.codes[np.isin(old.item_ids, problem.item_ids[first])]
    if not np.array_equal(still, codes):
        raise AssertionError("an old ID moved")
    if len(np.unique(old.codes, axis=0)) < len(old.codes):
        raise AssertionError("two items share an ID")
    return old


def measure(embeddings: Embeddings, levels: int, size: int, console: Console) -> None:
    """Measure every policy with unique IDs and print a row each."""
    ids, vectors = embeddings.item_ids, embeddings.text
    mixed = np.random.default_rng(0).permutation(len(ids))
    cut = int(HELD_BACK * len(ids))
    params = CodebooksParams(levels=levels, codebook_size=size)

    def learn(rows: np.ndarray) -> tuple[Codebooks, Problem]:
        quantizer = fit_quantizer(TrainingData(vectors[np.sort(rows)]), params).quantizer
        codebooks = Codebooks(quantizer, "text", params.settings)
        return codebooks, Problem.of(ids, vectors, codebooks)

    frozen, problem = learn(mixed[cut:])
    anew, whole = learn(mixed)
    places = np.argsort(np.argsort(ids, kind="stable"))  # problems are in order of item_id
    late, early = places[mixed[:cut]], places[mixed[cut:]]
    is_late = np.zeros(len(ids), bool)
    is_late[late] = True

    shown = Table(
        title=f"{cut:,} of {len(ids):,} items appended, {levels} x {size} codes: added error of an "
        "appended item (and how many moved)"
    )
    for name in ("policy", "at once", f"in {BATCHES} batches", "splitting adds", "rebuild"):
        shown.add_column(name, justify="left" if name == "policy" else "right")
    for name, policy in POLICIES.items():
        ids_params = SemanticIdsParams(policy=name, capacity=1)
        if policy.bucket_limit(ids_params) != 1:
            continue
        first = build(rows_of(problem, early), ids_params, frozen)
        tables = [
            (grow(first, problem, ids_params, frozen, [late]), problem),
            (grow(first, problem, ids_params, frozen, np.array_split(late, BATCHES)), problem),
            (build(whole, ids_params, anew), whole),
        ]
        added = [added_error(table, asked.errors, is_late) for table, asked in tables]
        moved = [
            int((table.codes[is_late, :levels] != table.raw_codes[is_late]).any(axis=1).sum())
            for table, _ in tables
        ]
        cells = [f"{error:.5f} ({count:,})" for error, count in zip(added, moved, strict=True)]
        shown.add_row(name, *cells[:2], f"{added[1] - added[0]:+.5f}", cells[2])
    console.print(shown)
    rows = {"appended items": is_late, "the others": ~is_late}
    for who, chosen in rows.items():
        console.print(
            f"squared error of the nearest codes, {who}: {problem.errors[chosen].mean():.3f} with "
            f"frozen codebooks, {whole.errors[chosen].mean():.3f} with those of the rebuild"
        )


def main() -> None:
    """Measure where there is much room and where there is little."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("folder", nargs="?", type=Path, default=Path("data"))
    folder = parser.parse_args().folder / "embeddings"
    if not folder.is_dir():
        print(f"{folder} is missing: `make run` makes it; nothing measured.")
        return
    console = Console(width=110)
    for levels, size in CASES:
        measure(Embeddings.load(folder), levels, size, console)


if __name__ == "__main__":
    main()
