"""Which weights are trained, and the model they end up in."""

from __future__ import annotations

from pathlib import Path

import torch
from safetensors.torch import load_file, save_file
from sentence_transformers import SentenceTransformer
from sentence_transformers.base.modules import Dense, Normalize
from torch import Tensor, nn

from assets.bi_encoder.params import BiEncoderParams
from assets.stage import UserError


def new_head(params: BiEncoderParams, dim: int) -> list[nn.Module]:
    """Return x + B gelu(Ax + a), or x + Wx, with B and W 0: it leaves every vector as it is.

    Plain sentence-transformers modules, so that the model loads anywhere without code of ours.
    They know no residual around two layers; gelu(x) - gelu(-x) = x carries x through the first::

        x -> gelu([I; -I; A] x + [0; 0; a]) -> [I, -I, B] -> unit length

    Args:
        params: Hidden units and their spread; the seed draws A.
        dim: Length of a vector.
    """
    hidden = params.head_hidden
    if not hidden:
        zero = torch.zeros(dim, dim)
        linear = Dense(dim, dim, False, nn.Identity(), init_weight=zero, use_residual=True)
        return [linear, Normalize()]
    draw = torch.Generator().manual_seed(params.seed)
    both = torch.cat([torch.eye(dim), -torch.eye(dim)])  # (2 dim, dim)
    features = params.head_spread * torch.randn(hidden, dim, generator=draw)
    wide = Dense(
        dim,
        2 * dim + hidden,
        activation_function=nn.GELU(),
        init_weight=torch.cat([both, features]),
        init_bias=torch.zeros(2 * dim + hidden),
    )
    back = torch.cat([both.T, torch.zeros(dim, hidden)], dim=1)
    narrow = Dense(2 * dim + hidden, dim, bias=False, activation_function=None, init_weight=back)
    return [wide, narrow, Normalize()]


def freeze_but_last(model: SentenceTransformer, layers: int | str) -> None:
    """Leave only the last layers of the base trainable, or ``all`` of it.

    Args:
        model: The base.
        layers: Number of last layers, or ``all``.

    Raises:
        UserError: The base has no stack of so many layers.
    """
    if layers == "all":
        model.requires_grad_(True)
        return
    model.requires_grad_(False)
    stacks = [part for part in model.modules() if isinstance(part, nn.ModuleList)]
    stack = max(stacks, key=len, default=nn.ModuleList())
    if len(stack) < int(layers):
        raise UserError(
            f"params.yaml, bi_encoder.trained: the base has {len(stack)} layers, not {layers}: "
            "give a smaller number, `all` or `head`."
        )
    for layer in list(stack)[-int(layers) :]:
        layer.requires_grad_(True)


def trained_weights(model: nn.Module) -> dict[str, Tensor]:
    """Return the weights that are trained, by name."""
    return {name: weight for name, weight in model.named_parameters() if weight.requires_grad}


def save_weights(model: nn.Module, file: Path) -> None:
    """Write the trained weights, all or nothing."""
    partial = file.with_suffix(".partial")
    weights = {name: weight.detach().cpu() for name, weight in trained_weights(model).items()}
    save_file(weights, partial)
    partial.replace(file)


def trained_model(
    base: SentenceTransformer, params: BiEncoderParams, weights: Path
) -> SentenceTransformer:
    """Return the base with weights that were trained, or with the head that was."""
    if params.trained != "head":
        freeze_but_last(base, params.trained)
        load_weights(base, weights)
        return base
    modules = list(base)
    if not isinstance(modules[-1], Normalize):  # the head was trained on unit vectors
        modules.append(Normalize())
    head = new_head(params, base.get_embedding_dimension())
    load_weights(nn.Sequential(nn.Identity(), *head), weights)
    return SentenceTransformer(modules=[*modules, *head], device=str(base.device))


def load_weights(model: nn.Module, file: Path) -> None:
    """Put weights that :func:`save_weights` wrote into a model with the same ones trained."""
    weights = trained_weights(model)
    with torch.no_grad():
        for name, values in load_file(file).items():
            weights[name].copy_(values)
