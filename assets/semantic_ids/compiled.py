"""Loops that must be loops: numba, with a cache on disk that notices every change.

numba's own cache notices a change in the file of a function, but not in other files whose functions
it calls. Here the place of the cache carries a hash of all the sources beside this one.
"""

from __future__ import annotations

import hashlib
import os
import tempfile
from pathlib import Path

import numba

_FOLDER = Path(__file__).parent


def _cache() -> Path:
    digest = hashlib.sha256()
    for source in sorted(_FOLDER.glob("*.py")):
        digest.update(source.read_bytes())
    home = _FOLDER / "__pycache__"
    if not os.access(home if home.is_dir() else _FOLDER, os.W_OK):
        home = Path(tempfile.gettempdir()) / "sidmill"
    return home / f"compiled-{digest.hexdigest()[:16]}"


numba.config.CACHE_DIR = str(_cache())
compiled = numba.njit(cache=True)
