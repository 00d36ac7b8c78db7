"""Distances from items to codes: what the searches of the policies choose by.

All come from exact products, so that who stands beside an item changes nothing for it.
"""

from __future__ import annotations

from collections.abc import Callable
from itertools import accumulate

import numpy as np
from numpy.typing import NDArray

from assets.exact import products, rounded
from assets.semantic_ids.problem import Problem

Floats = NDArray[np.float64]
BLOCK = 4096  # items whose distances are held at a time


def blocks_of(rows: NDArray[np.intp]) -> list[NDArray[np.intp]]:
    """Cut rows into blocks whose distances are held at a time."""
    return [rows[start : start + BLOCK] for start in range(0, len(rows), BLOCK)]


def left_over(
    rows: NDArray[np.intp], seat: Callable[[NDArray[np.intp]], NDArray[np.bool_]]
) -> NDArray[np.intp]:
    """Let rows of items choose in their turns, a block at a time; return those without a seat.

    Args:
        rows: In their turns.
        seat: Seats a block of rows; returns who found a seat.
    """
    return np.concatenate([rows[:0], *(block[~seat(block)] for block in blocks_of(rows))])


def offsets_of(sizes: list[int]) -> NDArray[np.int64]:
    """Return where each level's codes begin when all are laid side by side, and their end."""
    return np.array([0, *accumulate(sizes)], np.int64)


def greedy_distances(problem: Problem, rows: NDArray[np.intp]) -> Floats:
    """Return ‖r_l − e‖ for all codes e of all levels, r_l along each item's raw codes.

    Args:
        problem: The items.
        rows: Which of them.

    Returns:
        (rows, all codes), levels side by side.
    """
    residuals = problem.latent[rows].astype(np.float64)
    parts = []
    for codebook, raw in zip(problem.codebooks, problem.raw_codes[rows].T, strict=True):
        points, book = rounded(residuals), rounded(codebook)
        squares = (points**2).sum(axis=1)[:, None] + (book**2).sum(axis=1)
        squares -= 2 * (points @ book.T)
        parts.append(np.sqrt(np.maximum(squares, 0, out=squares), out=squares))
        residuals -= codebook[raw]
    return np.concatenate(parts, axis=1)


def path_scores(problem: Problem, rows: NDArray[np.intp]) -> Floats:
    """Return −2 x·e + ‖e‖² for all codes, which :func:`code_products` turns into residuals'.

    With r = x − Σ e_m over the codes e_m above a level, ‖r − e‖² = ‖r‖² − 2 x·e + ‖e‖² + 2 Σ e_m·e,
    so products of codes with codes, taken once, spare every product of a residual with a codebook.

    Args:
        problem: The items.
        rows: Which of them.

    Returns:
        (rows, all codes), levels side by side.
    """
    points = rounded(problem.latent[rows])
    books = [rounded(book) for book in problem.codebooks]
    return np.concatenate([(book**2).sum(axis=1) - 2 * (points @ book.T) for book in books], axis=1)


def code_products(problem: Problem) -> Floats:
    """Return 2 e·e' of every code with every code, (all codes, all codes)."""
    codes = np.concatenate(problem.codebooks)
    return 2 * products(codes, codes)
