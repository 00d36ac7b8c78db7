"""What the stage ``collision_report`` hands over."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

from assets.files import read_json
from assets.stage import UserError


@dataclass(frozen=True)
class CollisionReport:
    """What the IDs of one version are like.

    Attributes:
        numbers: Every measure by name; None where the data cannot tell.
    """

    numbers: dict[str, Any]

    @property
    def sid_version(self) -> str:
        """The version of the IDs that the report is about."""
        return str(self.numbers["sid_version"])

    @classmethod
    def load(cls, folder: Path) -> CollisionReport:
        """Read the report.

        Raises:
            UserError: There is none.
        """
        file = Path(folder) / "report.json"
        if not file.is_file():
            raise UserError(f"{file} is missing: run `dvc repro collision_report` first.")
        return cls(read_json(file))
