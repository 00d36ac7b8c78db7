"""RQ-VAE: an autoencoder whose latent vectors are residually quantised while it learns.

    z = encoder(x),   r_1 = z,   c_l = argmin_c ‖r_l − e_{l,c}‖²,   r_{l+1} = r_l − e_{l,c_l}
    x̂ = decoder(z + sg(q_L − z)),   q_l = Σ_{m≤l} e_{m,c_m}
    loss = ‖x − x̂‖² + Σ_l ( a · ‖z − sg(q_l)‖² + b · ‖sg(z) − q_l‖² )

The loss, the cumulative sums q_l, Sinkhorn assignment in training and the contrast of co-occurring
items are those of FORGE ("Forming Semantic Identifiers for Generative Retrieval in Industrial
Datasets"); sg stops gradients. Here is what a trained model does, in numpy, so that IDs can be made
without torch; ``rq_vae_training.py`` trains it.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, ClassVar, Literal, Self

import numpy as np
from numpy.typing import NDArray
from pydantic import BaseModel, ConfigDict, Field

from assets.codebooks.kmeans import sample
from assets.codebooks.linear import linear
from assets.codebooks.quantizer import Beside, Codes, Vectors
from assets.codebooks.residual import ResidualQuantizer, levels_of
from assets.stage import UserError

if TYPE_CHECKING:
    from assets.codebooks.params import CodebooksParams

Layers = list[tuple[Vectors, Vectors]]


class RQVAEParams(BaseModel):
    """Section ``codebooks.rq_vae`` of params.yaml."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    hidden: tuple[int, ...] = Field(
        (256, 256), description="Widths of the encoder's hidden layers; the decoder mirrors them."
    )
    latent_dim: int = Field(64, ge=1, description="Length of a latent vector.")
    epochs: int = Field(80, ge=1, description="Passes over the vectors.")
    plain_epochs: int = Field(
        20, ge=0, description="Passes before those in which nothing is quantised."
    )
    batch_size: int = Field(256, ge=2, description="Vectors per step.")
    learning_rate: float = Field(0.001, gt=0, description="Of AdamW, at the top of the schedule.")
    weight_decay: float = Field(1e-4, ge=0, description="Of the two networks.")
    warmup: float = Field(
        0.1, ge=0, lt=1, description="Share of the steps in which the learning rate rises."
    )
    commitment: float = Field(0.5, ge=0, description="a: pulls latents to their codes.")
    codebook_weight: float = Field(0.5, ge=0, description="b: pulls codes to their latents.")
    kmeans_start: bool = Field(True, description="Codes start from k-means of the latents.")
    sinkhorn: bool = Field(
        False, description="Training assigns codes in equal numbers; what is trained, by distance."
    )
    sinkhorn_sharpness: float = Field(
        10.0, gt=0, description="Factor of the standardised distances (FORGE's epsilon)."
    )
    sinkhorn_iterations: int = Field(5, ge=1, description="Rounds of normalisation.")
    ema: float = Field(
        0.0,
        ge=0,
        lt=1,
        description="Decay of codes as moving means of their latents; 0: gradients.",
    )
    shared_codebook: bool = Field(False, description="One codebook for all levels, as PSI's code.")
    restart_every: int = Field(
        1,
        ge=0,
        description="Epochs between two restarts of codes that nothing is nearest to; 0: none.",
    )
    contrast: float = Field(
        0.0, ge=0, description="Weight of FORGE's contrast of co-occurring items; 0: none."
    )
    contrast_batch: int = Field(128, ge=2, description="Pairs per step.")
    on_collapse: Literal["stop", "keep"] = Field(
        "stop",
        description="What to do once the codes have collapsed: `stop` fails the stage with the"
        " reason, `keep` trains on and leaves it to the gate.",
    )
    collapse_share: float = Field(
        0.15,
        ge=0,
        lt=1,
        description="A level has collapsed if its perplexity is below this share of the codes that"
        " could be used",
    )
    collapse_patience: int = Field(5, ge=1, description="for so many epochs in a row.")


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

    @classmethod
    def fit(
        cls,
        vectors: Vectors,
        params: CodebooksParams,
        *,
        device: str = "cpu",
        beside: Beside | None = None,
    ) -> Self:
        """Train on (items, dim) vectors or a sample, and on pairs of items if contrast is on.

        Raises:
            UserError: The codes collapsed, and `on_collapse` is `stop`; or contrast is on and there
                are no pairs, or one codebook was to serve levels of different sizes.
        """
        from assets.codebooks.rq_vae_training import train

        knobs = params.rq_vae
        if knobs.shared_codebook and len(set(params.sizes)) > 1:
            raise UserError(
                "params.yaml: `codebooks.rq_vae.shared_codebook` needs levels of one size: set "
                f"`codebooks.codebook_size` to one number instead of {params.sizes}."
            )
        pairs = None
        if knobs.contrast:
            pairs = (vectors, beside.pairs()) if beside else None
            if pairs is None or not len(pairs[1]):
                raise UserError(
                    "params.yaml: `codebooks.rq_vae.contrast` learns from items that occur "
                    "together, and data/interactions holds no such pair: set it to 0."
                )
        trained = train(sample(vectors, params.most_points, params.seed), pairs, params, device)
        quantizer = cls(trained.codebooks, trained.encoder, trained.decoder)
        quantizer.told = trained.told
        return quantizer

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
