"""What the stage ``codebooks`` hands over."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from safetensors.numpy import load_file, save_file

from assets.codebooks.quantizer import Quantizer
from assets.codebooks.quantizers import QUANTIZERS
from assets.files import read_json, write_json

__all__ = ["Codebooks", "Quantizer"]


@dataclass(frozen=True)
class Codebooks:
    """A fitted quantizer and where it comes from.

    Attributes:
        quantizer: The quantizer.
        view: The embedding view it was fitted on.
        settings: The params it was fitted with, for the manifest.
    """

    quantizer: Quantizer
    view: str
    settings: dict[str, Any]

    @property
    def sizes(self) -> list[int]:
        """Number of codes of each level."""
        return [len(book) for book in self.quantizer.codebooks]

    @property
    def version(self) -> str:
        """sha256 over the quantizer's name and all its tensors."""
        digest = hashlib.sha256(self.quantizer.name.encode())
        for name, tensor in sorted(self.quantizer.tensors().items()):
            digest.update(f"{name} {tensor.dtype} {tensor.shape}".encode())
            digest.update(np.ascontiguousarray(tensor).tobytes())
        return digest.hexdigest()

    def save(self, folder: Path) -> None:
        """Write ``codebooks.safetensors`` and ``manifest.json``."""
        tensors = {
            name: np.ascontiguousarray(tensor) for name, tensor in self.quantizer.tensors().items()
        }
        save_file(tensors, folder / "codebooks.safetensors")
        manifest = {
            "quantizer": self.quantizer.name,
            "codebook_version": self.version,
            "view": self.view,
            "sizes": self.sizes,
            "settings": self.settings,
        }
        write_json(folder / "manifest.json", manifest)

    @classmethod
    def load(cls, folder: Path) -> Codebooks:
        """Read what :meth:`save` wrote."""
        manifest = read_json(Path(folder) / "manifest.json")
        tensors = load_file(Path(folder) / "codebooks.safetensors")
        quantizer = QUANTIZERS[manifest["quantizer"]].from_tensors(tensors)
        return cls(quantizer, manifest["view"], manifest["settings"])
