"""Params of the stage ``codebooks``, and the knobs that a quantizer alone has."""

from __future__ import annotations

from typing import Annotated, Any, Literal, Self, get_args

from pydantic import BaseModel, ConfigDict, Field, model_validator

from assets.stage import Params

QuantizerName = Literal[
    "rq_kmeans",
    "rq_vae",
    "residual_lfq",
    "dictionary",
    "opq",
    "hierarchical_kmeans",
    "external",
]
Size = Annotated[int, Field(ge=1)]


class _Knobs(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid")


class RQKMeansParams(_Knobs):
    """Section ``codebooks.rq_kmeans`` of params.yaml."""

    normalise_residuals: bool = Field(
        False, description="Residuals are clustered by direction alone, whatever their length."
    )


class RQVAEParams(_Knobs):
    """Section ``codebooks.rq_vae`` of params.yaml."""

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


class ResidualLFQParams(_Knobs):
    """Section ``codebooks.residual_lfq`` of params.yaml."""

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


class DictionaryParams(_Knobs):
    """Section ``codebooks.dictionary`` of params.yaml."""

    penalty: float = Field(0.1, gt=0, description="Weight of the coefficients' L1 norm in fitting.")
    steps: int = Field(200, ge=1, description="Batches that atoms are learnt from.")
    batch_size: int = Field(256, ge=1, description="Vectors per batch.")


class ExternalParams(_Knobs):
    """Section ``codebooks.external`` of params.yaml."""

    folder: str = Field(
        "data/incoming/semantic_ids", description="Where the files of items and codes lie."
    )


class CodebooksParams(Params):
    """Section ``codebooks`` of params.yaml.

    A section of a quantizer's name holds the knobs that it alone has.
    """

    quantizer: QuantizerName = Field("rq_kmeans", description="How vectors become codes.")
    view: str = Field("text", description="Which view of the embeddings is quantised.")
    levels: int = Field(3, ge=1, le=26, description="Codes per item.")
    codebook_size: Size | tuple[Size, ...] = Field(
        256, description="Codes per level: one number, or a list of one per level."
    )
    iterations: int = Field(25, ge=1, description="K-means iterations, wherever k-means is run.")
    start_spread: float = Field(
        0.25,
        gt=0,
        le=1,
        description="K-means starts from random vectors, drawn in towards the mean to this share of"
        " their distance from it; 1 leaves them where they are.",
    )
    max_points_per_code: int = Field(
        256, ge=1, description="Vectors per code to learn from; of more, a seeded sample is taken."
    )
    rq_kmeans: RQKMeansParams = Field(RQKMeansParams(), description="Knobs of rq_kmeans.")
    rq_vae: RQVAEParams = Field(RQVAEParams(), description="Knobs of rq_vae.")
    residual_lfq: ResidualLFQParams = Field(
        ResidualLFQParams(), description="Knobs of residual_lfq."
    )
    dictionary: DictionaryParams = Field(DictionaryParams(), description="Knobs of dictionary.")
    external: ExternalParams = Field(ExternalParams(), description="Knobs of external.")

    @property
    def sizes(self) -> list[int]:
        """Number of codes of each level."""
        if isinstance(self.codebook_size, int):
            return [self.codebook_size] * self.levels
        return list(self.codebook_size)

    @property
    def most_points(self) -> int:
        """Most vectors to learn from."""
        return max(self.sizes) * self.max_points_per_code

    @property
    def settings(self) -> dict[str, Any]:
        """What the chosen quantizer was fitted with, for the manifest."""
        other = set(get_args(QuantizerName)) - {self.quantizer}
        return self.model_dump(mode="json", exclude={"quantizer", "view"} | other)

    @model_validator(mode="after")
    def _one_size_per_level(self) -> Self:
        if len(self.sizes) != self.levels:
            raise ValueError(
                f"`codebook_size` lists {len(self.sizes)} sizes for {self.levels} `levels`"
            )
        return self
