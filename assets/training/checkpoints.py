"""Where a training stands, on disk: a killed one goes on, and ends as it would have ended."""

from __future__ import annotations

import hashlib
import json
import os
import pickle
import shutil
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

import torch

from assets.files import version_of
from assets.stage import CACHE

CODE = Path(__file__).parents[1]


def training_folder(
    stage: str, inputs: Iterable[Path], settings: Mapping[str, Any], beside: Iterable[str] = ()
) -> Path:
    """Return the folder of a training, the same one after a kill; the stage's others are removed.

    It is named after all that a training's end depends on, so none goes on from another's middle.

    Args:
        stage: The stage; its code counts.
        inputs: Folders that the training reads.
        settings: Params, precision, device: plain values by name.
        beside: Other stages whose code it trains with.
    """
    folders = [CODE / name for name in (stage, *beside, "training", "sequential")]
    code = [file for folder in folders for file in folder.rglob("*.py")]
    sources = [hashlib.sha256(file.read_bytes()).hexdigest() for file in sorted(code)]
    versions = [version_of(folder) for folder in inputs]
    key = json.dumps([torch.__version__, sources, versions, dict(settings)], sort_keys=True)
    folder = CACHE / "training" / stage / hashlib.sha256(key.encode()).hexdigest()[:16]
    for other in folder.parent.glob("*"):
        if other != folder:
            shutil.rmtree(other)
    folder.mkdir(parents=True, exist_ok=True)
    return folder


class Checkpoint:
    """One file that holds the newest state of a training."""

    def __init__(self, folder: Path) -> None:
        """Look in the training's folder."""
        self._file = folder / "state.pt"

    def save(self, state: Mapping[str, Any]) -> None:
        """Put a state in the place of the one before, all or nothing.

        Args:
            state: Tensors, numbers, texts, and lists and dicts of them.
        """
        partial = self._file.with_suffix(".partial")
        with partial.open("wb") as file:
            torch.save(dict(state), file)
            file.flush()
            os.fsync(file.fileno())
        partial.replace(self._file)

    def load(self) -> dict[str, Any] | None:
        """Return the newest state, its tensors in memory; None where no whole one was saved."""
        # A pickle, but our own, and read as tensors and plain values alone: safetensors hold no
        # optimiser, generators' states or curves.
        try:
            return dict(torch.load(self._file, map_location="cpu", weights_only=True))
        except (OSError, EOFError, RuntimeError, pickle.UnpicklingError):
            return None
