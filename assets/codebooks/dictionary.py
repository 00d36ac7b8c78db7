"""Dictionary learning: the codes of a vector are the atoms that it is made of, strongest first.

K atoms of length 1 are learnt by scikit-learn's ``MiniBatchDictionaryLearning``, the tokenizer of
"Semantic IDs for Joint Generative Search and Recommendation". How a sparse code becomes L codes is
not told there; here it is matching pursuit with positive coefficients::

    r_1 = x,   c_l = argmax_c r_l · d_c,   a_l = max(0, r_l · d_c_l),   r_{l+1} = r_l − a_l d_c_l

One dictionary serves all levels, so they have the same size. A SID cannot hold the coefficients:
the codebook of level l has the rows ā_{l,c} d_c, where ā_{l,c} is the mean coefficient of the
vectors that took atom c at level l (of the whole level for an atom that none took). Their sum
rebuilds a vector.
"""

from __future__ import annotations

from typing import Any, ClassVar, Self

import numpy as np
from numpy.typing import NDArray

from assets.codebooks.quantizer import Codes, Vectors
from assets.codebooks.residual import ResidualQuantizer, levels_of
from assets.exact import products, rounded

BLOCK = 1024  # rows whose products with all atoms are held at a time


class Dictionary(ResidualQuantizer):
    """Atoms, and how strong they are at each level."""

    name: ClassVar[str] = "dictionary"

    def __init__(self, codebooks: list[Vectors], atoms: Vectors) -> None:
        super().__init__(codebooks)
        self._atoms = atoms  # (atoms, dim), rows of length 1

    def encode(self, vectors: Vectors) -> Codes:
        """Return the (n, levels) atoms of (n, dim) vectors by matching pursuit."""
        return pursue(vectors, self._atoms, len(self._codebooks))[0]

    def tensors(self) -> dict[str, NDArray[Any]]:
        """Return the codebooks and the atoms."""
        return {**super().tensors(), "atoms": self._atoms}

    @classmethod
    def from_tensors(cls, tensors: dict[str, NDArray[Any]]) -> Self:
        """Rebuild the quantizer from :meth:`tensors`."""
        return cls(levels_of(tensors), tensors["atoms"])


def pursue(vectors: Vectors, atoms: Vectors, levels: int) -> tuple[Codes, Vectors]:
    """Return the (n, levels) atoms of (n, dim) vectors by matching pursuit, and their coefficients.

    Residuals are never built: r · d = x · d − Σ a_m d_m · d.
    """
    overlaps = products(atoms, atoms)
    columns = rounded(atoms).T
    codes = np.empty((len(vectors), levels), np.int32)
    strengths = np.empty((len(vectors), levels), np.float32)
    for start in range(0, len(vectors), BLOCK):
        rows = slice(start, start + BLOCK)
        fit = rounded(vectors[rows]) @ columns  # (rows, atoms)
        for level in range(levels):
            chosen = fit.argmax(axis=1)
            strength = np.maximum(fit[np.arange(len(fit)), chosen], 0)
            codes[rows, level], strengths[rows, level] = chosen, strength
            fit -= strength[:, None] * overlaps[chosen]
    return codes, strengths
