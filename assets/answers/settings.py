"""How the parts are asked, as the stage was told or chose, and as its manifest says."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Self

from assets.answers.fusion import Mixture
from assets.ranking import Task


@dataclass(frozen=True)
class BeamGuide:
    """What a beam of the generator is guided by.

    Attributes:
        mixture: The parts whose ranking guides; without any, what the generator has of its own
            (``Generator.write``).
        weight: What a unit of their score adds to the log probability of a beam.
    """

    mixture: Mixture
    weight: float


@dataclass(frozen=True)
class Settings:
    """How the parts are asked.

    Attributes:
        beams: Beams of the generator.
        depth: Ranks of each list that are joined.
        repeats: Whether what is in a history may be recommended.
        guides: By task, what the beams are guided by.
    """

    beams: int
    depth: int
    repeats: bool
    guides: Mapping[Task, BeamGuide]

    @classmethod
    def read(cls, manifest: Mapping[str, Any]) -> Self:
        """Read what :meth:`written` returned."""
        guides = {
            task: BeamGuide(Mixture(guide["fusion"], guide["weights"]), guide["weight"])
            for task, guide in manifest["guides"].items()
        }
        return cls(manifest["beams"], manifest["depth"], manifest["repeats"], guides)

    def written(self) -> dict[str, Any]:
        """Return plain values for a manifest."""
        guides = {
            task: vars(guide.mixture) | {"weight": guide.weight}
            for task, guide in self.guides.items()
        }
        return vars(self) | {"guides": guides}
