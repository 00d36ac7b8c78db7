"""The contract every stage keeps: params in, one folder out, all or nothing.

A stage is a package ``assets/<name>`` whose ``__main__`` ends with::

    if __name__ == "__main__":
        run_stage("<name>", Params, main)

A stage that learns also hands over ``refresh(run, released)``, its work where ``data/base.yaml``
names a release to grow from: what that release learnt is taken over.

``main(run)`` reads ``run.params`` and the upstream folders ``run.input(<stage>)``, writes files to
``run.folder`` and hands its numbers to ``run.report``. The folder is a temporary sibling of
``data/<name>`` that takes its place only when ``main`` has returned, so a killed or failed stage
leaves ``data/<name>`` as it found it (under DVC that is empty: DVC removes an output before it runs
the stage). A stage whose finding is that something is wrong raises
``NegativeResultError``: its folder takes the place, and the stage fails.
"""

from __future__ import annotations

import contextlib
import fcntl
import json
import random
import resource
import shutil
import sys
import time
from collections.abc import Callable, Iterable, Iterator, Mapping, Sized
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Generic, NoReturn, TypeVar

import numpy as np
import psutil
import yaml
from pydantic import BaseModel, ConfigDict, Field, ValidationError
from tqdm import tqdm

from assets.files import exchange, write_json

PARAMS_FILE = Path("params.yaml")
DATA = Path("data")
CACHE = DATA / "cache"
BASE_FILE = DATA / "base.yaml"
RELEASES = DATA / "releases"

T = TypeVar("T")


class UserError(Exception):
    """Something the user can mend: its text names the file, the place in it and the fix."""


class NegativeResultError(UserError):
    """The work is done and its result is a failure: the asset is kept, and says so itself."""


class Params(BaseModel):
    """Base of every stage's params: frozen, unknown keys refused, each field documented."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    seed: int = Field(0, ge=0, description="Seed of everything random in this stage.")


P = TypeVar("P", bound=Params)
M = TypeVar("M", bound=BaseModel)


@dataclass(frozen=True)
class Run(Generic[P]):
    """One run of one stage.

    Attributes:
        name: The stage, which is also the name of its folder and of its section in params.yaml.
        params: The validated section.
        folder: Where the stage writes its asset. Empty at the start.
    """

    name: str
    params: P
    folder: Path

    def input(self, stage: str) -> Path:
        """Return the folder of an upstream asset.

        Raises:
            UserError: It has not been made yet.
        """
        folder = DATA / stage
        if not folder.is_dir():
            raise UserError(f"{folder} is missing: run `dvc repro {stage}` first.")
        return folder

    def report(self, numbers: Mapping[str, Any]) -> None:
        """Write ``report.json`` into the asset: flat numbers and small tables (lists of rows)."""
        write_json(self.folder / "report.json", numbers)

    def say(self, text: str) -> None:
        """Print a line about the stage for whoever watches it."""
        print(f"{self.name}: {text}", flush=True)


def run_stage(
    name: str,
    params_model: type[P],
    main: Callable[[Run[P]], None],
    refresh: Callable[[Run[P], Path], None] | None = None,
) -> None:
    """Run a stage in the current folder and swap its output in, or exit with a readable error.

    Args:
        name: The stage.
        params_model: The model of its section of ``params.yaml``.
        main: The work.
        refresh: The work where there is a release to grow from, given the folder of this stage's
            asset in it; None: it is the same work.
    """
    started = time.monotonic()
    try:
        with _only_one(name):
            run = Run(name, load_params(name, params_model), _fresh_folder(name))
            _seed(run.params.seed)
            try:
                if refresh and (released := _released_asset(name)):
                    refresh(run, released)
                else:
                    main(run)
            except NegativeResultError:
                _swap_in(run.folder, DATA / name)
                raise
            _swap_in(run.folder, DATA / name)
            _log(run, time.monotonic() - started)
    except UserError as error:
        _exit(f"{name}: {error}")
    except KeyboardInterrupt:
        _exit(f"{name}: interrupted; this run has written nothing to data/{name}.", code=130)


def load_params(section: str, model: type[M], file: Path = PARAMS_FILE) -> M:
    """Read one section of ``params.yaml``.

    Args:
        section: Name of the section; a missing one means all defaults.
        model: The pydantic model of the section.
        file: The file.

    Raises:
        UserError: No such file, no YAML, an unknown section, an unknown key or a bad value.
    """
    try:
        sections = yaml.safe_load(file.read_text(encoding="utf-8")) or {}
    except FileNotFoundError as error:
        raise UserError(
            f"{file} not found in {Path.cwd()}: run from the project's top folder."
        ) from error
    except (OSError, UnicodeDecodeError) as error:
        raise UserError(f"{file} cannot be read as a text file in UTF-8: {error}.") from error
    except yaml.YAMLError as error:
        raise UserError(f"{file} is no valid YAML: {error}") from error
    if not isinstance(sections, dict):
        raise UserError(f"{file} must map section names to params, such as `codebooks:`.")
    known = [*stage_names(), "release"]
    unknown = sorted(set(sections) - set(known))
    if unknown:
        raise UserError(
            f"{file}: unknown section `{unknown[0]}`; known sections are {', '.join(known)}."
        )
    try:
        return model.model_validate(sections.get(section) or {})
    except ValidationError as error:
        problems = []
        for problem in error.errors():
            key = ".".join([section, *map(str, problem["loc"])])
            if problem["type"] == "extra_forbidden":
                names = ", ".join(sorted(model.model_fields))
                problems.append(f"unknown param `{key}`; known ones are {names}")
            else:
                problems.append(f"`{key}`: {problem['msg']} (got {problem['input']!r})")
        raise UserError(f"{file}: " + "; ".join(problems) + ".") from error


def base_name(file: Path = BASE_FILE) -> str | None:
    """Return the name of the release to grow from; None, also without the file: learn anew.

    Raises:
        UserError: The file cannot be read, or holds something else.
    """
    name = _base(file)["release"]
    return None if name is None else str(name)


def final_asked(file: Path = BASE_FILE) -> bool:
    """Tell whether this run was asked to end with the final fit; not where the file is missing.

    Raises:
        UserError: The file cannot be read, or holds something else.
    """
    return bool(_base(file)["final"])


def _base(file: Path) -> dict[str, Any]:
    """Return `release` and `final` as the file has them."""
    try:
        content = yaml.safe_load(file.read_text(encoding="utf-8"))
    except FileNotFoundError:
        content = {"release": None}
    except (OSError, UnicodeDecodeError, yaml.YAMLError) as error:
        raise UserError(f"{file} cannot be read: {error}") from error
    keys = set(content) if isinstance(content, dict) else set()
    if not {"release"} <= keys <= {"release", "final"}:
        raise UserError(
            f"{file} must hold the key `release:`, with the name of a release or null, and `final:`"
            ", true or false."
        )
    if not isinstance(content.get("final", False), bool):
        raise UserError(f"{file}: `final` is {content['final']!r}; it must be true or false.")
    return {"final": False, **content}


def base_release() -> Path | None:
    """Return the folder of the release that ``data/base.yaml`` names; None: learn anew.

    A release never changes, so its name says all there is to say about it.

    Raises:
        UserError: The file says something else, or there is no such release.
    """
    name = base_name()
    if name is None:
        return None
    # `current` is a link, and what it names changes.
    known = [path.name for path in RELEASES.glob("r*") if path.is_dir() and not path.is_symlink()]
    if name not in known:
        raise UserError(
            f"{BASE_FILE} names the release {name!r}, but {RELEASES} holds "
            f"{', '.join(sorted(known)) or 'none'}: `sidmill refresh` names the current one, "
            "`sidmill rebuild` none."
        )
    return RELEASES / name


def _released_asset(stage: str) -> Path | None:
    """Return the folder of an asset in the release to grow from; None: learn anew."""
    release = base_release()
    if release and not (release / stage).is_dir():
        raise UserError(
            f"{release} holds no `{stage}` to grow from: name another release in {BASE_FILE}, "
            "or run `sidmill rebuild`."
        )
    return release / stage if release else None


def stage_names() -> list[str]:
    """Return the names of all stages: the packages beside this file that can be run."""
    return sorted(file.parent.name for file in Path(__file__).parent.glob("*/__main__.py"))


def progress(
    items: Iterable[T], what: str, total: int | None = None, every: float = 5.0
) -> Iterator[T]:
    """Yield the items and show how far it is: a bar on a terminal, plain lines in a log.

    Args:
        items: What is worked through.
        what: What is being done, such as "encoding".
        total: Number of items, where ``len`` does not tell.
        every: Seconds between two lines in a log.
    """
    if total is None and isinstance(items, Sized):
        total = len(items)
    if sys.stderr.isatty():
        yield from tqdm(items, desc=what, total=total, leave=False, dynamic_ncols=True)
        return
    started = said = time.monotonic()
    for done, item in enumerate(items):
        now = time.monotonic()
        if now - said >= every and done:
            said = now
            left = f", {(now - started) / done * (total - done):.0f} s left" if total else ""
            print(f"  {what}: {done}{f' of {total}' if total else ''}{left}", flush=True)
        yield item


def _seed(seed: int) -> None:
    """Seed all generators."""
    random.seed(seed)
    np.random.seed(seed)  # noqa: NPY002  libraries draw from the global generator
    if "torch" in sys.modules:
        import torch

        torch.manual_seed(seed)


def _fresh_folder(name: str) -> Path:
    folder = DATA / f".{name}.partial"
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir(parents=True)
    return folder


def _swap_in(new: Path, target: Path) -> None:
    """Put a folder in the place of another, which is removed."""
    if target.exists() and exchange(new, target):
        shutil.rmtree(new, ignore_errors=True)
        return
    # Where no exchange is possible there is no asset for a moment.
    old = target.with_name(f".{target.name}.old")
    shutil.rmtree(old, ignore_errors=True)
    if target.exists():
        target.rename(old)
    new.rename(target)
    shutil.rmtree(old, ignore_errors=True)


@contextlib.contextmanager
def _only_one(name: str) -> Iterator[None]:
    """Hold the stage's lock; end an orphan that still runs it, wait for anybody else.

    A killed DVC leaves its stage's process alive, which would overwrite what the next run writes.
    """
    folder = DATA / "logs"
    folder.mkdir(parents=True, exist_ok=True)
    lock = folder / f"{name}.lock"
    lock.touch()
    with lock.open("r+b", buffering=0) as file:  # whole writes, over what is there
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            holder = _holder(file.read())
            if _end_orphan(holder):
                print(f"{name}: ended process {holder['pid']}, left by a killed run.", flush=True)
            else:
                who = f"process {holder['pid']}" if "pid" in holder else "another process"
                print(f"{name}: waiting for {who} to end.", flush=True)
            fcntl.flock(file, fcntl.LOCK_EX)
        me = psutil.Process()
        entry = {"pid": me.pid, "created": me.create_time(), "parents": _starters(me)}
        text = json.dumps(entry).encode()
        # Never empty, and JSON at every moment: another run may read it now.
        file.seek(0)
        file.write(text.ljust(lock.stat().st_size))
        file.truncate(len(text))
        yield


def _holder(text: bytes) -> dict[str, Any]:
    """Read who holds a lock; empty where nobody has written it yet."""
    try:
        entry = json.loads(text)
    except ValueError:
        return {}
    return entry if isinstance(entry, dict) else {}


def _starters(process: psutil.Process) -> list[list[float]]:
    """Return the process's parent and grandparent (DVC, with or without a shell between)."""
    return [[parent.pid, parent.create_time()] for parent in process.parents()[:2]]


def _end_orphan(holder: dict[str, Any]) -> bool:
    """Kill the process that holds the lock if one of the processes that started it is gone."""
    with contextlib.suppress(psutil.NoSuchProcess, KeyError):
        process = psutil.Process(holder["pid"])
        same = process.create_time() == holder["created"]
        if same and _starters(process) != holder["parents"]:
            process.kill()
            return True
    return False


def _log(run: Run[P], seconds: float) -> None:
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
    entry = {
        "stage": run.name,
        "ended": time.strftime("%Y-%m-%dT%H:%M:%S%z"),
        "seconds": round(seconds, 2),
        "peak_memory_mb": round(peak),
        "device": _device(),
    }
    with (DATA / "logs" / "stages.jsonl").open("a", encoding="utf-8") as file:
        file.write(json.dumps(entry) + "\n")
    run.say(f"done in {seconds:.1f} s, peak memory {peak:,.0f} MB")


def _device() -> str:
    """Name what the stage computed on."""
    torch = sys.modules.get("torch")
    return "cuda" if torch and torch.cuda.is_initialized() else "cpu"


def _exit(message: str, code: int = 1) -> NoReturn:
    print(f"error: {message}", file=sys.stderr, flush=True)
    raise SystemExit(code)
