"""How each quantizer is fitted, by name. A new one is a file beside this and a line here."""

from __future__ import annotations

from assets.codebooks.fitting.dictionary import fit_dictionary
from assets.codebooks.fitting.external import fit_external
from assets.codebooks.fitting.fit import Fit, Fitted, TrainingData
from assets.codebooks.fitting.hierarchical_kmeans import fit_hierarchical_kmeans
from assets.codebooks.fitting.opq import fit_opq
from assets.codebooks.fitting.residual_lfq import fit_residual_lfq
from assets.codebooks.fitting.rq_kmeans import fit_rq_kmeans
from assets.codebooks.fitting.rq_vae import fit_rq_vae
from assets.codebooks.params import CodebooksParams, QuantizerName

FITTERS: dict[QuantizerName, Fit] = {
    "rq_kmeans": fit_rq_kmeans,
    "rq_vae": fit_rq_vae,
    "residual_lfq": fit_residual_lfq,
    "dictionary": fit_dictionary,
    "opq": fit_opq,
    "hierarchical_kmeans": fit_hierarchical_kmeans,
    "external": fit_external,
}


def fit_quantizer(data: TrainingData, params: CodebooksParams) -> Fitted:
    """Fit the quantizer that the params name.

    Raises:
        UserError: It cannot be fitted; the text says what to change.
    """
    return FITTERS[params.quantizer](data, params)
