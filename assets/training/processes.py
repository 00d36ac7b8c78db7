"""A training in several processes of this machine, started through torchrun.

The stage runs a module in them, which calls :func:`join_group` first. Each has its place in the
environment (``RANK``, ``LOCAL_RANK``, ``WORLD_SIZE``); only the first one writes.
"""

from __future__ import annotations

import os
import subprocess
import sys
import threading
from collections.abc import Sequence

from assets.machine import Machine
from assets.stage import UserError


def run_in_processes(module: str, arguments: Sequence[str], machine: Machine) -> None:
    """Run a module in as many processes as the machine is to train with, and wait for them.

    They share the threads of this process and end with it, however it ends.

    Args:
        module: The module, such as ``assets.bi_encoder.processes``.
        arguments: What it reads from its command line.
        machine: Says how many processes and threads there are.

    Raises:
        UserError: One of the processes failed.
    """
    count = machine.training_processes()
    threads = str(max(1, machine.threads // count))
    torchrun = ["torch.distributed.run", "--standalone", f"--nproc-per-node={count}"]
    with subprocess.Popen(  # noqa: S603  our own module
        [sys.executable, "-m", *torchrun, "-m", module, *arguments],
        stdin=subprocess.PIPE,
        # torchrun sets OMP_NUM_THREADS to 1 where nothing is said
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


def join_group() -> None:
    """Take this process's place in the group, and end it when the stage ends."""
    import torch

    threading.Thread(target=_end_with_the_stage, daemon=True).start()
    machine = Machine.here()
    torch.set_num_threads(machine.threads)
    if machine.torch_device() == "cuda":
        torch.cuda.set_device(int(os.environ["LOCAL_RANK"]))


def _end_with_the_stage() -> None:
    """Wait for the end of standard input, which the stage holds open while it lives."""
    while os.read(0, 1):
        pass
    os._exit(1)
