"""What is asked of Great Expectations: counts over a table, and limits over one row of numbers.

A NaN passes ``ExpectColumnValuesToBeBetween``, while the largest and the smallest value of a column
of NaN are none and fail: so the aggregates stand in one row and are judged by these.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pandas as pd

from assets.quality_gate.params import Limit


def count_unexpected(table: pd.DataFrame, expectations: list[Any]) -> float:
    """Return how many cells of a table do not meet its expectations."""
    _, batch, suite = _batch(table, "ids", expectations)
    results = batch.validate(suite).results
    for result in results:
        if result.exception_info.get("raised_exception", True):
            raise RuntimeError(f"Great Expectations could not judge: {result.exception_info}")
    return float(sum(result.result["unexpected_count"] for result in results))


def judge(
    observed: dict[str, float], chosen: dict[str, Limit], docs: Path | None = None
) -> dict[str, bool]:
    """Return for each number whether it keeps to its limit; a NaN keeps to none.

    Args:
        observed: Name to number.
        chosen: Name to limit.
        docs: Folder to write Great Expectations' own pages (Data Docs) to.
    """
    import great_expectations.expectations as gxe

    expectations = []
    for name in observed:
        limit = chosen[name]
        if limit.maximum is not None:
            expectations.append(
                gxe.ExpectColumnMaxToBeBetween(
                    column=name, max_value=limit.maximum, severity=limit.severity
                )
            )
        if limit.minimum is not None:
            expectations.append(
                gxe.ExpectColumnMinToBeBetween(
                    column=name, min_value=limit.minimum, severity=limit.severity
                )
            )
    row = pd.DataFrame([observed], dtype="float64")
    context, batch, suite = _batch(row, "quality_gate", expectations)
    passed = dict.fromkeys(observed, True)
    for result in batch.validate(suite).results:
        passed[result.expectation_config.kwargs["column"]] &= bool(result.success)
    if docs is not None:
        _write_docs(context, batch.data_asset.batch_definitions[0], suite, row, docs)
    return passed


def _batch(table: pd.DataFrame, name: str, expectations: list[Any]) -> tuple[Any, Any, Any]:
    import great_expectations as gx

    context = gx.get_context(mode="ephemeral")
    context.variables.progress_bars = {"globally": False}
    asset = context.data_sources.add_pandas(name).add_dataframe_asset(name)
    definition = asset.add_batch_definition_whole_dataframe(name)
    suite = context.suites.add(gx.ExpectationSuite(name=name, expectations=expectations))
    return context, definition.get_batch({"dataframe": table}), suite


def _write_docs(context: Any, definition: Any, suite: Any, row: pd.DataFrame, docs: Path) -> None:
    import great_expectations as gx

    site = {
        "class_name": "SiteBuilder",
        "site_index_builder": {"class_name": "DefaultSiteIndexBuilder"},
        "store_backend": {
            "class_name": "TupleFilesystemStoreBackend",
            "base_directory": str(docs.resolve()),
        },
    }
    context.add_data_docs_site("quality_gate", site)
    validation = context.validation_definitions.add(
        gx.ValidationDefinition(name="quality_gate", data=definition, suite=suite)
    )
    checkpoint = context.checkpoints.add(
        gx.Checkpoint(name="quality_gate", validation_definitions=[validation])
    )
    checkpoint.run(batch_parameters={"dataframe": row})
    context.build_data_docs(site_names=["quality_gate"])
