"""The generator is made and trained: on the train split, for as long as validation gains by it."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import torch

from assets.bi_encoder.artifact import BiEncoder
from assets.embeddings.artifact import Embeddings
from assets.interactions.artifact import Interactions
from assets.interactions.catalogue import Catalogue
from assets.retriever.artifact import WHY_NOT, Generator
from assets.retriever.examples import read_examples
from assets.retriever.params import RetrieverParams
from assets.retriever.training import train, untrained
from assets.retriever.validation import Validation
from assets.semantic_ids.artifact import SemanticIds
from assets.synthetic_queries.artifact import SyntheticQueries
from assets.training.course import Course

READ = (  # what a checkpoint must not outlive
    "interactions",
    "synthetic_queries",
    "bi_encoder",
    "embeddings",
    "semantic_ids",
)


def fit(
    ids: SemanticIds,
    data: Interactions,
    queries: SyntheticQueries,
    encoder: BiEncoder,
    embeddings: Embeddings,
    params: RetrieverParams,
    *,
    device: str,
    folder: Path,
    say: Callable[[str], None],
    epochs: int | None = None,
) -> tuple[Generator, Course]:
    """Train a generator; where validation asks nothing, its last moment is kept.

    Args:
        ids: What it learns to write.
        data: Histories.
        queries: Queries.
        encoder: Turns queries into vectors.
        embeddings: The documents' vectors.
        params: Those of the stage, their precision decided.
        device: ``cpu`` or ``cuda``.
        folder: Holds a checkpoint of each look; a killed training goes on from the last one.
        say: Takes lines for whoever watches.
        epochs: Passes after which it ends, on the way to those of `params`; None: all of them.

    Returns:
        The generator, which names the passes that were kept in `trained_as`, and how it went.

    Raises:
        UserError: There is nothing to learn from.
    """
    catalogue = Catalogue.of(data)
    examples = read_examples(catalogue, data, queries, encoder, embeddings)
    for task, why in WHY_NOT.items():
        if task not in examples.tasks:
            say(f"does not learn {task}: {why}.")
    validation = Validation.sample(
        queries.tasks("validation"), data.sessions("validation"), catalogue, encoder, params
    )
    # an encoder draws when it is loaded, which it is not where a cache holds all vectors
    torch.manual_seed(params.seed)
    generator = untrained(
        params, ids, embeddings.text, catalogue.popularity, examples.tasks, device
    )
    course, passes = train(generator, examples, validation, params, folder, say, epochs)
    kept = {**generator.trained_as, "epochs": passes}
    return replace(generator, trained_as=kept), course
