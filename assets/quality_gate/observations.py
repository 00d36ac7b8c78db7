"""The numbers that the gate judges: from the ID table as it lies on disk, and from the report."""

from __future__ import annotations

import pandas as pd

from assets.collision_report.artifact import Numbers
from assets.quality_gate.judging import count_unexpected
from assets.quality_gate.params import Limit, QualityGateParams


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


def observe_report(report: Numbers, least_sessions: int) -> dict[str, float | None]:
    """Pick the numbers of the report.

    Args:
        report: The collision report.
        least_sessions: Sessions below which hit rates are not judged.

    Returns:
        Name of the expectation to its number; None where the data cannot tell.
    """
    raw, rebuilt = report.embedding_hitrate_raw, report.embedding_hitrate_reconstructed
    enough = report.embedding_hitrate_sessions >= least_sessions
    return {
        "unplaced_items": report.unplaced_items,
        "largest_bucket": report.largest_bucket,
        "conflict_rate_after": report.conflict_rate,
        "conflict_rate_raw": report.conflict_rate_raw,
        "index_share": report.index_share,
        "load": report.load,
        "gini_of_different": report.gini_of_different,
        "gini_worst_level": report.gini_worst_level,
        "utilisation_worst_level": report.utilisation_worst_level,
        "mse_added_by_moves": report.mse_added_by_moves,
        "variance_explained": report.variance_explained,
        "embedding_hitrate_raw": raw if enough else None,
        "embedding_hitrate_kept": rebuilt / raw if enough and raw and rebuilt is not None else None,
        "embedding_i2i_lift": report.embedding_i2i_lift if enough else None,
    }


def limits(params: QualityGateParams, promised: int | None) -> dict[str, Limit]:
    """Return the limit of every expectation, with what the policy promises filled in.

    Args:
        params: The stage's params.
        promised: Most items under one ID that the policy allows, if it promises any.
    """
    chosen = {name: value for name, value in params if isinstance(value, Limit)}
    fallback = {
        "largest_bucket": promised,
        "conflict_rate_after": 0.0 if promised == 1 else None,
    }
    for name, maximum in fallback.items():
        if chosen[name].maximum is None:
            chosen[name] = chosen[name].model_copy(update={"maximum": maximum})
    return chosen
