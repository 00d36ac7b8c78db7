"""Loading and using codebooks needs nothing of what learning them needs."""

import json
import subprocess
import sys

import numpy as np
import pytest
from codebooks.made_up_vectors import FITTED, clustered, fit

from assets.codebooks.artifact import Codebooks

# loads and encodes in a process of its own, and tells which modules that took
LOAD = """
import json, sys
import numpy as np
from pathlib import Path
from assets.codebooks.artifact import Codebooks

folder = Path(sys.argv[1])
quantizer = Codebooks.load(folder).quantizer
codes = quantizer.encode(np.load(folder / "vectors.npy"))
quantizer.decode(codes)
np.save(folder / "codes.npy", codes)
print(json.dumps(sorted(sys.modules)))
"""
LEARNING = ("assets.codebooks.fitting", "assets.codebooks.params", "assets.training")
HEAVY = ("torch", "faiss", "sklearn", "scipy", "pandas", "vector_quantize_pytorch")


@pytest.mark.parametrize("name", FITTED)
def test_codebooks_load_and_encode_without_what_learns_them(name, tmp_path) -> None:
    vectors = clustered(100)
    quantizer = fit(name, vectors)
    Codebooks(quantizer, "text", {}).save(tmp_path)
    np.save(tmp_path / "vectors.npy", vectors)
    done = subprocess.run(
        [sys.executable, "-c", LOAD, str(tmp_path)], capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr
    np.testing.assert_array_equal(np.load(tmp_path / "codes.npy"), quantizer.encode(vectors))
    loaded = json.loads(done.stdout)
    assert "assets.codebooks.artifact" in loaded
    needless = [m for m in loaded if m.startswith(LEARNING) or m.split(".")[0] in HEAVY]
    assert needless == []
