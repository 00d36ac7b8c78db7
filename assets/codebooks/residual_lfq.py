"""Residual lookup-free quantisation: a code is the signs of a few numbers.

A vector is projected to log2(K) numbers; their signs are its code, ±1 is subtracted, the signs of
what is left are the next code, at half the scale, and so on; a linear map leads back. There is no
codebook to learn, only the two maps, which start from the whitened principal components and are
trained by the squared error and an entropy term that makes each choice sure and all codes used
(Yu et al., "Language Model Beats Diffusion"). The modules are those of vector-quantize-pytorch, as
in "Semantic IDs for Joint Generative Search and Recommendation"; what they do once trained is a few
lines, so that IDs can be made without torch.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, ClassVar, Self

import numpy as np
from numpy.typing import NDArray
from pydantic import BaseModel, ConfigDict, Field

from assets.codebooks.kmeans import sample
from assets.codebooks.linear import linear
from assets.codebooks.quantizer import Beside, Codes, Vectors
from assets.codebooks.residual import ResidualQuantizer, levels_of
from assets.stage import UserError, progress

if TYPE_CHECKING:
    from assets.codebooks.params import CodebooksParams


class ResidualLFQParams(BaseModel):
    """Section ``codebooks.residual_lfq`` of params.yaml."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    epochs: int = Field(20, ge=0, description="Passes over the vectors.")
    batch_size: int = Field(1024, ge=2, description="Vectors per step.")
    learning_rate: float = Field(0.002, gt=0, description="Of AdamW, at the start of a cosine.")
    entropy_weight: float = Field(0.02, ge=0, description="Weight of the entropy term.")
    diversity: float = Field(
        1.0, ge=0, description="Weight, within that term, of all codes being used evenly."
    )
    commitment: float = Field(
        0.25, ge=0, description="Weight of the squared distance from the numbers to their codes."
    )


class ResidualLFQ(ResidualQuantizer):
    """Two linear maps and signs."""

    name: ClassVar[str] = "residual_lfq"

    def __init__(
        self,
        codebooks: list[Vectors],
        inward: tuple[Vectors, Vectors],
        outward: tuple[Vectors, Vectors],
    ) -> None:
        """Put it together.

        Args:
            codebooks: (codes, bits) corners of a cube per level.
            inward: Weight (bits, dim) and bias (bits,) from vectors to latent.
            outward: Weight (dim, bits) and bias (dim,) from latent to vectors.
        """
        super().__init__(codebooks)
        self._inward = inward
        self._outward = outward

    @classmethod
    def fit(
        cls,
        vectors: Vectors,
        params: CodebooksParams,
        *,
        device: str = "cpu",
        beside: Beside | None = None,
    ) -> Self:
        """Train the maps on (items, dim) vectors or a sample of them.

        Raises:
            UserError: The sizes of the levels differ or are no power of two.
        """
        size = params.sizes[0]
        if len(set(params.sizes)) > 1 or size < 2 or size & (size - 1):
            raise UserError(
                "params.yaml: `codebooks.quantizer` residual_lfq writes a code with signs: set "
                f"`codebooks.codebook_size` to one power of two instead of {params.codebook_size}."
            )
        return cls(*_train(sample(vectors, params.most_points, params.seed), params, device))

    def latent(self, vectors: Vectors) -> Vectors:
        """Project (n, dim) vectors to (n, bits)."""
        return linear(vectors, *self._inward)

    def encode(self, vectors: Vectors) -> Codes:
        """Return the (n, levels) codes: the signs of what the levels before left over."""
        residuals = self.latent(vectors)
        codes = np.empty((len(vectors), len(self.codebooks)), np.int32)
        places = 2 ** np.arange(residuals.shape[1] - 1, -1, -1)
        for level, codebook in enumerate(self.codebooks):
            codes[:, level] = (residuals > 0) @ places
            residuals = residuals - codebook[codes[:, level]]
        return codes

    def decode(self, codes: Codes) -> Vectors:
        """Return the (n, dim) vectors of the sums of the codes' corners."""
        return linear(super().decode(codes), *self._outward)

    def tensors(self) -> dict[str, NDArray[Any]]:
        """Return the corners and both maps."""
        maps = {"in_": self._inward, "out_": self._outward}
        return {
            **super().tensors(),
            **{f"{way}weight": weight for way, (weight, _) in maps.items()},
            **{f"{way}bias": bias for way, (_, bias) in maps.items()},
        }

    @classmethod
    def from_tensors(cls, tensors: dict[str, NDArray[Any]]) -> Self:
        """Rebuild the quantizer from :meth:`tensors`."""
        inward, outward = ((tensors[f"{w}weight"], tensors[f"{w}bias"]) for w in ("in_", "out_"))
        return cls(levels_of(tensors), inward, outward)


def _train(
    vectors: Vectors, params: CodebooksParams, device: str
) -> tuple[list[Vectors], tuple[Vectors, Vectors], tuple[Vectors, Vectors]]:
    """Return the codebooks and the weights and biases of both maps."""
    import torch
    from torch import nn
    from vector_quantize_pytorch import ResidualLFQ as Modules

    knobs = params.residual_lfq
    bits = params.sizes[0].bit_length() - 1
    where = torch.device("cuda" if device != "cpu" and torch.cuda.is_available() else "cpu")
    torch.manual_seed(params.seed)
    modules = Modules(
        dim=bits,
        num_quantizers=params.levels,
        codebook_size=params.sizes[0],
        entropy_loss_weight=knobs.entropy_weight,
        diversity_gamma=knobs.diversity,
        commitment_loss_weight=knobs.commitment,
    ).to(where)
    inward, outward = nn.Linear(vectors.shape[1], bits), nn.Linear(bits, vectors.shape[1])
    with torch.no_grad():
        for module, tensors in zip((inward, outward), _whitening(vectors, bits), strict=True):
            module.weight.copy_(torch.from_numpy(tensors[0]))
            module.bias.copy_(torch.from_numpy(tensors[1]))
    inward, outward = inward.to(where), outward.to(where)
    weights = [*inward.parameters(), *outward.parameters()]
    points = torch.tensor(vectors, device=where)
    batch = min(knobs.batch_size, len(points))
    steps = knobs.epochs * (len(points) // batch)
    optimiser = torch.optim.AdamW(weights, lr=knobs.learning_rate)
    schedule = torch.optim.lr_scheduler.CosineAnnealingLR(optimiser, max(1, steps))
    draw = torch.Generator().manual_seed(params.seed)
    order = torch.empty(0, dtype=torch.long)
    for _ in progress(range(steps), "training the quantizer"):
        if len(order) < batch:
            order = torch.randperm(len(points), generator=draw)
        rows, order = order[:batch], order[batch:]
        x = points[rows]
        quantized, _, losses = modules(inward(x)[None])
        loss = (outward(quantized[0]) - x).square().sum(dim=1).mean() + losses.sum()
        optimiser.zero_grad()
        loss.backward()
        optimiser.step()
        schedule.step()

    def plain(tensor: torch.Tensor) -> Vectors:
        return np.ascontiguousarray(tensor.detach().cpu().numpy(), np.float32)

    return (
        [plain(book) for book in modules.codebooks],
        (plain(inward.weight), plain(inward.bias)),
        (plain(outward.weight), plain(outward.bias)),
    )


def _whitening(
    vectors: Vectors, bits: int
) -> tuple[tuple[Vectors, Vectors], tuple[Vectors, Vectors]]:
    """Return weight and bias to the leading principal components at unit variance, and back."""
    mean = vectors.mean(axis=0, dtype=np.float64)
    values, axes = np.linalg.eigh(
        np.cov(vectors - mean, rowvar=False, bias=True).reshape(len(mean), -1)
    )
    values, axes = values[::-1][:bits], axes[:, ::-1][:, :bits]
    axes = axes * np.sign(axes[np.abs(axes).argmax(axis=0), np.arange(axes.shape[1])])
    spread = np.sqrt(np.maximum(values, 0))
    shrink = np.divide(1, spread, out=np.zeros_like(spread), where=spread > 1e-6)
    inward, outward = np.zeros((bits, len(mean))), np.zeros((len(mean), bits))
    inward[: len(values)], outward[:, : len(values)] = (axes * shrink).T, axes * spread
    return (
        (inward.astype(np.float32), (-inward @ mean).astype(np.float32)),
        (outward.astype(np.float32), mean.astype(np.float32)),
    )
