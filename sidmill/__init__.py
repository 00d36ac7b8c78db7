"""Sidmill for other programs: a release that answers, quantizers and collision policies.

::

    import sidmill

    answers = sidmill.load("data/releases/current")
    answers.search("lord of the rings", k=5)
    answers.recommend(["1", "260"], k=5)

Everything here is imported when it is first used, so that ``import sidmill`` is quick.
"""

from __future__ import annotations

import os
from importlib import import_module
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

import assets  # noqa: F401  before numpy and torch: it sets their threads

if TYPE_CHECKING:
    from assets.answers.artifact import Answers, Result
    from assets.bi_encoder.artifact import BiEncoder
    from assets.codebooks.artifact import Codebooks
    from assets.codebooks.fitting.fit import Fitted, TrainingData
    from assets.codebooks.fitting.fitters import FITTERS, fit_quantizer
    from assets.codebooks.params import CodebooksParams
    from assets.codebooks.quantizer import Quantizer
    from assets.codebooks.quantizers import QUANTIZERS
    from assets.semantic_ids.artifact import SemanticIds
    from assets.semantic_ids.params import SemanticIdsParams
    from assets.semantic_ids.placement import Placement
    from assets.semantic_ids.policies import POLICIES, Policy, place_items
    from assets.semantic_ids.problem import Problem
    from assets.stage import UserError

__all__ = [
    "FITTERS",
    "POLICIES",
    "QUANTIZERS",
    "Answers",
    "BiEncoder",
    "Codebooks",
    "CodebooksParams",
    "Fitted",
    "Placement",
    "Policy",
    "Problem",
    "Quantizer",
    "Result",
    "SemanticIds",
    "SemanticIdsParams",
    "TrainingData",
    "UserError",
    "fit_quantizer",
    "load",
    "place_items",
]
_HOMES = {
    "assets.answers.artifact": ["Answers", "Result"],
    "assets.bi_encoder.artifact": ["BiEncoder"],
    "assets.codebooks.artifact": ["Codebooks"],
    "assets.codebooks.fitting.fit": ["Fitted", "TrainingData"],
    "assets.codebooks.fitting.fitters": ["FITTERS", "fit_quantizer"],
    "assets.codebooks.params": ["CodebooksParams"],
    "assets.codebooks.quantizer": ["Quantizer"],
    "assets.codebooks.quantizers": ["QUANTIZERS"],
    "assets.semantic_ids.artifact": ["SemanticIds"],
    "assets.semantic_ids.params": ["SemanticIdsParams"],
    "assets.semantic_ids.placement": ["Placement"],
    "assets.semantic_ids.policies": ["POLICIES", "Policy", "place_items"],
    "assets.semantic_ids.problem": ["Problem"],
    "assets.stage": ["UserError"],
}
_HOME_OF = {name: home for home, names in _HOMES.items() for name in names}


def load(
    root: str | Path = "data/releases/current",
    device: Literal["auto", "cpu", "cuda"] | None = None,
) -> Answers:
    """Load a release, which then searches and recommends; nothing is fetched from anywhere.

    Args:
        root: The folder of a release, or ``data``, which has the same layout.
        device: ``auto``, ``cpu`` or ``cuda``; None takes what ``SIDMILL_DEVICE`` says.

    Raises:
        UserError: Something is missing there, or does not fit the rest.
    """
    os.environ.setdefault("HF_HUB_OFFLINE", "1")
    from assets.answers.artifact import Answers

    return Answers.load(Path(root), device)


def __getattr__(name: str) -> Any:
    """Import what is asked for."""
    if name not in _HOME_OF:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(import_module(_HOME_OF[name]), name)


def __dir__() -> list[str]:
    return __all__
