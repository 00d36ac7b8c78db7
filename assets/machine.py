"""What this machine is: the ``SIDMILL_*`` variables, the device, and the precision it is fast in.

A variable changes no result beyond rounding. What does change results, the precision and the
device of training, is written into the artifact by who trains.
"""

from __future__ import annotations

import re
import time
from functools import cache
from pathlib import Path
from typing import Literal

from pydantic import Field, SecretStr, ValidationError, field_validator
from pydantic_settings import BaseSettings, SettingsConfigDict

from assets.stage import UserError
from assets.threads import usable_cores

Precision = Literal["auto", "float32", "bfloat16"]
FAST = 0.8  # bfloat16 counts as fast where a product takes at most this share of float32's time
TRIES = 8


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
        0,
        ge=0,
        description="Processes that train the encoder and the generator; 0: one per GPU, or one.",
    )

    @field_validator("memory_limit")
    @classmethod
    def _is_an_amount(cls, value: str) -> str:
        if not re.fullmatch(r"\d+(\.\d+)? ?([KMGT]i?B|%)", value, re.IGNORECASE):
            raise ValueError(f"{value!r} is no amount of memory such as 4GB, 500MB or 50%")
        return value

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
            raise UserError(f"{name}: {problem['msg'].removeprefix('Value error, ')}.") from error

    def torch_device(self) -> str:
        """Return ``cuda`` or ``cpu`` for torch.

        Raises:
            UserError: ``cuda`` is asked for where torch sees no GPU.
        """
        if self.device == "cpu":
            return "cpu"
        import torch

        if self.device == "cuda" and not torch.cuda.is_available():
            raise UserError(
                "SIDMILL_DEVICE is `cuda`, but torch sees no GPU here: set it to `auto` or `cpu`, "
                "or install a torch built for CUDA."
            )
        return "cuda" if torch.cuda.is_available() else "cpu"

    def spill_folder(self) -> Path:
        """Return `temp_folder`, made if it is not there.

        Raises:
            UserError: It cannot be made.
        """
        folder = Path(self.temp_folder)
        try:
            folder.mkdir(parents=True, exist_ok=True)
        except OSError as error:
            raise UserError(
                f"SIDMILL_TEMP_FOLDER: the folder {folder} cannot be made ({error.strerror}): "
                "name another one."
            ) from error
        return folder

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
    """Say whether bfloat16 products are faster than float32 ones on a device.

    A CPU is timed: one without instructions for it takes 5 to 50 times as long as in float32, one
    with them a third. What torch says of a CPU (``_is_mkldnn_bf16_supported``) is true of the
    former as well, as far as they have AVX-512.
    """
    import torch

    if device != "cpu":
        return torch.cuda.is_bf16_supported(including_emulation=False)
    return _bfloat16_time_ratio() <= FAST


def _bfloat16_time_ratio() -> float:
    """Return the time of a 512 × 128 × 128 product in bfloat16 over that in float32.

    It is the processor's time in one thread, the best of some tries in turns, so that what else the
    machine does just then does not count: the same machine must always be told the same.
    """
    import torch

    kinds = (torch.float32, torch.bfloat16)
    factors = {
        kind: (torch.ones(512, 128, dtype=kind), torch.ones(128, 128, dtype=kind)) for kind in kinds
    }
    best = dict.fromkeys(kinds, float("inf"))
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    try:
        for attempt in range(TRIES + 1):
            for kind, (left, right) in factors.items():
                started = time.thread_time()
                left @ right
                if attempt:  # the first one prepares the kernel
                    best[kind] = min(best[kind], time.thread_time() - started)
    finally:
        torch.set_num_threads(threads)
    return best[torch.bfloat16] / max(best[torch.float32], 1e-9)
