"""Fit the rankers, with settings chosen on validation: ``python -m assets.rankers``."""

from __future__ import annotations

import shutil

from assets.embeddings.artifact import Embeddings
from assets.interactions.artifact import Interactions
from assets.rankers.fitting import fit
from assets.rankers.params import RankersParams
from assets.stage import Run, run_stage
from assets.synthetic_queries.artifact import SyntheticQueries
from assets.training.checkpoints import training_folder

READ = ("interactions", "synthetic_queries", "embeddings")  # what a checkpoint must not outlive


def main(run: Run[RankersParams]) -> None:
    """Fit them, and report which settings validation chose."""
    inputs = [run.input(stage) for stage in READ]
    folder = training_folder(run.name, inputs, run.params.model_dump())
    fitted = fit(
        Interactions.load(run.input("interactions")),
        SyntheticQueries.load(run.input("synthetic_queries")),
        Embeddings.load(run.input("embeddings")),
        run.params,
        folder,
        run.say,
    )
    rankers = fitted.rankers
    rankers.save(run.folder)
    words = rankers.lexical.get("bm25")
    run.report(
        {
            "items": len(rankers.popularity.ties),
            "words": len(words.vocabulary) if words else 0,
            "search": list(rankers.search),
            "recommendation": list(rankers.recommendation),
            "left_out": [{"ranker": name, "why": why} for name, why in rankers.left_out.items()],
            "chosen_on_queries": fitted.queries,
            "chosen_on_sessions": fitted.sessions,
            "settings": fitted.table,
        }
    )
    shutil.rmtree(folder)


if __name__ == "__main__":
    run_stage("rankers", RankersParams, main)
