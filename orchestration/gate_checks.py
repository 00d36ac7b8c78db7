"""Every expectation of the quality gate as a blocking asset check.

The gate's stage runs Great Expectations once and writes one row per expectation; here those rows
become check results. Nothing is judged here.
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import dagster as dg

from assets.quality_gate.artifact import Outcome, Verdict
from assets.quality_gate.expectations import EXPECTATIONS

GATE = "quality_gate"
SEVERITIES = {"critical": dg.AssetCheckSeverity.ERROR, "warning": dg.AssetCheckSeverity.WARN}


def check_specs() -> list[dg.AssetCheckSpec]:
    """Return one spec per expectation; their names are fixed, so they are known before any run."""
    return [
        dg.AssetCheckSpec(
            name=expectation.name,
            asset=GATE,
            description=expectation.description,
            blocking=True,
        )
        for expectation in EXPECTATIONS
    ]


def check_results(root: Path) -> Iterator[dg.AssetCheckResult]:
    """Yield one result per row of the verdict that lies in ``data/quality_gate``."""
    for outcome in Verdict.load(root / "data" / GATE).outcomes:
        yield dg.AssetCheckResult(check_name=outcome.expectation, **_content(outcome))


def check_evaluations(root: Path) -> Iterator[dg.AssetCheckEvaluation]:
    """Yield the same rows as events, for a verdict that was reached outside Dagster."""
    for outcome in Verdict.load(root / "data" / GATE).outcomes:
        yield dg.AssetCheckEvaluation(check_name=outcome.expectation, **_content(outcome))


def _content(outcome: Outcome) -> dict[str, Any]:
    return {
        "asset_key": dg.AssetKey(GATE),
        "passed": outcome.passed,
        "severity": SEVERITIES[outcome.severity],
        "description": outcome.sentence(),
        "metadata": _metadata(outcome),
    }


def _metadata(outcome: Outcome) -> dict[str, dg.MetadataValue]:
    limits = {
        "observed": outcome.observed,
        "minimum": outcome.minimum,
        "maximum": outcome.maximum,
    }
    numbers = {
        name: dg.MetadataValue.float(float(value))
        for name, value in limits.items()
        if value is not None
    }
    return {**numbers, "applicable": dg.MetadataValue.bool(outcome.applicable)}
