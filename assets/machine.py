"""What this machine is: the ``SIDMILL_*`` variables, the device, and the precision it is fast in.

A variable changes no result beyond rounding. What does change results, the precision and the
device of training, is written into the artifact by who trains.
"""

from __future__ import annotations

import os
import time
from functools import cache
from typing import Literal

from pydantic import Field, SecretStr, ValidationError
from pydantic_settings import BaseSettings, SettingsConfigDict

from assets.stage import UserError

Precision = Literal["auto", "float32", "bfloat16"]
FAST = 1.2  # bfloat16 counts as fast where a product takes at most this many times float32's


def usable_cores() -> int:
    """Return the number of cores that this process may run on."""
    if hasattr(os, "sched_getaffinity"):
        return len(os.sched_getaffinity(0))
    return os.cpu_count() or 1


class Machine(BaseSettings):
    """What depends on this machine alone: the environment variables ``SIDMILL_<FIELD>``."""

    model_config = SettingsConfigDict(env_prefix="SIDMILL_", frozen=True)

    device: Literal["auto", "cpu", "cuda"] = Field(
        "auto", description="`auto` (a GPU if there is one), `cpu` or `cuda`."
    )
    memory_limit: str = Field("4GB", description="Most memory DuckDB may take before it spills.")
    temp_folder: str = Field("data/cache/tmp", description="Where DuckDB spills to.")
    threads: int = Field(
        default_factory=usable_cores, ge=1, description="CPU threads of one process."
    )
    openai_key: SecretStr = Field(
        SecretStr(""), description="Key of the endpoint that writes queries; local ones need none."
    )
    openai_concurrency: int = Field(
        8, ge=1, description="Most requests to that endpoint at the same time."
    )
    processes: int = Field(
        0, ge=0, description="Processes that train an encoder; 0: one per GPU, or one."
    )

    @classmethod
    def here(cls) -> Machine:
        """Read the environment.

        Raises:
            UserError: A variable holds something that it may not.
        """
        try:
            return cls()
        except ValidationError as error:
            problem = error.errors(include_input=False)[0]
            name = "_".join(["SIDMILL", *(str(part).upper() for part in problem["loc"])])
            raise UserError(f"{name}: {problem['msg']}.") from error

    def torch_device(self) -> str:
        """Return ``cuda`` or ``cpu`` for torch.

        Raises:
            UserError: ``cuda`` is asked for where torch sees no GPU.
        """
        import torch

        if self.device == "cuda" and not torch.cuda.is_available():
            raise UserError(
                "SIDMILL_DEVICE is `cuda`, but torch sees no GPU here: set it to `auto` or `cpu`, "
                "or install a torch built for CUDA."
            )
        if self.device == "auto":
            return "cuda" if torch.cuda.is_available() else "cpu"
        return self.device

    def training_processes(self) -> int:
        """Return the number of processes to train with."""
        import torch

        return self.processes or max(1, self.torch_device() == "cuda" and torch.cuda.device_count())


def precision_for(asked: Precision, device: str) -> Literal["float32", "bfloat16"]:
    """Decide over the precision of a training.

    Args:
        asked: ``auto`` takes bfloat16 only where this machine is fast in it.
        device: ``cpu`` or ``cuda``.
    """
    if asked != "auto":
        return asked
    return "bfloat16" if bfloat16_is_fast(device) else "float32"


@cache
def bfloat16_is_fast(device: str) -> bool:
    """Say whether bfloat16 products are no slower than float32 ones on a device.

    A CPU without instructions for it takes 25 times as long. Who cannot be asked is timed.
    """
    import torch

    if device != "cpu":
        return torch.cuda.is_bf16_supported(including_emulation=False)
    try:
        return bool(torch.ops.mkldnn._is_mkldnn_bf16_supported())
    except (AttributeError, RuntimeError):
        return _bfloat16_time_ratio() <= FAST


def _bfloat16_time_ratio() -> float:
    """Time one 512 × 128 × 128 product in both precisions; each takes its best of five tries."""
    import torch

    seconds = {}
    for kind in (torch.float32, torch.bfloat16):
        left, right = torch.ones(512, 128, dtype=kind), torch.ones(128, 128, dtype=kind)
        tries = []
        for _ in range(6):  # the first prepares the kernel
            started = time.perf_counter()
            left @ right
            tries.append(time.perf_counter() - started)
        seconds[kind] = min(tries[1:])
    return seconds[torch.bfloat16] / seconds[torch.float32]
