"""Training in this process or in several: ``torchrun -m assets.bi_encoder.processes FOLDER``."""

from __future__ import annotations

import hashlib
import json
import os
import shutil
import subprocess
import sys
import threading
from collections.abc import Sequence
from pathlib import Path

from assets.bi_encoder.artifact import BiEncoder
from assets.bi_encoder.examples import Examples
from assets.bi_encoder.params import BiEncoderParams
from assets.bi_encoder.validation import Questions
from assets.files import read_json, write_json
from assets.interactions.artifact import Interactions
from assets.machine import Machine
from assets.stage import CACHE, DATA, UserError
from assets.synthetic_queries.artifact import SyntheticQueries


def training_folder(base: Path, inputs: Sequence[str], params: BiEncoderParams) -> Path:
    """Return the folder in which a training goes on, after a kill too; others are removed.

    Args:
        base: The base as an encoder, copied to ``base/``.
        inputs: Versions of the stage's inputs.
        params: The stage's params.
    """
    version = BiEncoder.load(base).manifest["model_version"]
    key = json.dumps([version, *inputs, params.model_dump()], sort_keys=True)
    folder = CACHE / "training" / hashlib.sha256(key.encode()).hexdigest()[:16]
    for other in folder.parent.glob("*"):
        if other != folder:
            shutil.rmtree(other)
    shutil.copytree(base, folder / "base", dirs_exist_ok=True)
    return folder


def train_in_processes(
    folder: Path, params: BiEncoderParams, machine: Machine, examples: Examples, checks: Questions
) -> None:
    """Train as :func:`assets.bi_encoder.training.train` does, in as many processes as are wanted.

    Several are started through torchrun; they end with this one, however it ends.

    Raises:
        UserError: One of the processes failed.
    """
    count = machine.training_processes()
    if count == 1:
        from assets.bi_encoder.training import train

        train(folder, params, machine, examples, checks)
        return
    write_json(folder / "params.json", params.model_dump())
    threads = str(max(1, machine.threads // count))
    command = ["torch.distributed.run", "--standalone", f"--nproc-per-node={count}"]
    with subprocess.Popen(  # noqa: S603  our own module
        [sys.executable, "-m", *command, "-m", "assets.bi_encoder.processes", str(folder)],
        stdin=subprocess.PIPE,
        env=os.environ
        | {
            "SIDMILL_PROCESSES": str(count),
            "SIDMILL_THREADS": threads,
            "OMP_NUM_THREADS": threads,
        },
    ) as group:
        code = group.wait()
    if code:
        raise UserError(
            f"one of {count} training processes failed (exit code {code}); its lines stand above. "
            "SIDMILL_PROCESSES=1 trains in a single process."
        )


def _train_as_one_of_several(folder: Path) -> None:
    import torch

    from assets.bi_encoder.training import train

    machine = Machine()
    torch.set_num_threads(machine.threads)
    if machine.torch_device() == "cuda":
        torch.cuda.set_device(int(os.environ["LOCAL_RANK"]))
    params = BiEncoderParams.model_validate(read_json(folder / "params.json"))
    interactions = Interactions.load(DATA / "interactions")
    queries = SyntheticQueries.load(DATA / "synthetic_queries")
    examples = Examples.of(params.variant, interactions, queries)
    _, checks = Questions.of(interactions, queries).chosen(params.measured, params.seed)
    train(folder, params, machine, examples, checks)


def _end_with_the_stage() -> None:
    """Wait for the end of standard input, which the stage holds open while it lives."""
    while os.read(0, 1):
        pass
    os._exit(1)


if __name__ == "__main__":
    threading.Thread(target=_end_with_the_stage, daemon=True).start()
    _train_as_one_of_several(Path(sys.argv[1]))
