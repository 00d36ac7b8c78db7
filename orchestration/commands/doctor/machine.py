"""Probes of the machine: cores, memory, disk, processor, ports."""

from __future__ import annotations

import os
import platform
import shutil
import sys
from pathlib import Path

from orchestration.commands.doctor.finding import GB, Finding, Found, State, output, short
from orchestration.commands.options import port_is_free

MEMORY_GB = 2.0  # what the packaged data needs, with what the rest of a system takes
DISK_GB, ROOMY_GB = 1.0, 5.0  # below the first a run may fail, below the second soon
INSTRUCTIONS = {  # as Linux and macOS call them -> as people do
    "avx2": "AVX2",
    "avx512f": "AVX-512",
    "avx512_vnni": "AVX-512 VNNI",
    "avx512_bf16": "AVX-512 BF16",
    "amx_bf16": "AMX BF16",
    "asimd": "NEON",
    "sve": "SVE",
    "bf16": "BF16",
}


def system(_: Path | None) -> Found:
    """Look at the operating system: locks and process groups are those of POSIX."""
    if os.name == "posix":
        yield Finding("system", "OK", platform.platform())
    else:
        fix = "use Linux or macOS; on Windows, WSL"
        yield Finding("system", "broken", platform.platform(), fix)


def cores(_: Path | None) -> Found:
    """Look at the cores that may be used, and at who else uses them."""
    from assets.threads import usable_cores

    usable = usable_cores()
    said = f"{usable} usable of {os.cpu_count()}"
    asked = os.environ.get("SIDMILL_THREADS", "")
    if asked.isdecimal() and int(asked) > usable:
        fix = f"set SIDMILL_THREADS={usable}, or take it out"
        yield Finding("cores", "slow", f"{said}, but SIDMILL_THREADS asks for {asked}", fix)
    elif usable == 1:
        fix = "give the machine or container a second core: a run takes about twice as long"
        yield Finding("cores", "slow", said, fix)
    else:
        yield Finding("cores", "OK", said)
    if hasattr(os, "getloadavg"):
        load = os.getloadavg()[0]
        said = f"{load:.1f} busy processes in the last minute"
        if load > usable:
            yield Finding("load", "slow", said, "let other work end first, or expect longer times")
        else:
            yield Finding("load", "OK", said)


def memory(_: Path | None, limits: Path = Path("/sys/fs/cgroup")) -> Found:
    """Look at the memory of the machine and of the container."""
    import psutil

    memory = psutil.virtual_memory()
    total, free = memory.total / GB, memory.available / GB
    said = f"{total:.1f} GB, {free:.1f} GB free"
    try:
        limit = int((limits / "memory.max").read_text(encoding="ascii")) / GB
        total, free = min(total, limit), min(free, limit)
        said += f", {limit:.1f} GB for this container"
    except (OSError, ValueError):
        pass
    if total < MEMORY_GB:
        fix = f"the packaged data needs about {MEMORY_GB:g} GB: use a larger machine or container"
        yield Finding("memory", "broken", said, fix)
    elif free < MEMORY_GB:
        yield Finding("memory", "slow", said, "end other programs: a run may be killed")
    else:
        yield Finding("memory", "OK", said)


def disk(project: Path | None) -> Found:
    """Look at the room on the disk of the project."""
    folder = project or Path.cwd()
    free = shutil.disk_usage(folder).free / GB
    said = f"{free:.1f} GB free in {short(folder)}"
    fix = "free some: `dvc gc --workspace` drops cached results that nothing refers to"
    state: State = "broken" if free < DISK_GB else "slow" if free < ROOMY_GB else "OK"
    yield Finding("disk", state, said, None if state == "OK" else fix)


def processor(_: Path | None) -> Found:
    """Look at the instructions that decide how fast products are."""
    name, flags = name_and_flags()
    found = [word for flag, word in INSTRUCTIONS.items() if flag in flags]
    said = f"{name} ({platform.machine()}): {', '.join(found) or 'instructions unknown'}"
    if flags and platform.machine().lower() in {"x86_64", "amd64"} and "avx2" not in flags:
        fix = "use a processor with AVX2 (any of the last ten years), or let the container see it"
        yield Finding("processor", "slow", said, fix)
    else:
        yield Finding("processor", "OK", said)


def name_and_flags() -> tuple[str, set[str]]:
    """Return the processor's name and its instruction sets, empty where the system hides them."""
    if sys.platform == "darwin":
        words = ["machdep.cpu.brand_string", "machdep.cpu.features", "machdep.cpu.leaf7_features"]
        name, *more = (output("sysctl", "-n", word) for word in words)
        arm = {"asimd"} if platform.machine() == "arm64" else set()
        return name or platform.processor(), set(" ".join(more).lower().split()) | arm
    try:
        text = Path("/proc/cpuinfo").read_text(encoding="utf-8", errors="replace")
    except OSError:
        return platform.processor() or "unknown", set()
    rows = [line.split(":", 1) for line in text.splitlines() if ":" in line]
    fields = {key.strip().lower(): value.strip() for key, value in reversed(rows)}
    flags = fields.get("flags", "") or fields.get("features", "")
    return fields.get("model name", "unknown"), set(flags.split())


def ports(_: Path | None) -> Found:
    """Look whether the ports of `sidmill ui` and `sidmill serve` are free."""
    for port, command in ((3000, "sidmill ui"), (8000, "sidmill serve")):
        if port_is_free(port):
            yield Finding(f"port {port}", "OK", f"free for `{command}`")
        else:
            fix = f"`{command} --port {port + 1}`, unless it is that already"
            yield Finding(f"port {port}", "slow", "taken", fix)
