"""Train the retriever: ``python -m assets.retriever``."""

from __future__ import annotations

import copy
import math

import pandas as pd

from assets.bi_encoder.artifact import BiEncoder
from assets.codebooks.artifact import Codebooks
from assets.embeddings.artifact import Embeddings
from assets.interactions.artifact import Interactions
from assets.interactions.catalogue import Catalogue
from assets.machine import Machine
from assets.quality_gate.artifact import Verdict
from assets.retriever.artifact import WHY_NOT
from assets.retriever.examples import read_examples
from assets.retriever.figures import draw_training
from assets.retriever.params import RetrieverParams
from assets.retriever.training import train, untrained
from assets.retriever.validation import Validation
from assets.semantic_ids.artifact import SemanticIds
from assets.semantic_ids.buckets import Buckets
from assets.stage import Run, run_stage
from assets.synthetic_queries.artifact import SyntheticQueries


def main(run: Run[RetrieverParams]) -> None:
    """Learn to write the SIDs that answer a query or go on from a history."""
    ids = SemanticIds.load(run.input("semantic_ids"))
    Verdict.load(run.input("quality_gate")).require(ids.version)

    device = Machine.here().torch_device()
    data = Interactions.load(run.input("interactions"))
    queries = SyntheticQueries.load(run.input("synthetic_queries"))
    codebooks = Codebooks.load(run.input("codebooks"))
    encoder = BiEncoder.load(run.input("bi_encoder"), device)
    embeddings = Embeddings.load(run.input("embeddings"))

    catalogue = Catalogue.of(data)
    buckets = Buckets.of(ids.codes, catalogue.popularity)
    examples = read_examples(buckets.leaf_of, data, queries, encoder, embeddings)
    for task, why in WHY_NOT.items():
        if task not in examples.tasks:
            run.say(f"does not learn {task}: {why}.")
    generator = untrained(run.params, ids, buckets, codebooks, encoder.dim, examples.tasks, device)
    validation = Validation.sample(
        queries.tasks("validation"), data.sessions("validation"), catalogue, encoder, run.params
    )
    looks: list[dict[str, float]] = []
    best = (-math.inf, generator.model.state_dict())

    def look(step: int) -> None:
        nonlocal best
        numbers = validation.measure(generator)
        run.say(f"after {step} steps " + ", ".join(f"{k} {v:.3f}" for k, v in numbers.items()))
        looks.append({"step": step, **numbers})
        score = validation.score(numbers)
        if score >= best[0]:
            best = (score, copy.deepcopy(generator.model.state_dict()))

    curve = train(generator, examples, run.params, look)
    generator.model.load_state_dict(best[1])

    generator.save(run.folder)
    pd.DataFrame(curve).to_csv(run.folder / "training.csv", index=False, float_format="%.5g")
    draw_training(examples.tasks, curve, looks, run.folder / "training.png")
    kept = max(looks, key=lambda row: (validation.score(row), row["step"]))
    run.report(
        {
            **kept,
            "parameters": sum(weights.numel() for weights in generator.model.parameters()),
            "sids": len(buckets.sids),
            **{f"guide_{level}": weight for level, weight in enumerate(generator.model.guides())},
            "validation": looks,
        }
    )


if __name__ == "__main__":
    run_stage("retriever", RetrieverParams, main)
