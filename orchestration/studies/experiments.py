"""DVC experiments: started one beside the other, and read back.

An experiment is a run of the pipeline with other params in a folder of its own (``dvc exp run
--temp``), recorded as a git reference. It shares DVC's cache with the project, so a stage that some
experiment made is not run again. Nothing here knows studies, Dagster or a terminal.
"""

from __future__ import annotations

import json
import re
import subprocess
import sys
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from assets.stage import UserError
from orchestration.dvc_pipeline import LOCKED, Pipeline, end, environment, last_words
from orchestration.growth import base_name

REFERENCES = "refs/exps/"
FAILED = re.compile(r"ERROR: failed to reproduce '([^']+)'")
DONE = re.compile(r"(\w+): done in ([\d.]+) s\b.*")


@dataclass(frozen=True)
class Experiment:
    """What DVC recorded of an experiment.

    Attributes:
        name: Its name.
        rev: Its commit.
        numbers: All flat numbers of all reports, as ``<stage>.<number>``.
        outputs: Hash of each stage's output.
    """

    name: str
    rev: str
    numbers: Mapping[str, float]
    outputs: Mapping[str, str]


@dataclass
class Trial:
    """One ``dvc exp run`` that is going on or has ended.

    Attributes:
        command: The command.
        root: Folder of dvc.yaml.
        log: File that keeps what it prints.
        threads: Threads of one stage, None for the machine's setting.
    """

    command: list[str]
    root: Path
    log: Path
    threads: int | None = None
    process: subprocess.Popen[bytes] = field(init=False)

    def __post_init__(self) -> None:
        self.start()

    def start(self) -> None:
        """Start it, or start it again."""
        self.log.parent.mkdir(parents=True, exist_ok=True)
        threads = {"SIDMILL_THREADS": str(self.threads)} if self.threads else {}
        with self.log.open("wb") as log:
            self.process = subprocess.Popen(  # noqa: S603  the command is ours
                self.command,
                cwd=self.root,
                env=threads | environment(),
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=subprocess.STDOUT,
                start_new_session=True,
            )

    def ended(self) -> bool:
        """Return whether it has ended; one that found another DVC at work is started again."""
        if self.process.poll() is None:
            return False
        locked = any(text in line for line in self.lines() for text in LOCKED)
        if self.process.returncode and locked and not self.began():
            self.start()
            return False
        return True

    def began(self) -> bool:
        """Return whether any stage was looked at."""
        return any(line.startswith(("Running stage", "Stage '")) for line in self.lines())

    def lines(self) -> list[str]:
        """Return what it has printed."""
        text = self.log.read_text(encoding="utf-8", errors="replace")
        return [line for line in text.splitlines() if line.strip()]

    def failure(self) -> tuple[str, str] | None:
        """Return the stage that failed, empty if none was at work, and what it said last."""
        if not self.process.returncode:
            return None
        lines = self.lines()
        stage = next((found[1] for line in lines if (found := FAILED.match(line))), "")
        words = [line for line in last_words(lines) if not FAILED.match(line)]
        reason = words[-1] if words else f"DVC ended with code {self.process.returncode}"
        for beginning in ("error: ", "ERROR: ", f"{stage}: "):
            reason = reason.removeprefix(beginning)
        return stage, reason

    def seconds(self) -> dict[str, float]:
        """Return how long each stage took that really ran."""
        found = (DONE.fullmatch(line) for line in self.lines())
        return {match[1]: float(match[2]) for match in found if match}

    def stop(self) -> None:
        """End it with all that it started."""
        if self.process.poll() is None:
            end(self.process)


def run_command(
    root: Path, name: str, stages: Iterable[str], overrides: Mapping[str, Any]
) -> list[str]:
    """Return the command that runs an experiment.

    Args:
        root: Folder of dvc.yaml.
        name: Name of the experiment, not taken yet.
        stages: Stages to bring up to date, with all that they need.
        overrides: Params, as ``section.key`` to value.
    """
    sets = [
        word
        for key, value in overrides.items()
        for word in ("-S", f"{key}={json.dumps(value) if value is not None else 'null'}")
    ]
    # Files that people dropped are ignored by git, so they would not be there.
    loose = ["ls-files", "--others", "--ignored", "--exclude-standard", "--directory"]
    dropped = _git(root, *loose, "data/incoming").splitlines()
    if grown := base_name(root):
        dropped.append(f"data/releases/{grown}")
    copies = [word for path in dropped for word in ("-C", path.rstrip("/"))]
    dvc = [sys.executable, "-m", "dvc", "exp", "run", "--temp", "--name", name]
    return [*dvc, *copies, *sets, *stages]


def require_repository(pipeline: Pipeline) -> None:
    """Make sure that experiments can be made: a git repository that holds all that they need.

    DVC puts uncommitted changes aside and back around each experiment, so there may be none of
    anything that matters.

    Raises:
        UserError: Something is missing; the text says what to do.
    """
    root = pipeline.root
    if not any((folder / ".git").exists() for folder in (root, *root.parents)):
        raise UserError(
            f"{root} is no git repository, and DVC keeps experiments in git: run `git init`, "
            "`git add --all` and `git commit -m start` there."
        )
    configs = [root / ".dvc" / name for name in ("config", "config.local")]
    if any("no_scm" in file.read_text(encoding="utf-8") for file in configs if file.is_file()):
        raise UserError(
            ".dvc/config.local says that there is no git here: run "
            "`dvc config --local --unset core.no_scm`."
        )
    if _git(root, "rev-parse", "--verify", "--quiet", "HEAD", check=False) == "":
        raise UserError(
            f"{root} has no commit yet, and an experiment starts from one: run `git add --all` and "
            "`git commit -m start`."
        )
    code = {dep for stage in pipeline.stages.values() for dep in stage.deps}
    knobs = {file for stage in pipeline.stages.values() for file, _ in stage.params}
    needed = {
        "params.yaml",
        "dvc.yaml",
        ".dvc",
        *knobs,
        *(dep for dep in code if dep[:5] != "data/"),
    }
    open_files = []
    status = _git(root, "status", "--porcelain", "--untracked-files=all", "--no-renames", ".")
    for line in status.splitlines():
        state, name = line[:2], line[3:].strip('"')
        parts = {name, *(str(folder) for folder in Path(name).parents)}
        if state == "??" and not parts & needed:
            continue
        if not parts & {"dvc.lock", "studies"}:  # what no experiment reads
            open_files.append(name)
    if open_files:
        more = f" and {len(open_files) - 3} more" if len(open_files) > 3 else ""
        raise UserError(
            f"not committed: {', '.join(open_files[:3])}{more}. Experiments start from a commit: "
            "run `git add` and `git commit` first."
        )


def references(root: Path) -> dict[str, tuple[str, str]]:
    """Return the experiments that exist: name to commit and the commit that they started from.

    Of several with one name the newest counts.
    """
    listed = _git(
        root,
        "for-each-ref",
        "--sort=committerdate",
        "--format=%(refname) %(objectname)",
        REFERENCES,
    )
    found = {}
    for line in listed.splitlines():
        reference, rev = line.split()
        parts = reference.removeprefix(REFERENCES).split("/", 2)
        if len(parts) == 3 and len(parts[0] + parts[1]) == 40:
            found[parts[2]] = (rev, parts[0] + parts[1])
    return found


def remove(root: Path, name: str) -> None:
    """Forget an experiment; what it made stays in the cache."""
    _dvc(root, "exp", "remove", name)


def recorded(root: Path, names: Iterable[str]) -> dict[str, Experiment]:
    """Read what DVC recorded of experiments.

    Args:
        root: Folder of dvc.yaml.
        names: Their names; those that do not exist are left out.
    """
    known = references(root)
    wanted = {name: known[name] for name in names if name in known}
    if not wanted:
        return {}
    found = {}
    for start in sorted({start for _, start in wanted.values()}):
        shown = json.loads(_dvc(root, "exp", "show", "--json", "--rev", start))
        groups = [group for entry in shown for group in entry.get("experiments") or ()]
        for entry in (entry for group in groups for entry in group["revs"]):
            if wanted.get(entry["name"], ("",))[0] == entry["rev"] and entry.get("data"):
                found[entry["name"]] = _experiment(entry)
    return found


def fetch(root: Path, rev: str, path: str, target: Path) -> None:
    """Copy a file or folder of an experiment or a commit out of the cache.

    Raises:
        UserError: It is not there.
    """
    _dvc(root, "get", ".", path, "--rev", rev, "--out", str(target), "--force")


def _experiment(entry: Mapping[str, Any]) -> Experiment:
    data = entry["data"]
    numbers = {
        f"{Path(file).parent.name}.{key}": value
        for file, report in (data.get("metrics") or {}).items()
        for key, value in (report.get("data") or {}).items()
        if isinstance(value, int | float)
    }
    outputs = {
        Path(path).name: out["hash"]
        for path, out in (data.get("outs") or {}).items()
        if out.get("hash")
    }
    return Experiment(entry["name"], entry["rev"], numbers, outputs)


def _git(root: Path, *words: str, check: bool = True) -> str:
    command = ["git", *words]
    done = subprocess.run(  # noqa: S603  the command is ours
        command, cwd=root, capture_output=True, text=True, check=False
    )
    if done.returncode and check:
        raise UserError(f"`git {' '.join(words)}` failed in {root}: {done.stderr.strip()}")
    return done.stdout.rstrip("\n")


def _dvc(root: Path, *words: str) -> str:
    command = [sys.executable, "-m", "dvc", *words]
    done = subprocess.run(  # noqa: S603  the command is ours
        command, cwd=root, env=environment(), capture_output=True, text=True, check=False
    )
    if done.returncode:
        said = done.stderr.strip().splitlines()
        raise UserError(f"`dvc {' '.join(words)}` failed: {said[-1] if said else 'no reason'}")
    return done.stdout
