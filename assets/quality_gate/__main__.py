"""Judge the IDs, stop everything after them if they are bad: ``python -m assets.quality_gate``."""

from __future__ import annotations

import math
import os
import shutil

# read when Great Expectations is imported: nothing is sent anywhere
os.environ["GX_ANALYTICS_ENABLED"] = "false"

from assets.collision_report.artifact import CollisionReport, Numbers, ReportError
from assets.quality_gate.artifact import Outcome, Verdict
from assets.quality_gate.expectations import EXPECTATIONS
from assets.quality_gate.judging import judge
from assets.quality_gate.observations import limits, observe_report, observe_table
from assets.quality_gate.params import QualityGateParams
from assets.semantic_ids.artifact import SemanticIds
from assets.stage import DATA, NegativeResultError, Run, run_stage


def main(run: Run[QualityGateParams]) -> None:
    """Gather the numbers, judge them, write the verdict, and fail if it is negative."""
    report: Numbers | None = None
    broken: ReportError | None = None
    try:
        report = CollisionReport.load(run.input("collision_report")).numbers
    except ReportError as error:
        broken = error
    folder = run.input("semantic_ids")
    table, manifest = SemanticIds.table(folder), SemanticIds.manifest(folder)
    whole = not table.isna().any(axis=None)
    version = SemanticIds.load(folder).version if whole else manifest["sid_version"]

    # A number that is not there is none, and no limit lets that pass.
    observed: dict[str, float | None] = dict.fromkeys((e.name for e in EXPECTATIONS), math.nan)
    observed |= observe_table(table, manifest["sizes"])
    observed["report_complete"] = len(broken.faults) if broken else 0
    if report:
        observed |= observe_report(report, run.params.least_sessions)
        observed["sid_version_agrees"] = float(report.sid_version == version)
    chosen = limits(run.params, report.bucket_limit if report else None)
    judged = {
        name: value
        for name, value in observed.items()
        if value is not None and (chosen[name].minimum, chosen[name].maximum) != (None, None)
    }
    docs = DATA / "logs" / "quality_gate"
    shutil.rmtree(docs, ignore_errors=True)
    passed = judge(judged, chosen, docs)

    outcomes = [
        Outcome(
            expectation=expectation.name,
            description=expectation.description,
            observed=_known(observed[expectation.name]),
            minimum=chosen[expectation.name].minimum,
            maximum=chosen[expectation.name].maximum,
            severity=chosen[expectation.name].severity,
            applicable=expectation.name in judged,
            passed=passed.get(expectation.name, True),
            detail=str(broken) if broken and expectation.name == "report_complete" else "",
        )
        for expectation in EXPECTATIONS
    ]
    verdict = Verdict(version, outcomes)
    verdict.save(run.folder)
    run.report(
        {
            "passed": verdict.passed,
            "failed_expectations": len(verdict.failures),
            "warnings": sum(not o.passed and o.severity == "warning" for o in outcomes),
            "not_applicable": sum(not o.applicable for o in outcomes),
            "expectations": [
                {"expectation": o.expectation, "observed": o.observed, "passed": o.passed}
                for o in outcomes
            ],
        }
    )
    for outcome in outcomes:
        if not outcome.passed and outcome.severity == "warning":
            run.say(f"warning: {outcome.sentence()}")
    if not verdict.passed:
        raise NegativeResultError(verdict.reason())
    run.say(f"{len(judged)} expectations met, {len(outcomes) - len(judged)} not applicable")


def _known(value: float | None) -> float | None:
    return None if value is None or math.isnan(value) else value


if __name__ == "__main__":
    run_stage("quality_gate", QualityGateParams, main)
