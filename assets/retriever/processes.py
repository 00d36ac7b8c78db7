"""Training in several processes: ``torchrun -m assets.retriever.processes FOLDER``.

Their end is a checkpoint, which the stage takes up as it does after a kill.
"""

from __future__ import annotations

import sys
from pathlib import Path

from assets.bi_encoder.artifact import BiEncoder
from assets.embeddings.artifact import Embeddings
from assets.files import read_json, write_json
from assets.interactions.artifact import Interactions
from assets.machine import Machine
from assets.retriever.fitting import fit
from assets.retriever.params import RetrieverParams
from assets.semantic_ids.artifact import SemanticIds
from assets.stage import DATA
from assets.synthetic_queries.artifact import SyntheticQueries
from assets.training.processes import connect, join_group, place, run_in_processes


def train_in_processes(
    folder: Path, params: RetrieverParams, epochs: int | None = None, *, all_splits: bool = False
) -> None:
    """Train as far as :func:`assets.retriever.fitting.fit` would, where several processes do.

    Args:
        folder: Where `fit` then finds the checkpoint of the end.
        params: Those of the stage, their precision decided.
        epochs: Passes after which it ends; None: all of `params`.
        all_splits: Whether validation and test are learnt from too.

    Raises:
        UserError: One of the processes failed.
    """
    machine = Machine.here()
    if machine.training_processes() == 1:
        return
    asked = {"params": params.model_dump(), "epochs": epochs, "all_splits": all_splits}
    write_json(folder / "asked.json", asked)
    run_in_processes("assets.retriever.processes", [str(folder)], machine)


def _train_as_one_of_several(folder: Path) -> None:
    asked = read_json(folder / "asked.json")
    data = Interactions.load(DATA / "interactions")
    queries = SyntheticQueries.load(DATA / "synthetic_queries")
    if asked["all_splits"]:
        data, queries = data.all_as_train(), queries.all_as_train()
    device = Machine.here().torch_device()
    fit(
        SemanticIds.load(DATA / "semantic_ids"),
        data,
        queries,
        BiEncoder.load(DATA / "bi_encoder", device),
        Embeddings.load(DATA / "embeddings"),
        RetrieverParams.model_validate(asked["params"]),
        device=device,
        folder=folder,
        say=_say if place().rank == 0 else lambda _: None,
        epochs=asked["epochs"],
    )


def _say(line: str) -> None:
    print(f"  {line}", flush=True)


if __name__ == "__main__":
    join_group()
    connect()
    _train_as_one_of_several(Path(sys.argv[1]))
