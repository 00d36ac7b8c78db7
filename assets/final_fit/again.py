"""The retriever and the rankers again, as they were chosen, with every split in train.

Encoder, vectors, codebooks and Semantic IDs stay: other people keep IDs, and the gate judged these.
The mixtures that ``answers`` chose stay too. Nothing is left to choose or to measure with.
"""

from __future__ import annotations

import math
import shutil
from dataclasses import replace
from pathlib import Path
from typing import Any

from assets.bi_encoder.artifact import BiEncoder
from assets.embeddings.artifact import Embeddings
from assets.final_fit.params import FinalFitParams
from assets.interactions.artifact import Interactions
from assets.interactions.catalogue import Catalogue
from assets.machine import Machine, precision_for
from assets.rankers.artifact import Rankers
from assets.rankers.fitting import fit as fit_rankers
from assets.rankers.fitting import settled
from assets.rankers.params import RankersParams
from assets.retriever.artifact import Generator
from assets.retriever.fitting import READ as FIT_READS
from assets.retriever.fitting import fit as fit_retriever
from assets.retriever.params import RetrieverParams
from assets.retriever.processes import train_in_processes
from assets.semantic_ids.artifact import SemanticIds
from assets.stage import Run, UserError, load_params
from assets.synthetic_queries.artifact import SyntheticQueries
from assets.training.checkpoints import training_folder

READ = (*FIT_READS, "retriever", "rankers")  # what a checkpoint must not outlive


def train_again(run: Run[FinalFitParams]) -> dict[str, Any]:
    """Write ``retriever``, ``rankers`` and ``interactions`` into the stage's folder.

    Args:
        run: The run of the stage.

    Returns:
        What to report.

    Raises:
        UserError: Something is missing or does not fit the rest, or the training diverged.
    """
    run.input("metrics")  # what comes out here can never be measured, so what goes in was
    measured = Interactions.load(run.input("interactions"))
    asked = SyntheticQueries.load(run.input("synthetic_queries"))
    data, queries = measured.all_as_train(), asked.all_as_train()
    embeddings = Embeddings.load(run.input("embeddings"))

    checkpoints, retriever = _retriever(run, measured, data, queries, embeddings)
    rankers = _rankers(run, measured, data, queries, embeddings, checkpoints)
    data.save_items(_folder(run, "interactions"))
    shutil.rmtree(checkpoints)
    return {
        "interactions": len(data.interactions("train")),
        "measured_interactions": len(measured.interactions("train")),
        "queries": len(queries.tasks("train").queries),
        "measured_queries": len(asked.tasks("train").queries),
        **retriever,
        **rankers,
    }


def _retriever(
    run: Run[FinalFitParams],
    measured: Interactions,
    data: Interactions,
    queries: SyntheticQueries,
    embeddings: Embeddings,
) -> tuple[Path, dict[str, Any]]:
    """Save the generator; return where its checkpoint lies, and what to report."""
    device = Machine.here().torch_device()
    params = load_params("retriever", RetrieverParams)
    params = params.model_copy(update={"precision": precision_for(params.precision, device)})
    ids = SemanticIds.load(run.input("semantic_ids"))
    before = Generator.load(
        run.input("retriever"), ids, embeddings.text, Catalogue.of(measured).popularity, device
    )
    epochs = before.trained_as.get("epochs")
    if epochs is None:
        raise UserError(
            "data/retriever comes from an earlier version, which did not record how long it was "
            "trained: run `dvc repro retriever` first."
        )
    settings = params.model_dump() | {
        "device": device,
        "rankers": load_params("rankers", RankersParams).model_dump(),
    }
    folder = training_folder(
        run.name, [run.input(stage) for stage in READ], settings, beside=["retriever", "rankers"]
    )
    train_in_processes(folder, params, epochs, all_splits=True)
    generator, course = fit_retriever(
        ids,
        data,
        queries,
        BiEncoder.load(run.input("bi_encoder"), device),
        embeddings,
        params,
        device=device,
        folder=folder,
        say=run.say,
        epochs=epochs,
    )
    last = course.curve[-1]
    if not all(map(math.isfinite, last.values())):
        raise UserError(
            f"training on all splits diverged ({last}): the release can go without "
            "(`final_fit.enabled: false`, no `--final`), or take a lower `retriever.learning_rate`."
        )
    generator.save(_folder(run, "retriever"))
    losses = {f"last_{name}": value for name, value in last.items() if name != "step"}
    return folder, {"epochs": epochs, "steps": course.kept, **losses}


def _rankers(
    run: Run[FinalFitParams],
    measured: Interactions,
    data: Interactions,
    queries: SyntheticQueries,
    embeddings: Embeddings,
    checkpoints: Path,
) -> dict[str, Any]:
    """Save the rankers; return what to report."""
    before = Rankers.load(run.input("rankers"), Catalogue.of(measured), embeddings)
    params = settled(load_params("rankers", RankersParams), before.chosen)
    epochs = before.sasrec.epochs if before.sasrec else None
    fitted = fit_rankers(data, queries, embeddings, params, checkpoints, run.say, epochs)
    # Of more data, what was within a limit may be beyond it; who answers is settled all the same.
    late = [name for name in before.item_to_item if name not in fitted.rankers.item_to_item]
    if before.sasrec and not fitted.rankers.sasrec:
        late.append("sasrec")
    for name in late:
        run.say(f"{name} stays as it was measured: {fitted.rankers.left_out[name]}")
    again = {
        name: fitted.rankers.item_to_item.get(name, ranker)
        for name, ranker in before.item_to_item.items()
    }
    rankers = replace(
        fitted.rankers,
        item_to_item=again,
        sasrec=fitted.rankers.sasrec or before.sasrec,
        left_out=before.left_out,
    )
    rankers.save(_folder(run, "rankers"))
    settings = [{"ranker": row["ranker"], "settings": row["settings"]} for row in fitted.table]
    return {"as_measured": [{"ranker": name} for name in late], "settings": settings}


def _folder(run: Run[FinalFitParams], stage: str) -> Path:
    folder = run.folder / stage
    folder.mkdir()
    return folder
