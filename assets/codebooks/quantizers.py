"""The quantizers by name, as far as loading and using them needs.

How they are learnt stands in ``fitting/``, which nothing here imports.
"""

from __future__ import annotations

from assets.codebooks.dictionary import Dictionary
from assets.codebooks.external import External
from assets.codebooks.hierarchical_kmeans import HierarchicalKMeans
from assets.codebooks.opq import OPQ
from assets.codebooks.quantizer import Quantizer
from assets.codebooks.residual_lfq import ResidualLFQ
from assets.codebooks.rq_kmeans import RQKMeans
from assets.codebooks.rq_vae import RQVAE

QUANTIZERS: dict[str, type[Quantizer]] = {
    kind.name: kind
    for kind in (RQKMeans, RQVAE, ResidualLFQ, Dictionary, OPQ, HierarchicalKMeans, External)
}
