"""faiss and torch each bring an OpenMP; together they must neither crash nor crawl."""

from __future__ import annotations

import subprocess
import sys

import pytest

BOTH = """
import time
import numpy as np
import {first}, {second}
import faiss, torch

vectors = np.random.default_rng(0).normal(size=(4000, 64)).astype(np.float32)
index = faiss.IndexFlatL2(64)
index.add(vectors)
matrix = torch.randn(256, 256)

def work():
    started = time.perf_counter()
    for _ in range(3):
        index.search(vectors[:1000], 10)
        for _ in range(20):
            matrix @ matrix
    faiss.Kmeans(64, 16, niter=3, seed=0).train(vectors)
    return time.perf_counter() - started

work()
print(work())
"""


@pytest.mark.parametrize(("first", "second"), [("faiss", "torch"), ("torch", "faiss")])
def test_faiss_and_torch_work_side_by_side_in_either_order_of_import(first, second):
    script = BOTH.format(first=first, second=second)
    done = subprocess.run(
        [sys.executable, "-c", script], capture_output=True, text=True, timeout=60, check=False
    )
    assert done.returncode == 0, done.stderr
    assert float(done.stdout) < 5  # takes about 0.1 s; threads that fight make it minutes
