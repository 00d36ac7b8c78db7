"""The collision policies by name. A new one is a file beside this and a line here."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from assets.semantic_ids.append_index import append_index
from assets.semantic_ids.ecm import place_by_ecm
from assets.semantic_ids.knn_n import place_by_knn_n
from assets.semantic_ids.none import keep_raw_codes
from assets.semantic_ids.optimal import place_by_optimal
from assets.semantic_ids.optimal_prefix import place_by_optimal_prefix
from assets.semantic_ids.params import PolicyName, SemanticIdsParams
from assets.semantic_ids.placement import Placement, check_placement
from assets.semantic_ids.problem import Problem
from assets.semantic_ids.random_n import place_by_random_n
from assets.semantic_ids.rrs import place_by_rrs


@dataclass(frozen=True)
class Policy:
    """A rule that gives every item its final SID, and what is known of it beforehand.

    Attributes:
        place: Places all items; raises UserError where not all fit, saying what to enlarge.
        bucket_limit: The most items that may share one SID; None where nothing is promised.
        additive_only: Whether it needs an additive quantizer.
    """

    place: Callable[[Problem, SemanticIdsParams], Placement]
    bucket_limit: Callable[[SemanticIdsParams], int | None]
    additive_only: bool


def _any_number(_: SemanticIdsParams) -> None:
    return None


def _one(_: SemanticIdsParams) -> int:
    return 1


def _capacity(params: SemanticIdsParams) -> int:
    return params.capacity


POLICIES: dict[PolicyName, Policy] = {
    "none": Policy(keep_raw_codes, _any_number, additive_only=False),
    "append_index": Policy(append_index, _one, additive_only=False),
    "ecm": Policy(place_by_ecm, _one, additive_only=True),
    "rrs": Policy(place_by_rrs, _one, additive_only=True),
    "knn_n": Policy(place_by_knn_n, _capacity, additive_only=True),
    "random_n": Policy(place_by_random_n, _capacity, additive_only=False),
    "optimal": Policy(place_by_optimal, _one, additive_only=True),
    "optimal_prefix": Policy(place_by_optimal_prefix, _one, additive_only=True),
}


def place_items(problem: Problem, params: SemanticIdsParams) -> Placement:
    """Place the items by the policy that the params name, and check what it promises.

    Raises:
        UserError: Not all items fit; the text says what to enlarge.
    """
    policy = POLICIES[params.policy]
    placement = policy.place(problem, params)
    check_placement(placement, problem, policy.bucket_limit(params))
    return placement
