"""What every collision policy can do."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, ClassVar, Protocol

import numpy as np
from numpy.typing import NDArray


@dataclass(frozen=True)
class Prior:
    """IDs already taken: none of them may be given away, moved or changed.

    Attributes:
        codes: (taken, length) int32; a SID stands as often as it has items.
    """

    codes: NDArray[np.int32]


@dataclass(frozen=True)
class Problem:
    """Items to place, in ascending order of item_id.

    Attributes:
        item_ids: (items,) text.
        latent: (items, dim) float32, in the space of the codebooks.
        codebooks: One (codes, dim) matrix per level.
        raw_codes: (items, levels) int32, nearest code per level.
        errors: (items,) float32, each item's own squared quantisation error under its raw codes.
        prior: IDs already taken, or None.
    """

    item_ids: NDArray[np.object_]
    latent: NDArray[np.float32]
    codebooks: list[NDArray[np.float32]]
    raw_codes: NDArray[np.int32]
    errors: NDArray[np.float32]
    prior: Prior | None = None


@dataclass(frozen=True)
class Placement:
    """Where the items went.

    Attributes:
        codes: (items, length) int32.
        sizes: Number of possible codes at each position.
    """

    codes: NDArray[np.int32]
    sizes: list[int]


class CollisionPolicy(Protocol):
    """A rule that gives every item its final SID.

    Attributes:
        name: What params call it.
        unique: Whether no two items may share a SID.
        additive_only: Whether it needs an additive quantizer.
    """

    name: ClassVar[str]
    unique: ClassVar[bool]
    additive_only: ClassVar[bool]

    def __init__(self, params: Any) -> None:
        """Take the stage's params."""
        ...

    def place(self, problem: Problem) -> Placement:
        """Place all items; input row order never matters.

        Raises:
            UserError: Not all items fit; the text says what to enlarge.
        """
        ...
