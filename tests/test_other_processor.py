"""`make test-portable` plays another processor: the libraries see it."""

from __future__ import annotations

import platform
import subprocess
import sys

import pytest
from conftest import ROOT

SEEN = """
import numpy, torch, faiss, sys
from numpy._core import _multiarray_umath as core
print(torch.backends.cpu.get_cpu_capability())
print(torch.ops.mkldnn._is_mkldnn_bf16_supported())
print(any(core.__cpu_features__[name] for name in ("X86_V4", "AVX512_ICL", "AVX512_SPR")))
print("faiss.swigfaiss" in sys.modules)
print(torch.get_num_threads())
"""


def test_libraries_see_a_processor_with_avx2_and_one_thread():
    if platform.machine() != "x86_64":
        pytest.skip("another instruction set can be played on x86 alone")
    command = [sys.executable, "tests/other_processor.py", sys.executable, "-W", "error", "-c"]
    done = subprocess.run([*command, SEEN], cwd=ROOT, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    assert done.stdout.splitlines()[1:] == ["AVX2", "False", "False", "True", "1"]
