"""Params of the stage ``quality_gate``: one limit per expectation, which are thereby all known."""

from __future__ import annotations

from typing import Literal

from pydantic import BaseModel, ConfigDict, Field

from assets.stage import Params


class Limit(BaseModel):
    """What a number must keep to; one with neither minimum nor maximum is not judged."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    minimum: float | None = Field(None, description="Least allowed value.")
    maximum: float | None = Field(None, description="Largest allowed value.")
    severity: Literal["critical", "warning"] = Field(
        "critical", description="`critical` stops the pipeline, `warning` is only shown."
    )


def _at_least(value: float, severity: Literal["critical", "warning"] = "critical") -> Limit:
    return Limit(minimum=value, severity=severity)


def _at_most(value: float, severity: Literal["critical", "warning"] = "critical") -> Limit:
    return Limit(maximum=value, severity=severity)


class QualityGateParams(Params):
    """Section ``quality_gate`` of params.yaml: name of the expectation to its limit."""

    report_complete: Limit = Field(
        _at_most(0),
        description="Numbers of the collision report that are missing, unknown or of another kind.",
    )
    sid_version_agrees: Limit = Field(
        _at_least(1), description="The report is about these very IDs (1) or about others (0)."
    )
    no_missing_values: Limit = Field(
        _at_most(0), description="Empty cells in the ID table: item_id, SID or a code."
    )
    item_ids_unique: Limit = Field(
        _at_most(0), description="Rows of the ID table whose item_id stands there more than once."
    )
    codes_in_range: Limit = Field(
        _at_most(0), description="Codes in the ID table that their level does not have."
    )
    unplaced_items: Limit = Field(_at_most(0), description="Items of the catalogue without an ID.")
    largest_bucket: Limit = Field(
        Limit(),
        description="Items under the fullest ID; without a maximum, what the policy promises.",
    )
    conflict_rate_after: Limit = Field(
        Limit(),
        description="(items - different IDs) / items; without a maximum, 0 where the policy"
        " promises unique IDs.",
    )
    conflict_rate_raw: Limit = Field(
        _at_most(0.5, "warning"),
        description="(items - different code tuples) / items before the policy.",
    )
    index_share: Limit = Field(
        _at_most(0.25),
        description="Share of what tells items apart that an appended index carries.",
    )
    load: Limit = Field(
        _at_most(0.8, "warning"), description="Items per possible ID; near 1 moved items end far."
    )
    gini_of_different: Limit = Field(
        _at_most(0.6),
        description="Gini of different vectors per occupied code tuple before the policy; no"
        " quantizer tells equal ones apart.",
    )
    gini_worst_level: Limit = Field(
        _at_most(0.9), description="Largest Gini of items per code among the levels."
    )
    utilisation_worst_level: Limit = Field(
        _at_least(0.5), description="Least share of the usable codes in use among the levels."
    )
    mse_added_by_moves: Limit = Field(
        _at_most(0.25), description="Squared error that moves add, as a share of the variance."
    )
    variance_explained: Limit = Field(
        _at_least(0.1), description="Share of the vectors' variance that the codes rebuild."
    )
    embedding_hitrate_raw: Limit = Field(
        _at_least(0.01), description="Embedding hit rate of the vectors on validation."
    )
    embedding_hitrate_kept: Limit = Field(
        _at_least(0.5),
        description="Hit rate of the vectors rebuilt from codes / hit rate of the vectors.",
    )
    embedding_i2i_lift: Limit = Field(
        _at_least(1.2, "warning"),
        description="How many times more often than by chance items taken together lie near.",
    )
    least_sessions: int = Field(
        200, ge=1, description="Validation sessions below which no hit rate is judged."
    )
