"""Fit a quantizer on the vectors of one view: ``python -m assets.codebooks``."""

from __future__ import annotations

import numpy as np

from assets.codebooks.artifact import QUANTIZERS, Codebooks
from assets.codebooks.fit_report import describe_fit
from assets.codebooks.params import CodebooksParams
from assets.embeddings.artifact import Embeddings
from assets.stage import Run, UserError, run_stage


def main(run: Run[CodebooksParams]) -> None:
    """Read the vectors, fit, and say how well the codes stand for them."""
    params = run.params
    embeddings = Embeddings.load(run.input("embeddings"))
    if params.view not in embeddings.views:
        raise UserError(
            f"params.yaml: `codebooks.view` is {params.view!r}, but data/embeddings holds "
            f"{', '.join(embeddings.views)}."
        )
    vectors = embeddings.views[params.view]
    broken = ~np.isfinite(vectors).all(axis=1)
    if broken.any():
        raise UserError(
            f"data/embeddings: the vector of item {embeddings.item_ids[broken.argmax()]!r} in view "
            f"`{params.view}` is not finite ({broken.sum()} such items): mend the encoder, then "
            "run `dvc repro embeddings`."
        )
    if not len(vectors):
        raise UserError("data/embeddings holds no item: put some into data/incoming/items.")

    kind = QUANTIZERS[params.quantizer]
    quantizer = kind.fit(vectors, params, device=run.machine.device)
    settings = params.model_dump(exclude={"quantizer", "view"})
    codebooks = Codebooks(quantizer, params.view, settings)
    codebooks.save(run.folder)

    report = describe_fit(quantizer, vectors, quantizer.encode(vectors))
    run.report(report)
    run.say(
        f"{params.levels} x {params.codebook_size} codes for {len(vectors):,} items, "
        f"squared error {report['mse']:.3f}, conflict rate {report['conflict_rate_raw']:.1%}"
    )


if __name__ == "__main__":
    run_stage("codebooks", CodebooksParams, main)
