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

import warnings
from typing import TYPE_CHECKING, Any, ClassVar, Self

import numpy as np
from numpy.typing import NDArray
from pydantic import BaseModel, ConfigDict, Field

from assets.codebooks.kmeans import cluster, sample
from assets.codebooks.quantizer import Beside, Codes, Vectors
from assets.codebooks.residual import ResidualQuantizer, levels_of
from assets.exact import products, rounded
from assets.stage import UserError

if TYPE_CHECKING:
    from assets.codebooks.params import CodebooksParams

BLOCK = 4096  # rows whose products with all atoms are held at a time


class DictionaryParams(BaseModel):
    """Section ``codebooks.dictionary`` of params.yaml."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    penalty: float = Field(0.1, gt=0, description="Weight of the coefficients' L1 norm in fitting.")
    steps: int = Field(200, ge=1, description="Batches that atoms are learnt from.")
    batch_size: int = Field(256, ge=1, description="Vectors per batch.")


class Dictionary(ResidualQuantizer):
    """Atoms, and how strong they are at each level."""

    name: ClassVar[str] = "dictionary"

    def __init__(self, codebooks: list[Vectors], atoms: Vectors) -> None:
        super().__init__(codebooks)
        self._atoms = atoms  # (atoms, dim), rows of length 1

    @classmethod
    def fit(
        cls,
        vectors: Vectors,
        params: CodebooksParams,
        *,
        device: str = "cpu",
        beside: Beside | None = None,
    ) -> Self:
        """Learn the atoms from (items, dim) vectors, then their mean strengths.

        Raises:
            UserError: Levels of different sizes were asked for.
        """
        if len(set(params.sizes)) > 1:
            raise UserError(
                "params.yaml: `codebooks.quantizer` dictionary has one dictionary for all levels: "
                f"set `codebooks.codebook_size` to one number instead of {params.sizes}."
            )
        points = sample(vectors, params.most_points, params.seed)
        atoms = _learn(points, params)
        codes, strengths = _pursue(points, atoms, params.levels)
        codebooks = []
        for column, strength in zip(codes.T, strengths.T, strict=True):
            taken = np.bincount(column, minlength=len(atoms))
            mean = np.bincount(column, strength, minlength=len(atoms)) / np.maximum(taken, 1)
            mean[taken == 0] = strength.mean()
            codebooks.append((mean[:, None] * atoms).astype(np.float32))
        return cls(codebooks, atoms)

    def encode(self, vectors: Vectors) -> Codes:
        """Return the (n, levels) atoms of (n, dim) vectors by matching pursuit."""
        return _pursue(vectors, self._atoms, len(self._codebooks))[0]

    def tensors(self) -> dict[str, NDArray[Any]]:
        """Return the codebooks and the atoms."""
        return {**super().tensors(), "atoms": self._atoms}

    @classmethod
    def from_tensors(cls, tensors: dict[str, NDArray[Any]]) -> Self:
        """Rebuild the quantizer from :meth:`tensors`."""
        return cls(levels_of(tensors), tensors["atoms"])


def _learn(points: Vectors, params: CodebooksParams) -> Vectors:
    """Return (codebook size, dim) atoms of length 1, started from k-means centroids."""
    from sklearn.decomposition import MiniBatchDictionaryLearning
    from sklearn.exceptions import ConvergenceWarning

    knobs = params.dictionary
    start = cluster(
        points,
        params.sizes[0],
        iterations=params.iterations,
        spread=params.start_spread,
        seed=params.seed,
    )
    start = _unit(start)
    batch = min(knobs.batch_size, len(points))
    learner = MiniBatchDictionaryLearning(
        n_components=len(start),
        alpha=knobs.penalty,
        max_iter=max(1, knobs.steps * batch // len(points)),
        batch_size=batch,
        fit_algorithm="cd",
        positive_code=True,
        dict_init=start.astype(np.float64),
        random_state=params.seed,
    )
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", ConvergenceWarning)
        learner.fit(points.astype(np.float64))
    return _unit(learner.components_)


def _unit(rows: NDArray[Any]) -> Vectors:
    lengths = np.linalg.norm(rows, axis=1, keepdims=True)
    return np.asarray(rows / np.where(lengths > 0, lengths, 1), np.float32)


def _pursue(vectors: Vectors, atoms: Vectors, levels: int) -> tuple[Codes, Vectors]:
    """Return (n, levels) atoms and their coefficients.

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
