"""Collisions and the use of the code space, as FORGE and PSI measure them."""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from hashlib import blake2b
from typing import Any

import numpy as np
from numpy.typing import NDArray

Counts = NDArray[np.integer[Any]]
Codes = NDArray[np.int32]
Lengths = NDArray[np.floating[Any]]


def prefix_keys(codes: Codes) -> Iterator[NDArray[np.int64]]:
    """Yield for each length, from 1, numbers that are equal where prefixes of that length are.

    Args:
        codes: (items, length), at least one item.

    Yields:
        (items,) numbers in the order of the prefixes.
    """
    keys = np.zeros(len(codes), np.int64)
    for column in codes.T:
        width = int(column.max()) + 1
        if int(keys.max()) >= 2**62 // width:  # more would not fit: count the prefixes instead
            keys = np.unique(keys, return_inverse=True)[1]
        keys = keys * width + column
        yield keys


def bucket_counts(codes: Codes) -> Counts:
    """Return how many items each occupied SID holds.

    Args:
        codes: (items, length), at least one item.

    Returns:
        (occupied SIDs,) counts of at least 1, in order of the SID.
    """
    *_, whole = prefix_keys(codes)
    return np.asarray(np.unique(whole, return_counts=True)[1])


def gini(counts: Counts, space: int | None = None) -> float:
    """Return the Gini coefficient of counts: 0 where all are equal, near 1 where one has all.

    G = (n+1)/n − 2 · Σ (n+1−i) · c_(i) / (n · Σ c), counts ascending (FORGE). Over occupied SIDs
    alone it is blind to collapse (all items on two SIDs gives 0), so measure it over ``space`` too.

    Args:
        counts: (occupied,) counts.
        space: Number n of places, the empty ones included; default the occupied ones.
    """
    ordered = np.sort(counts).astype(np.float64)
    n = len(ordered) if space is None else space
    weights = np.arange(len(ordered), 0, -1)  # n+1−i: the empty places come first and add nothing
    return float((n + 1) / n - 2 * (weights * ordered).sum() / (n * ordered.sum()))


def entropy(counts: Counts) -> float:
    """Return the entropy of the counts in bits; 2 to it is their perplexity."""
    shares = counts[counts > 0] / counts.sum()
    return float(-(shares * np.log2(shares)).sum()) + 0.0  # no negative zero


def collisions(counts: Counts) -> dict[str, float]:
    """Return conflict rate, share of items in conflict and the largest bucket.

    Args:
        counts: (occupied SIDs,) items of each.

    Returns:
        ``conflict_rate`` = (items − distinct SIDs) / items, ``share_in_conflict`` = items that
        share their SID / items, ``largest_bucket`` in items.
    """
    items = int(counts.sum())
    return {
        "conflict_rate": (items - len(counts)) / items,
        "share_in_conflict": int(counts[counts > 1].sum()) / items,
        "largest_bucket": int(counts.max()),
    }


def index_share(counts: Counts) -> float:
    """Return the share of what tells items apart that their codes do not tell.

    That is the mean of log2(items under the same codes) / log2(items): 0 where every item has codes
    of its own, 1 where all share theirs. An appended index has to carry it, and means nothing.

    Args:
        counts: (occupied,) items under each tuple of codes.
    """
    items = int(counts.sum())
    return float((counts * np.log2(counts)).sum() / items / np.log2(max(items, 2)))


def bucket_histogram(raw: Counts, final: Counts) -> list[dict[str, int]]:
    """Return one row per bucket size: SIDs holding so many items, before and after."""
    before, after = np.bincount(raw), np.bincount(final)
    length = max(len(before), len(after))
    before, after = (np.pad(counts, (0, length - len(counts))) for counts in (before, after))
    return [
        {"items_per_sid": size, "sids_before": int(before[size]), "sids_after": int(after[size])}
        for size in range(1, length)
        if before[size] or after[size]
    ]


def different(vectors: NDArray[np.float32]) -> NDArray[np.int64]:
    """Return the first row of each different one of (items, dim) vectors."""
    first: dict[bytes, int] = {}
    for row, vector in enumerate(vectors):
        first.setdefault(blake2b(vector.tobytes(), digest_size=16).digest(), row)
    return np.fromiter(first.values(), np.int64, len(first))


def level_use(
    codes: Codes, sizes: Sequence[int], entering: Lengths, vectors: Lengths
) -> list[dict[str, float | None]]:
    """Return one row per level: codes, how many are used and how evenly.

    A level speaks of the items of which anything is left to be coded there (``items_left``), and is
    measured against what they could use (``possible``): every code, or as many as they have
    different vectors, where those are fewer. ``utilisation`` = codes used / possible. ``entropy``
    is in bits, at most log2(possible), and ``perplexity`` = 2^entropy: as many codes, used evenly,
    would tell as much. ``gini`` is over the possible codes. Without an item left, as where a small
    catalogue is told apart before, they are None.

    Args:
        codes: (items, levels).
        sizes: Number of codes of each level.
        entering: (items, levels) length of what enters a level.
        vectors: (items, dim), of the same items.
    """
    left = entering > 1e-4 * entering[:, :1].mean()
    return [
        {"level": level + 1, **_use(codes[rows, level], size, vectors[rows])}
        for level, (size, rows) in enumerate(zip(sizes, left.T, strict=True))
    ]


def _use(codes: NDArray[np.int32], size: int, vectors: Lengths) -> dict[str, float | None]:
    if not len(codes):
        names = ("utilisation", "entropy", "perplexity", "gini", "largest_share")
        counted = {"codes": size, "items_left": 0, "possible": 0, "used": 0}
        return {**counted, **dict.fromkeys(names)}
    counts = np.unique(codes, return_counts=True)[1]
    possible = size
    if len(codes) < size:
        # A policy may give equal vectors different codes, so more can be in use.
        possible = max(len(np.unique(vectors, axis=0)), len(counts))
    bits = entropy(counts)
    return {
        "codes": size,
        "items_left": len(codes),
        "possible": possible,
        "used": len(counts),
        "utilisation": len(counts) / possible,
        "entropy": bits,
        "perplexity": 2.0**bits,
        "gini": gini(counts, possible),
        "largest_share": int(counts.max()) / len(codes),
    }


def worst_levels(use: list[dict[str, Any]]) -> dict[str, float | None]:
    """Return the worst Gini, utilisation, entropy and perplexity among levels with work to do.

    The least entropy and perplexity are those of the level that has least of what it could have. A
    level at which fewer than two different vectors are left cannot collapse. With no other level
    all are None.
    """
    busy = [row for row in use if row["possible"] > 1]
    least = min(busy, key=lambda row: row["perplexity"] / row["possible"], default=None)
    return {
        "gini_worst_level": max((row["gini"] for row in busy), default=None),
        "utilisation_worst_level": min((row["utilisation"] for row in busy), default=None),
        "entropy_worst_level": least["entropy"] if least else None,
        "perplexity_worst_level": least["perplexity"] if least else None,
    }


def space_use(counts: Counts, sizes: Sequence[int], reserved: int = 0) -> dict[str, float]:
    """Return the load of the code space (items per possible SID) and its Gini with empty SIDs.

    Args:
        counts: (occupied SIDs,) items of each.
        sizes: Number of possible codes at each position.
        reserved: Items that left, whose SIDs nobody else gets: they count as load.
    """
    space = math.prod(sizes)
    return {
        "code_space": space,
        "load": (int(counts.sum()) + reserved) / space,
        "gini_full_space": gini(counts, space),
    }
