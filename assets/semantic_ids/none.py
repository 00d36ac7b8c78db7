"""Leave collisions as they are: items with the same nearest codes share a SID."""

from __future__ import annotations

from assets.semantic_ids.params import SemanticIdsParams
from assets.semantic_ids.placement import Placement
from assets.semantic_ids.problem import Problem


def keep_raw_codes(problem: Problem, _: SemanticIdsParams) -> Placement:
    """Return the raw codes; a bucket may hold any number."""
    return Placement(problem.raw_codes.copy(), problem.sizes)
