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
from dataclasses import dataclass
from typing import TYPE_CHECKING

from assets.machine import Machine
from assets.stage import UserError

if TYPE_CHECKING:
    from torch import Tensor


@dataclass(frozen=True)
class Place:
    """Which process of a training this is, and of how many."""

    rank: int
    count: int


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
    """Take this process's place in the group, and end it when the stage ends.

    A library's trainer connects the group by itself; a loop of ours needs :func:`connect` too.
    """
    import torch

    threading.Thread(target=_end_with_the_stage, daemon=True).start()
    machine = Machine.here()
    torch.set_num_threads(machine.threads)
    if machine.torch_device() == "cuda":
        torch.cuda.set_device(int(os.environ["LOCAL_RANK"]))


def connect() -> None:
    """Connect this process with the others of its group."""
    import torch

    gpu = Machine.here().torch_device() == "cuda"
    torch.distributed.init_process_group("nccl" if gpu else "gloo")


def place() -> Place:
    """Return this process's place in the group that it is connected with; without one, the only."""
    import torch

    if not (torch.distributed.is_available() and torch.distributed.is_initialized()):
        return Place(0, 1)
    return Place(torch.distributed.get_rank(), torch.distributed.get_world_size())


def summed(tensors: Sequence[Tensor]) -> list[Tensor]:
    """Return each tensor summed over the processes of the group, which all call this.

    Args:
        tensors: Of one type, and of the same shapes in every process.
    """
    import torch

    flat = torch.cat([tensor.detach().flatten() for tensor in tensors])
    torch.distributed.all_reduce(flat)
    parts = flat.split([tensor.numel() for tensor in tensors])
    return [part.view_as(tensor) for part, tensor in zip(parts, tensors, strict=True)]


def _end_with_the_stage() -> None:
    """Wait for the end of standard input, which the stage holds open while it lives."""
    while os.read(0, 1):
        pass
    os._exit(1)
