"""Train the retriever: ``python -m assets.retriever``."""

from __future__ import annotations

import shutil

import pandas as pd

from assets.bi_encoder.artifact import BiEncoder
from assets.embeddings.artifact import Embeddings
from assets.interactions.artifact import Interactions
from assets.machine import Machine, precision_for
from assets.quality_gate.artifact import Verdict
from assets.retriever.figures import draw_training
from assets.retriever.fitting import READ, fit
from assets.retriever.params import RetrieverParams
from assets.retriever.processes import train_in_processes
from assets.semantic_ids.artifact import SemanticIds
from assets.stage import Run, run_stage
from assets.synthetic_queries.artifact import SyntheticQueries
from assets.training.checkpoints import training_folder


def main(run: Run[RetrieverParams]) -> None:
    """Learn to write the SIDs that answer a query or go on from a history."""
    ids = SemanticIds.load(run.input("semantic_ids"))
    Verdict.load(run.input("quality_gate")).require(ids.version)

    device = Machine.here().torch_device()
    precision = precision_for(run.params.precision, device)
    params = run.params.model_copy(update={"precision": precision})
    data = Interactions.load(run.input("interactions"))
    queries = SyntheticQueries.load(run.input("synthetic_queries"))
    encoder = BiEncoder.load(run.input("bi_encoder"), device)
    embeddings = Embeddings.load(run.input("embeddings"))

    inputs = [run.input(stage) for stage in READ]
    folder = training_folder(run.name, inputs, params.model_dump() | {"device": device})
    train_in_processes(folder, params)
    generator, course = fit(
        ids, data, queries, encoder, embeddings, params, device=device, folder=folder, say=run.say
    )

    generator.save(run.folder)
    table = pd.DataFrame(course.curve)
    table.to_csv(run.folder / "training.csv", index=False, float_format="%.5g")
    draw_training(generator.tasks, course.curve, course.looks, run.folder / "training.png")
    kept = next(row for row in course.looks if row["step"] == course.kept)
    run.report(
        {
            **kept,
            "parameters": sum(weights.numel() for weights in generator.model.parameters()),
            "sids": len(generator.buckets.sids),
            "validation": course.looks,
        }
    )
    shutil.rmtree(folder)


if __name__ == "__main__":
    run_stage("retriever", RetrieverParams, main)
