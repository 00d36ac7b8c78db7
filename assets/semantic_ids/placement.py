"""Where a collision policy put the items, and what must hold of that before it is handed over."""

from __future__ import annotations

from dataclasses import dataclass, field

import numpy as np

from assets.semantic_ids.problem import Codes, Problem
from assets.semantic_ids.sid_keys import sid_keys
from assets.stage import UserError


@dataclass(frozen=True)
class Placement:
    """Where the items went.

    Attributes:
        codes: (items, length) int32.
        sizes: Number of possible codes at each position.
        told: Numbers that the policy has to say for the report.
    """

    codes: Codes
    sizes: list[int]
    told: dict[str, float] = field(default_factory=dict)


def check_placement(placement: Placement, problem: Problem, bucket_limit: int | None) -> None:
    """Make sure that no item is lost, all codes exist and no bucket holds more than promised.

    Args:
        placement: What the policy returned.
        problem: What it was given.
        bucket_limit: The most items the policy lets share a SID, if it promises.

    Raises:
        UserError: One of these does not hold; the text says what to enlarge.
    """
    codes, sizes = placement.codes, placement.sizes
    if codes.shape != (len(problem.item_ids), len(sizes)):
        raise UserError(
            f"{len(codes):,} of {len(problem.item_ids):,} items were placed: enlarge "
            "`codebooks.codebook_size` or `codebooks.levels`."
        )
    wrong = ((codes < 0) | (codes >= sizes)).any(axis=1)
    if wrong.any():
        raise UserError(
            f"item {problem.item_ids[wrong.argmax()]!r} got codes {codes[wrong.argmax()].tolist()},"
            f" outside of {sizes}: enlarge `codebooks.codebook_size` or `codebooks.levels`."
        )
    if bucket_limit is None:
        return
    prior = problem.prior.codes if problem.prior else np.empty((0, len(sizes)), np.int32)
    _, bucket, counts = np.unique(
        sid_keys(np.concatenate([prior, codes]), sizes), return_inverse=True, return_counts=True
    )
    over = counts[bucket[len(prior) :]] > bucket_limit
    if over.any():
        raise UserError(
            f"item {problem.item_ids[over.argmax()]!r} shares its SID with others beyond the limit "
            f"of {bucket_limit}: enlarge `codebooks.codebook_size` or `codebooks.levels`."
        )
