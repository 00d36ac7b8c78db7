"""Reads dvc.yaml and dvc.lock into plain objects, and starts DVC as a process of its own.

DVC is never imported: its files are YAML, and its command is the interface. Nothing here knows
Dagster; the command line and the Dagster side both stand on this module.
"""

from __future__ import annotations

import contextlib
import hashlib
import json
import os
import signal
import subprocess
import sys
import time
from collections import deque
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass
from graphlib import CycleError, TopologicalSorter
from pathlib import Path
from typing import Any, Literal

import yaml

from assets.stage import UserError

Outcome = Literal["ran", "restored from cache", "unchanged"]

LOCKED = ("is busy, it is being blocked by", "Unable to acquire lock")
HALF_WRITTEN = "JSON structure is corrupted"  # of DVC's own rwlock file
TAIL_LINES = 30


@dataclass(frozen=True)
class Stage:
    """One stage of dvc.yaml.

    Attributes:
        name: Its name, which is also its folder's and its asset's.
        desc: What its asset is, in one sentence.
        cmd: The command that makes it.
        deps: Files and folders it reads, code and data.
        params: Pairs of a params file and a key in it.
        outs: Folders it writes.
        upstream: Stages whose outputs it reads, in the order of dvc.yaml.
        group: Part of the house it is shown in.
        kinds: What it is built with.
        pool: Name of the scarce thing it occupies (``gpu``), if any.
    """

    name: str
    desc: str
    cmd: str
    deps: tuple[str, ...]
    params: tuple[tuple[str, str], ...]
    outs: tuple[str, ...]
    upstream: tuple[str, ...]
    group: str
    kinds: tuple[str, ...]
    pool: str | None


@dataclass(frozen=True)
class Lock:
    """What DVC recorded of a stage's last success.

    Attributes:
        output: Hash of the output (a folder's ends with ``.dir``).
        inputs: Hash of each upstream stage's output it was made from.
    """

    output: str
    inputs: Mapping[str, str]


@dataclass(frozen=True)
class Pipeline:
    """The graph of one project.

    Attributes:
        root: Folder of dvc.yaml.
        stages: All stages by name, each after those it needs, else in the order of dvc.yaml.
    """

    root: Path
    stages: Mapping[str, Stage]

    @classmethod
    def load(cls, root: Path) -> Pipeline:
        """Read ``dvc.yaml``.

        Raises:
            UserError: There is none, it is no YAML, or its stages go in a circle.
        """
        file = root / "dvc.yaml"
        try:
            raw = yaml.safe_load(file.read_text(encoding="utf-8"))["stages"]
        except FileNotFoundError as error:
            raise UserError(f"{file} not found: start from the project's top folder.") from error
        except (yaml.YAMLError, KeyError, TypeError) as error:
            raise UserError(f"{file} is no pipeline: {error}") from error
        stages = {name: _stage(name, raw) for name in raw}
        try:
            TopologicalSorter({s.name: s.upstream for s in stages.values()}).prepare()
        except CycleError as error:
            circle = " -> ".join(error.args[1])
            raise UserError(f"{file}: the stages go in a circle: {circle}.") from error
        ordered: dict[str, Stage] = {}
        while waiting := [stage for name, stage in stages.items() if name not in ordered]:
            ready = next(stage for stage in waiting if ordered.keys() >= set(stage.upstream))
            ordered[ready.name] = ready
        return cls(root, ordered)

    def leaves(self) -> list[str]:
        """Return the stages that no other stage needs."""
        needed = {name for stage in self.stages.values() for name in stage.upstream}
        return [name for name in self.stages if name not in needed]

    def lock(self) -> dict[str, Lock]:
        """Read ``dvc.lock``: the stages that were made at least once, in topological order."""
        entries = self._locked()
        locks: dict[str, Lock] = {}
        for stage in self.stages.values():
            entry = entries.get(stage.name)
            if not entry or not entry.get("outs"):
                continue
            inputs: dict[str, str] = {
                dep["path"]: dep["md5"] for dep in entry.get("deps", []) if "md5" in dep
            }
            locks[stage.name] = Lock(
                output=entry["outs"][0]["md5"],
                # A stage that reads a part of a folder is as good for any folder with that part.
                inputs={
                    name: inputs.get(self.stages[name].outs[0], locks[name].output)
                    for name in stage.upstream
                    if name in locks
                },
            )
        return locks

    def code_version(self, stage: Stage) -> str:
        """Hash the command, the code and the params of a stage: what decides over its output."""
        digest = hashlib.sha256(stage.cmd.encode())
        for dep in stage.deps:
            path = self.root / dep
            if dep.split("/")[0] == "data":
                continue
            for file in sorted(path.rglob("*")) if path.is_dir() else [path]:
                if "__pycache__" in file.parts or file.is_dir():
                    continue
                digest.update(str(file.relative_to(self.root)).encode())
                digest.update(file.read_bytes() if file.is_file() else b"missing")
        for file_name, key in stage.params:
            value = _param(self.root / file_name, key)
            digest.update(json.dumps([file_name, key, value], default=str).encode())
        return digest.hexdigest()[:16]

    def stale(self) -> dict[str, list[str]]:
        """Ask DVC which stages are out of date.

        Returns:
            The reasons per stale stage, in topological order; a stage after a stale one is stale.

        Raises:
            UserError: DVC could not tell.
        """
        command = [sys.executable, "-m", "dvc", "status", "--json"]
        done = subprocess.run(  # noqa: S603  the command is ours
            command, cwd=self.root, env=environment(), capture_output=True, text=True, check=False
        )
        if done.returncode:
            raise UserError(f"`dvc status` failed: {done.stderr.strip()}")
        made, entries = self.lock(), self._locked()
        changed = json.loads(done.stdout)
        reasons: dict[str, list[str]] = {}
        for stage in self.stages.values():
            if stage.name in made:
                locked = entries[stage.name].get("params", {})
                found = [
                    text
                    for reason in _reasons(changed.get(stage.name, []))
                    for text in self._exactly(reason, stage, locked)
                ]
            else:
                found = ["never made"]
            found += [f"follows {name}" for name in stage.upstream if name in reasons]
            if found:
                reasons[stage.name] = found
        return reasons

    def _locked(self) -> dict[str, Any]:
        try:
            content = yaml.safe_load((self.root / "dvc.lock").read_text(encoding="utf-8")) or {}
        except FileNotFoundError:
            return {}
        return content.get("stages", {})

    def _exactly(self, reason: str, stage: Stage, locked: Mapping[str, Any]) -> Iterator[str]:
        """Say which knobs changed where DVC says only that a section of them did."""
        for file, section in stage.params:
            if reason != f"{section} modified":
                continue
            old, new = locked.get(file, {}).get(section), _param(self.root / file, section)
            if isinstance(old, dict) and isinstance(new, dict):
                for key in [*old, *(key for key in new if key not in old)]:
                    if old.get(key) != new.get(key):
                        yield f"{section}.{key} was {old.get(key)}, is {new.get(key)}"
                return
            if section in locked.get(file, {}):
                yield f"{section} was {old}, is {new}"
                return
        yield reason


class StageFailedError(Exception):
    """A stage did not succeed; its text is the last lines that the stage itself printed."""

    def __init__(self, stage: str, lines: Iterable[str]) -> None:
        self.stage = stage
        self.lines = list(lines)
        super().__init__("\n".join(self.lines))


def repro(
    root: Path,
    stage: str,
    say: Callable[[str], None],
    *,
    single_item: bool = True,
    patience: float = 3600.0,
    pause: float = 5.0,
) -> Outcome:
    """Run ``dvc repro`` for a stage and hand on every line it prints as soon as it is there.

    DVC runs in a session of its own, which is ended as a whole when this call is left by an
    exception, so that no stage goes on behind the back of a cancelled run.

    Args:
        root: Folder of dvc.yaml.
        stage: The stage.
        say: Takes each line.
        single_item: The stage alone, not what it needs.
        patience: Seconds to wait while another DVC holds the lock; nothing else is tried twice.
        pause: Seconds between two tries.

    Returns:
        What DVC did.

    Raises:
        StageFailedError: It did not succeed.
    """
    flag = ["--single-item"] if single_item else []
    command = [sys.executable, "-m", "dvc", "repro", *flag, stage]
    give_up = time.monotonic() + patience
    half_written = root / ".dvc" / "tmp" / "rwlock"
    while True:
        lines: deque[str] = deque(maxlen=1000)
        code = _stream(command, root, lines, say)
        started = any(line.startswith("Running stage") for line in lines)
        if not code:
            restored = any("is cached - skipping run" in line for line in lines)
            return "ran" if started else "restored from cache" if restored else "unchanged"
        if any(HALF_WRITTEN in line for line in lines) and half_written.exists():
            # DVC writes the file in its place. It read it while it kept all others from writing, so
            # nobody is at it now.
            half_written.unlink()
            say(f"{stage}: a killed DVC left .dvc/tmp/rwlock half-written: removed, trying again")
            continue
        locked = any(text in line for line in lines for text in LOCKED)
        if started or not locked or time.monotonic() > give_up:
            raise StageFailedError(stage, last_words(lines) or [f"DVC ended with code {code}"])
        say(f"{stage}: another DVC is at work here; trying again in {pause:g} s")
        time.sleep(pause)


def _stream(command: list[str], root: Path, lines: deque[str], say: Callable[[str], None]) -> int:
    with subprocess.Popen(  # noqa: S603  the command is ours
        command,
        cwd=root,
        env=environment(),
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        errors="replace",
        start_new_session=True,
    ) as process:
        try:
            for line in process.stdout or ():
                if text := line.rstrip():
                    lines.append(text)
                    say(text)
            return process.wait()
        except BaseException:
            end(process)
            raise


def end(process: subprocess.Popen[Any]) -> None:
    """End a process that leads its own session, and all that it started."""
    with contextlib.suppress(ProcessLookupError):
        os.killpg(process.pid, signal.SIGTERM)
        with contextlib.suppress(subprocess.TimeoutExpired):
            process.wait(timeout=5)
        # The stage may have outlived DVC, whose id still names the group.
        os.killpg(process.pid, signal.SIGKILL)


def environment() -> dict[str, str]:
    """Return the environment in which ``python`` in dvc.yaml is this very interpreter."""
    here = str(Path(sys.executable).parent)
    path = os.pathsep.join([here, os.environ.get("PATH", os.defpath)])
    return {**os.environ, "PATH": path, "PYTHONUNBUFFERED": "1"}


def last_words(lines: Iterable[str]) -> list[str]:
    """Return the end of what the stage printed, or of what DVC did if the stage never started."""
    own: list[str] = []
    for line in lines:
        if line.startswith("> ") and own and own[-1].startswith("Running stage"):
            own = []
        else:
            own.append(line)
    echo = ("ERROR: failed to reproduce", "failed to run:")
    kept = [line for line in own if not all(text in line for text in echo)] or own
    # What a stage has to say to its user begins so; a crash shows its end.
    said = next((i for i, line in enumerate(kept) if line.startswith("error: ")), 0)
    return kept[said:][-TAIL_LINES:]


def _stage(name: str, raw: Mapping[str, Any]) -> Stage:
    entry = raw[name]
    deps = tuple(_paths(entry.get("deps", [])))
    meta = entry.get("meta", {})
    commands = entry["cmd"]
    return Stage(
        name=name,
        desc=entry.get("desc", ""),
        cmd=commands if isinstance(commands, str) else "\n".join(commands),
        deps=deps,
        params=tuple(_params(entry.get("params", []))),
        outs=tuple(_paths(entry.get("outs", []))),
        upstream=tuple(
            other
            for other in raw
            if other != name
            and any(_within(dep, out) for dep in deps for out in _paths(raw[other].get("outs", [])))
        ),
        group=meta.get("group", "default"),
        kinds=tuple(meta.get("kinds", ())),
        pool=meta.get("pool"),
    )


def _paths(entries: Iterable[Any]) -> Iterator[str]:
    """Yield the paths of a list in which an entry may carry options."""
    for entry in entries:
        yield from [entry] if isinstance(entry, str) else entry


def _params(entries: Iterable[Any]) -> Iterator[tuple[str, str]]:
    for entry in entries:
        if isinstance(entry, str):
            yield "params.yaml", entry
        else:
            for file, keys in entry.items():
                yield from ((file, key) for key in keys)


def _within(dep: str, out: str) -> bool:
    first, second = Path(dep), Path(out)
    return first == second or first in second.parents or second in first.parents


def _param(file: Path, key: str) -> Any:
    try:
        value = yaml.safe_load(file.read_text(encoding="utf-8"))
    except (FileNotFoundError, yaml.YAMLError):
        return None
    for part in key.split("."):
        value = value.get(part) if isinstance(value, dict) else None
    return value


def _reasons(changes: Iterable[Any]) -> Iterator[str]:
    """Put one stage's part of ``dvc status --json`` into words."""
    for change in changes:
        if isinstance(change, str):
            yield {"changed checksum": "its command changed"}.get(change, change)
            continue
        for what in change.values():
            for path, how in what.items():
                if isinstance(how, dict):
                    yield from (f"{key} {state}" for key, state in how.items())
                else:
                    yield f"{path} {how}"
