"""Fit a quantizer on the vectors of one view: ``python -m assets.codebooks``."""

from __future__ import annotations

from collections.abc import Mapping
from functools import partial
from pathlib import Path
from shutil import rmtree
from types import MappingProxyType
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from assets.codebooks.artifact import Codebooks
from assets.codebooks.fit_report import describe_fit
from assets.codebooks.fitting.fit import TrainingData
from assets.codebooks.fitting.fitters import fit_quantizer
from assets.codebooks.from_release import codebooks_from_release
from assets.codebooks.params import CodebooksParams
from assets.codebooks.quantizer import Vectors
from assets.embeddings.artifact import Embeddings
from assets.interactions.artifact import Interactions
from assets.machine import Machine
from assets.stage import CACHE, Run, UserError, run_stage


def main(run: Run[CodebooksParams]) -> None:
    """Fit a quantizer on the vectors."""
    item_ids, vectors = read_vectors(run)
    machine = Machine.here()
    # Only some quantizers load torch; but a GPU that is asked for must be there.
    device = machine.torch_device() if machine.device == "cuda" else machine.device
    data = TrainingData(
        vectors,
        item_ids,
        pairs=partial(pairs_of_rows, run, item_ids),
        device=device,
        checkpoints=partial(checkpoints, run, device),
    )
    fitted = fit_quantizer(data, run.params)
    codebooks = Codebooks(fitted.quantizer, run.params.view, run.params.settings)
    hand_over(run, codebooks, item_ids, vectors, fitted.told)
    rmtree(CACHE / "training" / run.name, ignore_errors=True)


def refresh(run: Run[CodebooksParams], released: Path) -> None:
    """Take over the codebooks of a release."""
    item_ids, vectors = read_vectors(run)
    codebooks = codebooks_from_release(released, run.params, vectors.shape[1])
    run.say(f"frozen: those of {released.parent.name}; nothing is learnt.")
    hand_over(run, codebooks, item_ids, vectors)


def read_vectors(run: Run[CodebooksParams]) -> tuple[NDArray[np.object_], Vectors]:
    """Return the items of the view and their (items, dim) vectors."""
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
    return embeddings.item_ids, vectors


def hand_over(
    run: Run[CodebooksParams],
    codebooks: Codebooks,
    item_ids: NDArray[np.object_],
    vectors: Vectors,
    told: Mapping[str, Any] = MappingProxyType({}),
) -> None:
    """Save the codebooks, and say how well their codes stand for the vectors."""
    codebooks.save(run.folder)
    quantizer = codebooks.quantizer
    report = describe_fit(quantizer, vectors, quantizer.codes_of(item_ids, vectors))
    run.report({**report, **told})
    run.say(
        f"{' x '.join(map(str, codebooks.sizes))} codes for {len(vectors):,} items by "
        f"`{quantizer.name}`, squared error {report['mse']:.3f}, conflict rate "
        f"{report['conflict_rate_raw']:.1%}"
    )


def checkpoints(run: Run[CodebooksParams], device: str) -> Path:
    """Return where a training that was killed has its checkpoints."""
    from assets.training.checkpoints import training_folder  # torch: seconds

    inputs = [run.input("embeddings"), run.input("interactions")]
    settings = run.params.model_dump(mode="json") | {"device": device}
    return training_folder(run.name, inputs, settings)


def pairs_of_rows(run: Run[CodebooksParams], item_ids: NDArray[np.object_]) -> NDArray[np.int64]:
    """Return (pairs, 2) rows of items that occur together in train, each pair once."""
    pairs = Interactions.load(run.input("interactions")).pairs("train")
    index = pd.Index(item_ids)
    rows = np.column_stack(
        [index.get_indexer(pd.Index(pairs[name])) for name in ("item_id", "other_item_id")]
    )
    return rows[(rows[:, 0] >= 0) & (rows[:, 0] < rows[:, 1])]


if __name__ == "__main__":
    run_stage("codebooks", CodebooksParams, main, refresh)
