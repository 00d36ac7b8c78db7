"""Runs a command as if on another processor: AVX2 at most, faiss without SIMD, one thread.

python tests/on_another_processor.py pytest tests/codebooks

What a test rests on must not be a value that another processor rounds differently. The libraries
below choose their kernels by the processor when they are loaded, and can be told not to take the
newest ones. On a processor other than x86 one thread is all that is left of it.
"""

from __future__ import annotations

import os
import platform
import subprocess
import sys


def another_processor() -> dict[str, str]:
    """Return the environment variables that play it."""
    names = ["OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS", "SIDMILL_THREADS"]
    one_thread = dict.fromkeys(names, "1")
    if platform.machine() not in {"x86_64", "AMD64"}:
        return one_thread
    return one_thread | {
        "ATEN_CPU_CAPABILITY": "avx2",
        "ONEDNN_MAX_CPU_ISA": "AVX2",
        "MKL_ENABLE_INSTRUCTIONS": "AVX2",
        "FAISS_OPT_LEVEL": "generic",
        "OPENBLAS_CORETYPE": "Haswell",
        "NPY_DISABLE_CPU_FEATURES": " ".join(_numpy_beyond_avx2()),
    }


def _numpy_beyond_avx2() -> list[str]:
    """Return what numpy would use of this processor beyond AVX2; it refuses names of others."""
    from numpy._core import _multiarray_umath as numpy_core

    return [
        name
        for name in numpy_core.__cpu_dispatch__
        if numpy_core.__cpu_features__[name] and ("AVX512" in name or name == "X86_V4")
    ]


if __name__ == "__main__":
    played = another_processor()
    print("played:", *(f"{name}={value}" for name, value in played.items()), flush=True)
    sys.exit(subprocess.run(sys.argv[1:], env=os.environ | played, check=False).returncode)
