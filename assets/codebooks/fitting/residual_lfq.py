"""The two maps of residual lookup-free quantisation, trained in torch.

They start from the whitened principal components. The modules are those of vector-quantize-pytorch.
"""

from __future__ import annotations

import numpy as np

from assets.codebooks.fitting.fit import Fitted, TrainingData
from assets.codebooks.fitting.kmeans import training_sample
from assets.codebooks.params import CodebooksParams
from assets.codebooks.quantizer import Vectors
from assets.codebooks.residual_lfq import ResidualLFQ
from assets.stage import UserError, progress


def fit_residual_lfq(data: TrainingData, params: CodebooksParams) -> Fitted:
    """Train the maps on the vectors or a sample of them.

    Raises:
        UserError: The sizes of the levels differ or are no power of two.
    """
    size = params.sizes[0]
    if len(set(params.sizes)) > 1 or size < 2 or size & (size - 1):
        raise UserError(
            "params.yaml: `codebooks.quantizer` residual_lfq writes a code with signs: set "
            f"`codebooks.codebook_size` to one power of two instead of {params.codebook_size}."
        )
    points = training_sample(data.vectors, params)
    return _train(points, params, data.device)


def _train(vectors: Vectors, params: CodebooksParams, device: str) -> Fitted:
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

    quantizer = ResidualLFQ(
        [plain(book) for book in modules.codebooks],
        (plain(inward.weight), plain(inward.bias)),
        (plain(outward.weight), plain(outward.bias)),
    )
    return Fitted(quantizer, {"device": where.type})


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
