"""What a probe of the doctor finds, and what probes have in common."""

from __future__ import annotations

import shutil
import subprocess
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

State = Literal["OK", "slow", "broken"]
GB = 1e9


@dataclass(frozen=True)
class Finding:
    """One thing that was looked at.

    Attributes:
        what: Its name.
        state: OK, slow or broken.
        said: What was found.
        fix: What to do about it; None where the state is OK.
    """

    what: str
    state: State
    said: str
    fix: str | None = None


Found = Iterator[Finding]


def output(*command: str) -> str:
    """Return what a program prints, empty where there is none or it fails."""
    program = shutil.which(command[0])
    if program is None:
        return ""
    done = subprocess.run(  # noqa: S603  the commands are those of this file
        [program, *command[1:]], capture_output=True, text=True, check=False
    )
    return "" if done.returncode else done.stdout.strip()


def short(text: Any) -> str:
    """Write the user's home as ~, which says less about them in a bug report."""
    home = str(Path.home())
    return str(text).replace(home, "~") if home != "/" else str(text)
