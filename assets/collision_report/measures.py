"""Collisions and the use of the code space, as FORGE and PSI measure them."""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
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


def level_use(codes: Codes, sizes: Sequence[int], entering: Lengths) -> list[dict[str, float]]:
    """Return one row per level: codes, how many are used and how evenly.

    ``utilisation`` is of the codes that could be used at all, which is at most one per item;
    ``entropy`` is in bits, at most log2(codes), and ``perplexity`` = 2^entropy: as many codes, used
    evenly, would tell as much. ``items_left`` counts the items of which anything is left to be
    coded at that level.

    Args:
        codes: (items, levels).
        sizes: Number of codes of each level.
        entering: (items, levels) length of what enters a level.
    """
    left = (entering > 1e-4 * entering[:, :1].mean()).sum(axis=0)
    rows = []
    for level, size in enumerate(sizes):
        counts = np.bincount(codes[:, level], minlength=size)
        used = int((counts > 0).sum())
        bits = entropy(counts)
        rows.append(
            {
                "level": level + 1,
                "codes": size,
                "items_left": int(left[level]),
                "used": used,
                "utilisation": used / min(size, len(codes)),
                "entropy": bits,
                "perplexity": 2.0**bits,
                "gini": gini(counts),
                "largest_share": int(counts.max()) / len(codes),
            }
        )
    return rows


def worst_levels(use: list[dict[str, float]]) -> dict[str, float | None]:
    """Return the worst Gini, utilisation, entropy and perplexity among levels with work to do.

    A level at which fewer items than codes have anything left to be coded says nothing about the
    codebooks: a small catalogue is told apart before. With no other level all are None.
    """
    busy = [row for row in use if row["items_left"] >= row["codes"]]
    return {
        "gini_worst_level": max((row["gini"] for row in busy), default=None),
        "utilisation_worst_level": min((row["utilisation"] for row in busy), default=None),
        "entropy_worst_level": min((row["entropy"] for row in busy), default=None),
        "perplexity_worst_level": min((row["perplexity"] for row in busy), default=None),
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
