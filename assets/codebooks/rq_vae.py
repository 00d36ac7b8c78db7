"""RQ-VAE: an autoencoder whose latent vectors are residually quantised while it learns.

    z = encoder(x),   r_1 = z,   c_l = argmin_c ‖r_l − e_{l,c}‖²,   r_{l+1} = r_l − e_{l,c_l}
    x̂ = decoder(z + sg(q_L − z)),   q_l = Σ_{m≤l} e_{m,c_m}
    loss = ‖x − x̂‖² + Σ_l ( a · ‖z − sg(q_l)‖² + b · ‖sg(z) − q_l‖² )

The loss, the cumulative sums q_l, Sinkhorn assignment in training and the contrast of co-occurring
items are those of FORGE ("Forming Semantic Identifiers for Generative Retrieval in Industrial
Datasets"); sg stops gradients. Here is what a trained model does, in numpy, so that IDs can be made
without torch; ``fitting/rq_vae_training.py`` trains it.
"""

from __future__ import annotations

from typing import Any, ClassVar, Self

import numpy as np
from numpy.typing import NDArray

from assets.codebooks.linear import linear
from assets.codebooks.quantizer import Codes, Vectors
from assets.codebooks.residual import ResidualQuantizer, levels_of

Layers = list[tuple[Vectors, Vectors]]


class RQVAE(ResidualQuantizer):
    """Encoder, codebooks in latent space, decoder."""

    name: ClassVar[str] = "rq_vae"

    def __init__(self, codebooks: list[Vectors], encoder: Layers, decoder: Layers) -> None:
        """Put it together.

        Args:
            codebooks: (codes, latent dim) per level.
            encoder: Weight (out, in) and bias (out,) of each layer; ReLU lies between layers.
            decoder: The same, back.
        """
        super().__init__(codebooks)
        self._encoder = encoder
        self._decoder = decoder

    def latent(self, vectors: Vectors) -> Vectors:
        """Encode (n, dim) vectors to (n, latent dim)."""
        return _through(self._encoder, vectors)

    def decode(self, codes: Codes) -> Vectors:
        """Return the (n, dim) vectors that the decoder makes of the sums of the codes' rows."""
        return _through(self._decoder, super().decode(codes))

    def tensors(self) -> dict[str, NDArray[Any]]:
        """Return the codebooks and the weights and biases of both networks."""
        named = super().tensors()
        for name, layers in (("encoder", self._encoder), ("decoder", self._decoder)):
            for place, (weight, bias) in enumerate(layers):
                named |= {f"{name}_weight_{place}": weight, f"{name}_bias_{place}": bias}
        return named

    @classmethod
    def from_tensors(cls, tensors: dict[str, NDArray[Any]]) -> Self:
        """Rebuild the quantizer from :meth:`tensors`."""
        encoder, decoder = (
            list(
                zip(
                    levels_of(tensors, f"{name}_weight_"),
                    levels_of(tensors, f"{name}_bias_"),
                    strict=True,
                )
            )
            for name in ("encoder", "decoder")
        )
        return cls(levels_of(tensors), encoder, decoder)


def _through(layers: Layers, rows: Vectors) -> Vectors:
    for place, (weight, bias) in enumerate(layers):
        rows = linear(rows, weight, bias)
        if place + 1 < len(layers):
            np.maximum(rows, 0, out=rows)
    return rows
