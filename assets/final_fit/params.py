"""The knobs of the stage ``final_fit``."""

from __future__ import annotations

from pydantic import Field

from assets.stage import Params


class FinalFitParams(Params):
    """Section ``final_fit`` of params.yaml: whether what is released learns from all splits."""

    enabled: bool = Field(
        False,
        description="Train the retriever and the rankers once more on train, validation and test, "
        "with the settings and for the passes that validation chose. `sidmill run --final` does "
        "so for one run.",
    )
