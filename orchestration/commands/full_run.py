"""Brings every stage up to date through DVC and shows what happens while it happens.

DVC and the stages print lines; :class:`Watcher` reads which stage they belong to. On a terminal one
line per stage stays alive, in a log every line of a stage is kept.
"""

from __future__ import annotations

import re
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from rich.console import Console
from rich.status import Status
from rich.text import Text

from assets.files import read_json
from assets.stage import BASE_FILE, UserError
from orchestration.dvc_pipeline import Outcome, Pipeline, StageFailedError, repro
from orchestration.growth import final_asked, set_base, set_final
from orchestration.project_params import require_valid_params
from orchestration.releases.store import current

BEGINNINGS: dict[re.Pattern[str], Outcome] = {
    re.compile(r"Running stage '(.+)':"): "ran",
    re.compile(r"Stage '(.+)' is cached - skipping run.*"): "restored from cache",
    re.compile(r"Stage '(.+)' didn't change, skipping"): "unchanged",
}
# What DVC tells its own users; `sidmill run` says it better or needs none of it.
DVC_TALK = re.compile(
    r"> |(Generating|Updating) lock file|Use `dvc push`|Data and pipelines are up to date"
    r"|ERROR: failed to reproduce|To track the changes|To enable auto staging"
    r"|\s*git add |\s*dvc config "
)
LAST_WORDS = 12


@dataclass
class StageRun:
    """What became of one stage."""

    name: str
    outcome: Outcome
    seconds: float


class Watcher:
    """Follows the lines of one ``dvc repro`` and prints what became of each stage."""

    def __init__(self, console: Console) -> None:
        self.done: list[StageRun] = []
        self.doing: StageRun | None = None
        self._console = console
        self._status: Status | None = None
        self._since = time.monotonic()

    def take(self, line: str) -> None:
        """Take one line of output."""
        for pattern, outcome in BEGINNINGS.items():
            if found := pattern.fullmatch(line):
                self._begin(found[1], outcome)
                return
        if DVC_TALK.match(line):
            return
        if self._status and line.startswith("  "):
            self._show(line.strip())
        else:
            self._console.print(Text(line.rstrip(), style="dim"))

    @contextmanager
    def watching(self) -> Iterator[None]:
        """Keep a line alive on a terminal, and close the last stage when all went well."""
        try:
            if self._console.is_terminal:
                with self._console.status("asking DVC what changed") as self._status:
                    yield
            else:
                yield
        finally:
            self._status = None
        self._close()

    def _begin(self, name: str, outcome: Outcome) -> None:
        self._close()
        self.doing = StageRun(name, outcome, 0.0)
        if outcome == "ran":
            # DVC compares before it says so; that time belongs to this stage as well.
            self._show("")
            if not self._status:
                self._console.print(Text(f"{name}: running"))

    def _close(self) -> None:
        now = time.monotonic()
        if self.doing:
            self.doing.seconds = round(now - self._since, 1)
            self.done.append(self.doing)
            line = f"✓ {self.doing.name:<18} {self.doing.outcome:<20} {self.doing.seconds:>6.1f} s"
            self._console.print(Text(line, style="dim" if self.doing.outcome != "ran" else "green"))
            self.doing = None
            self._since = now

    def _show(self, what: str) -> None:
        if self._status and self.doing:
            self._status.update(Text(f"{self.doing.name}  {what}"))


def build(root: Path, console: Console, *, final: bool = False) -> list[StageRun]:
    """Bring every stage up to date.

    Args:
        root: The project's folder.
        console: Where progress goes.
        final: End with the final fit; else it is as `final_fit.enabled` in params.yaml says.

    Returns:
        What became of each stage, in the order they were looked at.

    Raises:
        UserError: A stage failed; the text says which, why, and what still answers.
    """
    get_ready(root, console)
    if _asks_for_final(Pipeline.load(root)):
        set_final(root, final)
    elif final:
        raise UserError(
            "dvc.yaml has no stage that takes `final` of data/base.yaml: see final_fit."
        )
    watcher, started = Watcher(console), time.time()
    try:
        with watcher.watching():
            for leaf in Pipeline.load(root).leaves():
                repro(root, leaf, watcher.take, single_item=False)
    except StageFailedError as failure:
        name = watcher.doing.name if watcher.doing else failure.stage
        raise UserError(_why(root, name, failure, started) + still_answers(root)) from failure
    return watcher.done


def summary(root: Path, done: list[StageRun]) -> dict[str, Any]:
    """Return what a run ends with: stages, release, closing table, who answers, paths."""
    from orchestration.releases.answering import who_answers

    release = current(root)
    report = root / "data" / "metrics" / "report.json"
    page = root / "data" / "releases" / "current" / "report.html"
    measured = read_json(report) if report.is_file() else {}
    return {
        "stages": [asdict(stage) for stage in done],
        "release": release.name if release else None,
        "final_fit": release.final_fit if release else False,
        "table": measured.get("table", []),
        "skipped": measured.get("skipped", []),
        "answered_by": who_answers(root / "data"),
        "report": str(page) if page.is_file() else None,
    }


def still_answers(root: Path) -> str:
    """Say what is used now that a run or a publication did not succeed."""
    release = current(root)
    if release:
        return f"The released {release.name} is untouched and still answers."
    return "Nothing is released yet."


def get_ready(root: Path, console: Console) -> None:
    """Let a run begin: its params are valid, and DVC can work here.

    DVC is made to work in a folder that is no git repository, or whose data/ was cleared away.

    Raises:
        UserError: A fault in params.yaml, which would stop a stage in its turn; or DVC's own.
    """
    require_valid_params(root)
    pipeline = Pipeline.load(root)
    asked = {file for stage in pipeline.stages.values() for file, _ in stage.params}
    if str(BASE_FILE) in asked and not (root / BASE_FILE).exists():
        set_base(root, None)
        console.print(f"{BASE_FILE} was missing: written again, and everything is learnt anew")
    elif _asks_for_final(pipeline):
        set_final(
            root, final_asked(root)
        )  # DVC wants the key, which earlier versions did not write
    in_git = any((folder / ".git").exists() for folder in (root, *root.parents))
    if not (root / ".dvc").is_dir():
        _dvc(root, "init", "--quiet", *([] if in_git else ["--no-scm"]))
        console.print("made .dvc: this folder was not under DVC yet")
    local = root / ".dvc" / "config.local"
    text = local.read_text(encoding="utf-8") if local.is_file() else ""
    if not in_git and "no_scm" not in (root / ".dvc" / "config").read_text() + text:
        _dvc(root, "config", "--local", "core.no_scm", "true")
        console.print(
            "no git repository here: DVC will work without one (`core.no_scm` in "
            ".dvc/config.local; remove it after `git init`)"
        )


def _asks_for_final(pipeline: Pipeline) -> bool:
    return any((str(BASE_FILE), "final") in stage.params for stage in pipeline.stages.values())


def _dvc(root: Path, *words: str) -> None:
    command = [sys.executable, "-m", "dvc", *words]
    done = subprocess.run(  # noqa: S603  the command is ours
        command, cwd=root, capture_output=True, text=True, check=False
    )
    if done.returncode:
        raise UserError(f"`dvc {' '.join(words)}` failed: {done.stderr.strip()}")


def _why(root: Path, stage: str, failure: StageFailedError, started: float) -> str:
    from assets.quality_gate.artifact import Verdict

    folder = root / "data" / "quality_gate"
    file = folder / "verdict.json"
    if stage == "quality_gate" and file.is_file() and file.stat().st_mtime >= started - 1:
        verdict = Verdict.load(folder)
        if not verdict.passed:
            found = "".join(f"\n  - {outcome.sentence()}" for outcome in verdict.failures)
            return f"the quality gate stopped the run:{found}\n"
    words = [line for line in failure.lines if not DVC_TALK.match(line)][-LAST_WORDS:]
    return f"stage {stage} failed:\n  " + "\n  ".join(words) + "\n"
