"""What the stage ``quality_gate`` hands over."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Literal

from assets.files import read_json, write_json
from assets.stage import UserError


@dataclass(frozen=True)
class Outcome:
    """The result of one expectation.

    Attributes:
        expectation: Name, such as ``gini_worst_level``.
        description: What is expected, in words.
        observed: The number found; None where it does not apply.
        minimum: Least allowed value, if any.
        maximum: Largest allowed value, if any.
        severity: ``critical`` stops the pipeline, ``warning`` does not.
        applicable: False where the data cannot tell (no interactions, no hit rate).
        passed: Whether it holds; True where it does not apply.
        detail: More about what was found; may be empty.
    """

    expectation: str
    description: str
    observed: float | None
    minimum: float | None
    maximum: float | None
    severity: Literal["critical", "warning"]
    applicable: bool
    passed: bool
    detail: str = ""

    def sentence(self) -> str:
        """Say what was found against what was expected, by how much it is off, and details."""
        return self._finding() + (f" ({self.detail})" if self.detail else "")

    def _finding(self) -> str:
        if not self.applicable:
            return f"{self.expectation}: not applicable to this data"
        wanted = " and ".join(
            f"{word} {limit:g}"
            for word, limit in (("at least", self.minimum), ("at most", self.maximum))
            if limit is not None
        )
        if self.observed is None:
            return f"{self.expectation} has no value, expected {wanted}"
        text = f"{self.expectation} is {self.observed:g}, expected {wanted}"
        if self.passed:
            return text
        off = max(
            (self.minimum - self.observed) if self.minimum is not None else 0.0,
            (self.observed - self.maximum) if self.maximum is not None else 0.0,
        )
        return f"{text}: off by {off:g}"


@dataclass(frozen=True)
class Verdict:
    """What the gate says about one version of the IDs.

    Attributes:
        sid_version: The IDs it speaks of.
        outcomes: One per expectation, in a fixed order.
    """

    sid_version: str
    outcomes: list[Outcome]

    @property
    def passed(self) -> bool:
        """Whether every critical expectation holds."""
        return not self.failures

    @property
    def failures(self) -> list[Outcome]:
        """The critical expectations that do not hold."""
        return [o for o in self.outcomes if not o.passed and o.severity == "critical"]

    def reason(self) -> str:
        """Say why it did not pass. What merely has no value stands last, and not beside a cause."""
        known = [outcome for outcome in self.failures if outcome.observed is not None]
        return "; ".join(outcome.sentence() for outcome in known or self.failures)

    def require(self, sid_version: str) -> None:
        """Let pass only IDs of exactly this version with a passed verdict.

        Raises:
            UserError: The verdict failed or is about other IDs.
        """
        if self.sid_version != sid_version:
            raise UserError(
                f"data/quality_gate judged SID version {self.sid_version[:12]}, but "
                f"data/semantic_ids holds {sid_version[:12]}: run `dvc repro quality_gate`."
            )
        if not self.passed:
            raise UserError(f"the quality gate did not pass: {self.reason()}")

    def save(self, folder: Path) -> None:
        """Write ``verdict.json``."""
        content = {
            "sid_version": self.sid_version,
            "passed": self.passed,
            "outcomes": [asdict(outcome) for outcome in self.outcomes],
        }
        write_json(folder / "verdict.json", content)

    @classmethod
    def load(cls, folder: Path) -> Verdict:
        """Read what :meth:`save` wrote.

        Raises:
            UserError: There is no verdict.
        """
        file = Path(folder) / "verdict.json"
        if not file.is_file():
            raise UserError(f"{file} is missing: run `dvc repro quality_gate` first.")
        content = read_json(file)
        outcomes = [Outcome(**row) for row in content["outcomes"]]
        return cls(content["sid_version"], outcomes)
