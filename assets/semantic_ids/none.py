"""Leave collisions as they are: items with the same nearest codes share a SID."""

from __future__ import annotations

from typing import TYPE_CHECKING, ClassVar

from assets.semantic_ids.policy import Placement, Problem

if TYPE_CHECKING:
    from assets.semantic_ids.params import SemanticIdsParams


class NoPolicy:
    """Every item keeps its raw codes; a bucket may hold any number."""

    name: ClassVar[str] = "none"
    additive_only: ClassVar[bool] = False

    def __init__(self, params: SemanticIdsParams) -> None:  # noqa: ARG002  as every policy takes them
        self.bucket_limit: int | None = None

    def place(self, problem: Problem) -> Placement:
        """Return the raw codes."""
        return Placement(problem.raw_codes.copy(), problem.sizes)
