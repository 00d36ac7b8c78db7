"""Plays a processor with AVX2 alone, and other numbers of threads, on whatever machine tests run.

Bits that rounding leaves open come out otherwise there: what must hold on any machine is tried
under it, and no test may rest on a value that another processor rounds differently. To run any
command so::

    python tests/other_processor.py pytest tests/codebooks

Libraries choose their kernels by the processor when they are loaded, and can be told not to take
the newest ones. Of a machine that is no x86 only the number of threads can be played.
"""

from __future__ import annotations

import os
import platform
import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).parents[1]


def other_processor(threads: int = 1) -> dict[str, str]:
    """Return the environment variables that play it."""
    names = ["OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS", "SIDMILL_THREADS"]
    counts = dict.fromkeys(names, str(threads))
    if platform.machine() not in {"x86_64", "AMD64"}:
        return counts
    return counts | {
        "ATEN_CPU_CAPABILITY": "avx2",
        "ONEDNN_MAX_CPU_ISA": "AVX2",
        "MKL_ENABLE_INSTRUCTIONS": "AVX2",
        "FAISS_OPT_LEVEL": "generic",
        "OPENBLAS_CORETYPE": "Haswell",
        "NPY_DISABLE_CPU_FEATURES": " ".join(_numpy_beyond_avx2()),
    }


def run_elsewhere(code: str, *arguments: object, threads: int = 1) -> str:
    """Run Python code as on that processor; return what it prints."""
    path = {"PYTHONPATH": f"{ROOT}:{ROOT / 'tests'}"}
    done = subprocess.run(
        [sys.executable, "-W", "ignore", "-c", code, *map(str, arguments)],
        cwd=ROOT,
        env=os.environ | other_processor(threads) | path,
        capture_output=True,
        text=True,
        check=False,
    )
    if done.returncode:
        raise AssertionError(done.stderr)
    return done.stdout


def _numpy_beyond_avx2() -> list[str]:
    """Return what numpy could use of this processor beyond AVX2; it refuses names of others."""
    if already := os.environ.get("NPY_DISABLE_CPU_FEATURES"):
        return already.split()  # it is played here too, and numpy says that it has none
    from numpy._core import _multiarray_umath as numpy_core

    return [
        name
        for name in numpy_core.__cpu_dispatch__
        if numpy_core.__cpu_features__[name] and ("AVX512" in name or name == "X86_V4")
    ]


if __name__ == "__main__":
    played = other_processor()
    print("played:", *(f"{name}={value}" for name, value in played.items()), flush=True)
    sys.exit(subprocess.run(sys.argv[1:], env=os.environ | played, check=False).returncode)
