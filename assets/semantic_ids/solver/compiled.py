"""Loops that must be loops: numba, with a cache on disk that all checkouts of these sources share.

numba's own cache notices a change in the file of a function, but not in other files whose functions
it calls, and starts empty in every copy of the project, such as that of an experiment. Here the
place of the cache is a hash of all the sources beside this one.
"""

from __future__ import annotations

import hashlib
import os
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numba
from numba.core.caching import InTreeCacheLocator

_FOLDER = Path(__file__).resolve().parent


def _place() -> Path:
    digest = hashlib.sha256()
    for source in sorted(_FOLDER.glob("*.py")):
        digest.update(source.read_bytes())
    home = Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache")
    return home / "sidmill" / f"compiled-{digest.hexdigest()[:16]}"


_PLACE = _place()


class BySources(InTreeCacheLocator):
    """Tells numba where the compiled loops of this folder lie; nowhere, for other code."""

    def __init__(self, function: Callable[..., Any], file: str) -> None:
        super().__init__(function, file)
        self._cache_path = str(_PLACE)

    @classmethod
    def from_function(cls, function: Callable[..., Any], file: str) -> Any:
        """Return a locator, or None where numba should ask the next one."""
        ours = Path(file).resolve().parent == _FOLDER
        return super().from_function(function, file) if ours else None


numba.config.CACHE_LOCATOR_CLASSES = (
    f"{__name__}.{BySources.__name__}, InTreeCacheLocator, UserWideCacheLocator"
)
compiled = numba.njit(cache=True)
