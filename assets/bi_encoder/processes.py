"""Training in this process or in several: ``torchrun -m assets.bi_encoder.processes FOLDER``."""

from __future__ import annotations

import sys
from pathlib import Path

from assets.bi_encoder.examples import Examples
from assets.bi_encoder.params import BiEncoderParams
from assets.bi_encoder.validation import ValidationQuestions
from assets.files import read_json, write_json
from assets.interactions.artifact import Interactions
from assets.machine import Machine
from assets.stage import DATA
from assets.synthetic_queries.artifact import SyntheticQueries
from assets.training.processes import join_group, run_in_processes


def train_in_processes(
    folder: Path,
    params: BiEncoderParams,
    machine: Machine,
    examples: Examples,
    checks: ValidationQuestions,
) -> None:
    """Train as :func:`assets.bi_encoder.training.train` does, in as many processes as are wanted.

    Raises:
        UserError: One of the processes failed.
    """
    if machine.training_processes() == 1:
        from assets.bi_encoder.training import train

        train(folder, params, machine, examples, checks)
        return
    write_json(folder / "params.json", params.model_dump())
    run_in_processes("assets.bi_encoder.processes", [str(folder)], machine)


def _train_as_one_of_several(folder: Path) -> None:
    from assets.bi_encoder.training import train

    params = BiEncoderParams.model_validate(read_json(folder / "params.json"))
    interactions = Interactions.load(DATA / "interactions")
    queries = SyntheticQueries.load(DATA / "synthetic_queries")
    examples = Examples.of(params.variant, interactions, queries)
    _, checks = ValidationQuestions.of(interactions, queries).halves(params.measured, params.seed)
    train(folder, params, Machine.here(), examples, checks)


if __name__ == "__main__":
    join_group()
    _train_as_one_of_several(Path(sys.argv[1]))
