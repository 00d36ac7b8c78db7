"""The expectations of the gate, known without any data."""

from __future__ import annotations

from dataclasses import dataclass

from assets.quality_gate.params import Limit, QualityGateParams


@dataclass(frozen=True)
class Expectation:
    """One number that the gate looks at.

    Attributes:
        name: Its name, also its key in params.yaml.
        description: What the number is.
        limit: Its default limit.
    """

    name: str
    description: str
    limit: Limit


EXPECTATIONS: tuple[Expectation, ...] = tuple(
    Expectation(name, field.description or "", field.default)
    for name, field in QualityGateParams.model_fields.items()
    if field.annotation is Limit
)
