"""The numbers that the gate judges: from the ID table as it lies on disk, and from the report."""

from __future__ import annotations

import math
from typing import Any

import pandas as pd

from assets.quality_gate.judging import count_unexpected
from assets.quality_gate.params import Limit, QualityGateParams

NOT_A_NUMBER = math.nan


def observe_table(table: pd.DataFrame, sizes: list[int]) -> dict[str, float]:
    """Count what is wrong in the ID table.

    Args:
        table: item_id, sid and ``code_0`` … as they lie on disk.
        sizes: Number of possible codes at each position.
    """
    import great_expectations.expectations as gxe

    ranges = [
        gxe.ExpectColumnValuesToBeBetween(column=f"code_{place}", min_value=0, max_value=size - 1)
        for place, size in enumerate(sizes)
    ]
    return {
        "no_missing_values": count_unexpected(
            table, [gxe.ExpectColumnValuesToNotBeNull(column=name) for name in table.columns]
        ),
        "item_ids_unique": count_unexpected(
            table, [gxe.ExpectColumnValuesToBeUnique(column="item_id")]
        ),
        "codes_in_range": count_unexpected(table, ranges),
    }


def observe_report(numbers: dict[str, Any], least_sessions: int) -> dict[str, float | None]:
    """Pick the numbers of the report; None where the data cannot tell.

    Args:
        numbers: The collision report.
        least_sessions: Sessions below which hit rates are not judged.

    Returns:
        Name of the expectation to its number; not a number where the report lacks what it must
        have, which no limit lets pass.
    """
    must = {
        "unplaced_items": "unplaced_items",
        "largest_bucket": "largest_bucket",
        "conflict_rate_after": "conflict_rate",
        "conflict_rate_raw": "conflict_rate_raw",
        "load": "load",
        "gini_raw": "gini_raw",
        "mse_added_by_moves": "mse_added_by_moves",
    }
    observed: dict[str, float | None] = {}
    for name, column in must.items():
        value = numbers.get(column)
        observed[name] = NOT_A_NUMBER if value is None else float(value)
    k = numbers.get("neighbours")
    raw = numbers.get(f"embedding_hitrate_raw@{k}")
    rebuilt = numbers.get(f"embedding_hitrate_reconstructed@{k}")
    enough = numbers.get("embedding_hitrate_sessions", 0) >= least_sessions
    return observed | {
        "index_share": numbers.get("index_share"),
        "gini_worst_level": numbers.get("gini_worst_level"),
        "utilisation_worst_level": numbers.get("utilisation_worst_level"),
        "variance_explained": numbers.get("variance_explained"),
        "embedding_hitrate_raw": raw if enough else None,
        "embedding_hitrate_kept": rebuilt / raw if enough and raw and rebuilt is not None else None,
        "embedding_i2i_lift": numbers.get("embedding_i2i_lift") if enough else None,
    }


def limits(params: QualityGateParams, numbers: dict[str, Any]) -> dict[str, Limit]:
    """Return the limit of every expectation, with what the policy promises filled in.

    Args:
        params: The stage's params.
        numbers: The collision report, which knows the policy's bucket limit.
    """
    chosen = {name: value for name, value in params if isinstance(value, Limit)}
    promised = numbers.get("bucket_limit")
    fallback = {
        "largest_bucket": promised,
        "conflict_rate_after": 0.0 if promised == 1 else None,
    }
    for name, maximum in fallback.items():
        if chosen[name].maximum is None:
            chosen[name] = chosen[name].model_copy(update={"maximum": maximum})
    return chosen
