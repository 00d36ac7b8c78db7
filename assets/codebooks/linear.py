"""Linear maps whose result for a row does not depend on where the row stands."""

from __future__ import annotations

import numpy as np

from assets.codebooks.quantizer import Vectors
from assets.exact import rounded

BLOCK = 512  # rows that stay in the processor's cache


def linear(rows: Vectors, weight: Vectors, bias: Vectors | None = None) -> Vectors:
    """Return the (n, out) float32 images of (n, in) rows.

    Args:
        rows: (n, in).
        weight: (out, in).
        bias: (out,), or None for no bias.
    """
    images = np.empty((len(rows), len(weight)), np.float32)
    columns = rounded(weight).T
    for start in range(0, len(rows), BLOCK):
        image = rounded(rows[start : start + BLOCK]) @ columns
        images[start : start + BLOCK] = image if bias is None else image + bias
    return images
