"""Trains as the stage does, and reads what it left."""

from __future__ import annotations

import contextlib

import pytest
import yaml
from safetensors.numpy import load_file

from assets.bi_encoder.__main__ import main
from assets.bi_encoder.params import BiEncoderParams
from assets.stage import Run


def trained(folder, processes=1):
    """Run the stage in this process, which has imported everything; return its folder."""
    out = folder / "data" / "bi_encoder"
    out.mkdir()
    section = yaml.safe_load((folder / "params.yaml").read_text())["bi_encoder"]
    with contextlib.chdir(folder), pytest.MonkeyPatch.context() as environment:
        environment.setenv("SIDMILL_DEVICE", "cpu")
        environment.setenv("SIDMILL_PROCESSES", str(processes))
        main(Run("bi_encoder", BiEncoderParams(**section), out))
    return out


def weights_of(folder):
    files = sorted((folder / "model").rglob("*.safetensors"))
    found = {}
    for file in files:
        prefix = file.parent.relative_to(folder / "model").as_posix()
        found |= {f"{prefix}/{name}": values for name, values in load_file(file).items()}
    return found
