"""Codebooks taken over from a release, as they are."""

from __future__ import annotations

from pathlib import Path

import numpy as np

from assets.codebooks.artifact import Codebooks
from assets.codebooks.params import CodebooksParams
from assets.stage import UserError


def codebooks_from_release(folder: Path, params: CodebooksParams, dim: int) -> Codebooks:
    """Load the codebooks of a release and make sure that they are what is asked for.

    What else params say of learning is not read: nothing is learnt.

    Args:
        folder: The asset in the release.
        params: The stage's params.
        dim: Length of the vectors to encode.

    Raises:
        UserError: Params ask for other codebooks, or the vectors are of another length.
    """
    codebooks = Codebooks.load(folder)
    had = {"quantizer": codebooks.quantizer.name, "view": codebooks.view, **codebooks.settings}
    asked = {"quantizer": params.quantizer, "view": params.view, **params.settings}
    for name in ("quantizer", "view", "levels", "codebook_size"):
        if had[name] != asked[name]:
            raise UserError(
                f"params.yaml: `codebooks.{name}` is {asked[name]!r}, but the codebooks of "
                f"{folder.parent} were learnt with {had[name]!r}, and growing from it keeps them: "
                "set it back, or run `sidmill rebuild`."
            )
    first = np.zeros((1, len(codebooks.sizes)), np.int32)
    if (known := codebooks.quantizer.decode(first).shape[1]) != dim:
        raise UserError(
            f"data/embeddings holds vectors of {dim} numbers, the codebooks of {folder.parent} "
            f"stand for vectors of {known}: run `sidmill rebuild`."
        )
    return codebooks
