"""Probes of the project's folder: params, git, DVC, and where is written."""

from __future__ import annotations

import os
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import Any

from orchestration.commands.doctor.finding import Finding, Found, output, short


def project_and_git(project: Path | None) -> Found:
    """Look for a project and for git."""
    if project is None:
        fix = "go to the folder with params.yaml and dvc.yaml, and ask again"
        said = f"none in {short(Path.cwd())} or above it; nothing is said of data/ and DVC"
        yield Finding("project", "slow", said, fix)
    else:
        yield Finding("project", "OK", short(project))
    version = output("git", "--version").removeprefix("git version ")
    if not version:
        fix = "install git: studies and versions of raw data need it"
        yield Finding("git", "slow", "not found", fix)
    elif project and not output("git", "-C", str(project), "rev-parse", "--git-dir"):
        fix = "`git init`, if you want studies and versions of raw data"
        yield Finding("git", "slow", f"{version}, but the project is no repository", fix)
    else:
        commit = (
            output("git", "-C", str(project), "rev-parse", "--short", "HEAD") if project else ""
        )
        yield Finding("git", "OK", f"{version}{f', commit {commit}' if commit else ''}")


def params_file(project: Path | None) -> Found:
    """Hold params.yaml against its models."""
    from assets.stage import UserError
    from orchestration.project_params import require_valid_params

    if project is None:
        return
    try:
        require_valid_params(project)
    except UserError as error:
        yield Finding("params.yaml", "broken", short(error), "correct the line it names")
    else:
        yield Finding("params.yaml", "OK", "every section is valid")


def precision(project: Path | None) -> Found:
    """Look whether bfloat16 is fast here, and whether the params ask for it where it is not."""
    from assets.machine import Machine, bfloat16_is_fast
    from assets.stage import UserError

    try:
        device = Machine.here().torch_device()
    except UserError:  # told among the variables
        device = "cpu"
    where = "GPU" if device == "cuda" else "processor"
    if bfloat16_is_fast(device):
        yield Finding("bfloat16", "OK", f"fast on this {where}: precision `auto` takes it")
        return
    said = f"slow on this {where}: precision `auto` takes float32"
    asking = [name for name, values in _params(project).items() if _asks_bfloat16(values)]
    if asking:
        said += f", but params.yaml asks for bfloat16 in {', '.join(asking)}"
        fix = "set `auto` there instead; a step takes up to 25 times as long in bfloat16"
        yield Finding("bfloat16", "slow", said, fix)
    else:
        yield Finding("bfloat16", "OK", said)


def _params(project: Path | None) -> dict[str, Any]:
    import yaml

    if project is None:
        return {}
    content = yaml.safe_load((project / "params.yaml").read_text(encoding="utf-8"))
    return content if isinstance(content, dict) else {}


def _asks_bfloat16(values: Any) -> bool:
    return isinstance(values, dict) and any(
        value == "bfloat16" or _asks_bfloat16(value) for value in values.values()
    )


def dvc_cache(project: Path | None) -> Found:
    """Look at where DVC keeps its cache, and how it puts files of it into data/."""
    if project is None:
        return
    if not (project / ".dvc").is_dir():
        said = "this folder is not under DVC yet"
        yield Finding("DVC", "slow", said, "nothing to do: `sidmill run` makes .dvc")
        return
    yield _writable("DVC cache", Path(_run_dvc(project, "cache", "dir").strip()))
    try:
        link = _link_type(project)
    except OSError as error:
        if "not a git repository" not in str(error):
            raise
        said = "this folder is no git repository, and DVC is not told to work without one"
        yield Finding("DVC", "slow", said, "nothing to do: `sidmill run` tells it")
        return
    also = ": every asset lies twice on this disk" if link == "copy" else ""
    yield Finding("DVC links", "OK", f"{link}{also}")


def _link_type(project: Path) -> str:
    """Return how DVC puts files of its cache into data/: the first of its types that can be had."""
    told = [line.strip() for line in _run_dvc(project, "doctor").splitlines()]
    line = next((line for line in told if line.startswith("Cache types: ")), "")
    possible = line.removeprefix("Cache types: ").split(", ")
    asked = _run_dvc(project, "config", "cache.type", must=False).strip() or "reflink,copy"
    if "no-dvc-cache" in line:
        return f"{asked} (not tried yet: the cache is empty)"
    return next((kind for kind in asked.split(",") if kind in ["copy", *possible]), asked)


def _run_dvc(project: Path, *words: str, must: bool = True) -> str:
    done = subprocess.run(  # noqa: S603  the command is ours
        [sys.executable, "-m", "dvc", *words],
        cwd=project,
        capture_output=True,
        text=True,
        check=False,
    )
    if done.returncode and must:
        last = (done.stderr.strip() or "no reason given").splitlines()[-1]
        raise OSError(f"`dvc {' '.join(words)}` failed: {last}")
    return done.stdout if not done.returncode else ""


def folders(project: Path | None) -> Found:
    """Try to write where results, caches and compiled loops go."""
    if project:
        yield _writable("data", project / "data")
    home = Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "sidmill"
    yield _writable("compiled loops", home)


def _writable(what: str, folder: Path) -> Finding:
    """Try to write into a folder, or into the one that it would be made in."""
    there = next(path for path in (folder, *folder.parents) if path.exists())
    try:
        with tempfile.TemporaryFile(dir=there):
            pass
    except OSError as error:
        said = f"{short(there)} cannot be written to: {error.strerror}"
        fix = f"`ls -ld {short(there)}` says whose it is: make it yours, or free the disk"
        return Finding(what, "broken", said, fix)
    return Finding(what, "OK", f"{short(folder)}, writable")
