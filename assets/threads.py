"""How many threads this process may use, told to the numerical libraries before they are loaded.

They read the environment once, when they are loaded: ``assets/__init__.py`` calls
:func:`tell_libraries`, and whatever of Sidmill is imported, that file comes first.
"""

from __future__ import annotations

import contextlib
import math
import os
import sys
from pathlib import Path

COUNTS = (
    "OMP_NUM_THREADS",  # torch, faiss, scikit-learn, Arrow
    "OPENBLAS_NUM_THREADS",  # numpy, scipy
    "MKL_NUM_THREADS",
    "VECLIB_MAXIMUM_THREADS",  # numpy on a Mac
    "NUMBA_NUM_THREADS",
    "RAYON_NUM_THREADS",  # tokenizers
)
# Threads that wait for each other spin by default, which takes the processor from those that they
# wait for: beside another busy process that makes training many times slower.
WAITING = {"OMP_WAIT_POLICY": "passive", "OPENBLAS_THREAD_TIMEOUT": "4"}  # 2^4 cycles, not 2^26


def tell_libraries() -> None:
    """Set the variables that numerical libraries read.

    ``SIDMILL_THREADS`` overrides what is set; one that is no number is left for
    :class:`assets.machine.Machine` to complain of. Without it a container's share of the processor
    is told, which libraries do not see, where nothing else is set.
    """
    for name, value in WAITING.items():
        os.environ.setdefault(name, value)
    asked = os.environ.get("SIDMILL_THREADS", "").strip()
    if asked.isdecimal() and int(asked) > 0:
        os.environ.update(dict.fromkeys(COUNTS, str(int(asked))))
        _limit_loaded(int(asked))
    elif usable_cores() < _cores():
        for name in COUNTS:
            os.environ.setdefault(name, str(usable_cores()))


def prefer(count: int) -> None:
    """Use so many threads where nobody has asked for another number."""
    if "SIDMILL_THREADS" not in os.environ and "OMP_NUM_THREADS" not in os.environ:
        os.environ.update(dict.fromkeys(COUNTS, str(count)))
        _limit_loaded(count)


def usable_cores() -> int:
    """Return how many cores this process may keep busy."""
    return max(1, math.ceil(min(_cores(), _share_of_container())))


def _cores() -> int:
    if hasattr(os, "sched_getaffinity"):
        return len(os.sched_getaffinity(0))
    return os.cpu_count() or 1


def _share_of_container(file: Path = Path("/sys/fs/cgroup/cpu.max")) -> float:
    """Return the cores' worth of time that a container gets; infinite where nothing limits it."""
    with contextlib.suppress(OSError, ValueError):
        quota, period = file.read_text(encoding="ascii").split()
        return int(quota) / int(period)  # `max` where nothing limits it
    return math.inf


def _limit_loaded(count: int) -> None:
    """Limit libraries that somebody's program had loaded before it imported Sidmill."""
    if "numpy" in sys.modules:
        import threadpoolctl  # type: ignore[import-untyped]

        threadpoolctl.threadpool_limits(count)
    if torch := sys.modules.get("torch"):
        torch.set_num_threads(count)
    if numba := sys.modules.get("numba"):
        numba.set_num_threads(min(count, numba.config.NUMBA_NUM_THREADS))
