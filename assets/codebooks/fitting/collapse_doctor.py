"""Watches the use of codes while a quantizer trains, and says in words what went wrong.

A collapsed level sends most items to a few codes: its perplexity (2^entropy of the code counts)
falls far below the number of codes. Training goes on as if nothing were wrong, since the decoder
makes do with what it gets; so it is looked for.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

from assets.codebooks.params import RQVAEParams


@dataclass(frozen=True)
class Vitals:
    """What is measured after an epoch, with codes assigned by distance.

    Attributes:
        loss: Mean loss of the epoch.
        explained: Share of the vectors' variance that the reconstruction explains.
        perplexity: Per level, in codes.
        usable: Per level, how many codes could be used: at most one per distinct residual.
        spread: Share of the latents' squared length that is variance; 0: all are the same.
    """

    loss: float
    explained: float
    perplexity: Sequence[float]
    usable: Sequence[int]
    spread: float


class CollapseDoctor:
    """Calls a collapse once it has lasted, and names the knobs that may mend it."""

    def __init__(self, knobs: RQVAEParams) -> None:
        self._knobs = knobs
        self._epochs = 0
        self._bad_for = 0

    def examine(self, vitals: Vitals) -> str | None:
        """Return what is wrong and what to change, once it has been so for long enough."""
        self._epochs += 1
        if not math.isfinite(vitals.loss):
            return (
                f"the loss is no number from epoch {self._epochs} on: lower "
                f"`codebooks.rq_vae.learning_rate` (now {self._knobs.learning_rate:g})"
            )
        ill = self._collapsed(vitals)
        self._bad_for = self._bad_for + 1 if ill else 0
        if self._bad_for < self._knobs.collapse_patience:
            return None
        return f"{self._finding(vitals, ill)}; {self._advice(vitals, ill)}"

    def _collapsed(self, vitals: Vitals) -> list[int]:
        return [
            level
            for level, (perplexity, usable) in enumerate(
                zip(vitals.perplexity, vitals.usable, strict=True)
            )
            if usable > 1 and perplexity < max(1.5, self._knobs.collapse_share * usable)
        ]

    def _finding(self, vitals: Vitals, ill: list[int]) -> str:
        levels = " and ".join(
            f"level {level + 1} works like {vitals.perplexity[level]:.1f} codes of "
            f"{vitals.usable[level]}"
            for level in ill
        )
        first = self._epochs - self._bad_for + 1
        return f"the codes collapsed: {levels} (epochs {first} to {self._epochs})"

    def _advice(self, vitals: Vitals, ill: list[int]) -> str:
        """Name what is switched off, then what is set too strong."""
        knobs, changes = self._knobs, []
        if not knobs.kmeans_start:
            changes.append("`kmeans_start: true` (codes start far from all latents)")
        if not knobs.restart_every:
            changes.append("`restart_every: 1` (codes that nothing is nearest to stay dead)")
        if not knobs.sinkhorn:
            changes.append("`sinkhorn: true` (a few codes win all items)")
        if vitals.spread < 0.01:
            changes.append(
                f"a lower `commitment` (now {knobs.commitment:g}; the encoder maps all items to "
                "nearly the same point)"
            )
        if not changes and 0 not in ill:
            changes.append("fewer levels (the first ones leave little to be coded)")
        if not changes:
            changes.append(f"a lower `learning_rate` (now {knobs.learning_rate:g})")
            changes.append("more `plain_epochs`")
        return "try in params.yaml, `codebooks.rq_vae`: " + ", ".join(changes)
