"""Probes of what is installed: torch, faiss, packages, and the variables that they go by."""

from __future__ import annotations

import os
import platform
import sys
from importlib import metadata
from pathlib import Path

from orchestration.commands.doctor.finding import GB, Finding, Found, output, short

SHOWN = ["dvc", "dagster", "duckdb", "great-expectations", "numba", "numpy", "pandas", "pyarrow"]
SHOWN += ["sentence-transformers", "transformers"]
# Variables of other programs that decide how ours compute; none of them holds a secret.
OTHERS = ["ATEN_CPU_CAPABILITY", "CUDA_VISIBLE_DEVICES", "FAISS_OPT_LEVEL", "HF_HUB_OFFLINE"]
OTHERS += ["MKL_NUM_THREADS", "NPY_DISABLE_CPU_FEATURES", "NUMBA_DISABLE_JIT", "OMP_NUM_THREADS"]
OTHERS += ["ONEDNN_MAX_CPU_ISA", "OPENBLAS_CORETYPE", "OPENBLAS_NUM_THREADS"]


def sidmill_and_python(_: Path | None) -> Found:
    """Look at Sidmill itself and the Python that runs it."""
    try:
        version = metadata.version("sidmill")
    except metadata.PackageNotFoundError:
        fix = "run `make install` in the project's top folder"
        yield Finding("sidmill", "broken", "not installed as a package", fix)
    else:
        yield Finding("sidmill", "OK", f"{version}, in {short(Path(__file__).parents[3])}")
    yield Finding("python", "OK", f"{platform.python_version()}, {short(sys.executable)}")


def torch_build(_: Path | None) -> Found:
    """Look at torch and at the GPU that it sees."""
    import torch

    build = f"CUDA {torch.version.cuda}" if torch.version.cuda else "CPU build"
    level = torch.backends.cpu.get_cpu_capability()
    yield Finding("torch", "OK", f"{torch.__version__}, {build}; computes with {level}")
    if torch.cuda.is_available():
        card = torch.cuda.get_device_properties(0)
        said = f"{torch.cuda.device_count()} of {card.name}, {card.total_memory / GB:.0f} GB"
        yield Finding("GPU", "OK", said)
    elif cards := output("nvidia-smi", "--query-gpu=name", "--format=csv,noheader"):
        fix = "install a torch built for CUDA: `make run TORCH=torch FAISS=gpu` in a new .venv"
        yield Finding("GPU", "slow", f"{cards.splitlines()[0]}, but torch does not see it", fix)
    else:
        yield Finding("GPU", "OK", "none that torch could use; the processor does all the work")


def faiss_build(_: Path | None) -> Found:
    """Look at faiss: one build, and one that can use the GPU that torch sees."""
    builds = sorted(set(metadata.packages_distributions().get("faiss", [])))
    if len(builds) > 1:
        fix = f"they overwrite each other: uninstall {' and '.join(builds)}, then install one"
        yield Finding("faiss", "broken", f"{' and '.join(builds)} are both installed", fix)
        return
    if not builds:
        fix = f"{_pip()} faiss-cpu (or faiss-gpu with an NVIDIA GPU)"
        yield Finding("faiss", "broken", "not installed", fix)
        return
    import faiss
    import torch

    knows_gpus = hasattr(faiss, "StandardGpuResources")
    said = f"{faiss.__version__}, {builds[0]}: {faiss.get_compile_options().strip()}"
    if torch.cuda.is_available() and not knows_gpus:
        fix = "uninstall faiss-cpu and install faiss-gpu: `make run FAISS=gpu` in a new .venv"
        yield Finding("faiss", "slow", f"{said}; torch sees a GPU, this faiss cannot", fix)
    else:
        yield Finding("faiss", "OK", said)


def packages(_: Path | None) -> Found:
    """Hold the installed versions against those that Sidmill asks for."""
    from packaging.requirements import Requirement

    wanted = [Requirement(text) for text in metadata.requires("sidmill") or []]
    versions = {}
    for one in wanted:
        if one.marker and not one.marker.evaluate({"extra": ""}):
            continue
        try:
            versions[one.name] = metadata.version(one.name)
        except metadata.PackageNotFoundError:
            yield Finding(one.name, "broken", "not installed", f'{_pip()} "{one}"')
            continue
        if not one.specifier.contains(versions[one.name], prereleases=True):
            said = f"{versions[one.name]}, but {one.specifier} is needed"
            yield Finding(one.name, "broken", said, f'{_pip()} "{one}"')
    shown = ", ".join(f"{name} {versions[name]}" for name in SHOWN if name in versions)
    yield Finding("packages", "OK", shown)


def variables(_: Path | None) -> Found:
    """Look at the environment variables that are obeyed."""
    from pydantic import SecretStr

    from assets.machine import Machine
    from assets.stage import UserError

    fields = Machine.model_fields
    for name in sorted(name for name in os.environ if name.upper().startswith("SIDMILL_")):
        field = fields.get(name.lower().removeprefix("sidmill_"))
        if field is None:
            fix = "known are " + ", ".join(f"SIDMILL_{known.upper()}" for known in fields)
            yield Finding(name, "slow", "set, but no such variable is read", fix)
        else:
            secret = field.annotation is SecretStr
            yield Finding(name, "OK", "set" if secret else short(os.environ[name]))
    others = [f"{name}={os.environ[name]}" for name in OTHERS if name in os.environ]
    if others:
        yield Finding("other variables", "OK", " ".join(others))
    try:
        Machine.here().torch_device()
    except UserError as error:
        yield Finding("variables", "broken", str(error), "correct it, or take it out")


def _pip() -> str:
    return f"{short(sys.executable)} -m pip install"
