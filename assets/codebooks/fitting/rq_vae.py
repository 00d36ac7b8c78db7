"""RQ-VAE: what training needs is checked, then it is trained in torch."""

from __future__ import annotations

from assets.codebooks.fitting.fit import Fitted, TrainingData
from assets.codebooks.fitting.kmeans import training_sample
from assets.codebooks.params import CodebooksParams
from assets.codebooks.rq_vae import RQVAE
from assets.stage import UserError


def fit_rq_vae(data: TrainingData, params: CodebooksParams) -> Fitted:
    """Train on the vectors or a sample, and on pairs of items if contrast is on.

    Raises:
        UserError: The codes collapsed, and `on_collapse` is `stop`; or contrast is on and there
            are no pairs, or one codebook was to serve levels of different sizes.
    """
    from assets.codebooks.fitting.rq_vae_training import train  # torch: seconds

    knobs = params.rq_vae
    if knobs.shared_codebook and len(set(params.sizes)) > 1:
        raise UserError(
            "params.yaml: `codebooks.rq_vae.shared_codebook` needs levels of one size: set "
            f"`codebooks.codebook_size` to one number instead of {params.sizes}."
        )
    pairs = None
    if knobs.contrast:
        pairs = (data.vectors, data.pairs()) if data.pairs else None
        if pairs is None or not len(pairs[1]):
            raise UserError(
                "params.yaml: `codebooks.rq_vae.contrast` learns from items that occur "
                "together, and data/interactions holds no such pair: set it to 0."
            )
    points = training_sample(data.vectors, params)
    folder = data.checkpoints() if data.checkpoints else None
    trained = train(points, pairs, params, data.device, folder)
    return Fitted(RQVAE(trained.codebooks, trained.encoder, trained.decoder), trained.told)
