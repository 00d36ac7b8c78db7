"""Runs what a study lacks: DVC experiments, some at a time, each failure a row and no more.

What DVC does not record lies in ``data/studies/<name>/experiments.json`` (see ``studies``); what
each experiment printed, in ``logs/`` beside it.
"""

from __future__ import annotations

import hashlib
import json
import os
import time
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Any

from assets.files import write_json
from orchestration.dvc_pipeline import Pipeline
from orchestration.studies.experiments import (
    Trial,
    references,
    remove,
    require_repository,
    run_command,
)
from orchestration.studies.study import Job, Record, Study, home, jobs, load_study, records

PAUSE = 0.2  # seconds between two looks at what is running


def run_study(
    root: Path,
    name: str,
    say: Callable[[str], None],
    *,
    side_by_side: int = 1,
    again: bool = False,
) -> None:
    """Run what a study lacks.

    Args:
        root: The project's folder.
        name: The study.
        say: Takes a line about each step.
        side_by_side: Experiments at a time; the machine's threads are shared among them.
        again: Try also what failed before with the same code, params and files.

    Raises:
        UserError: There is no such study, or the project is not ready for experiments. A variant
            that fails raises nothing.
    """
    pipeline = Pipeline.load(root)
    study = load_study(root, name, pipeline)
    require_repository(pipeline)
    _Run(pipeline, study, name, say, side_by_side).go(again)


class _Run:
    """One run of a study."""

    def __init__(
        self,
        pipeline: Pipeline,
        study: Study,
        name: str,
        say: Callable[[str], None],
        side_by_side: int,
    ) -> None:
        self._pipeline, self._study, self._name, self._say = pipeline, study, name, say
        self._side_by_side = side_by_side
        self._threads = max(1, (os.cpu_count() or 1) // side_by_side) if side_by_side > 1 else None
        self._records = records(pipeline.root, name)
        self._needed = _needed(pipeline, study.last_stage)
        code = [pipeline.code_version(pipeline.stages[stage]) for stage in self._needed]
        self._digest = f"{code} {_incoming(pipeline.root)}"
        self._running: dict[str, tuple[Job, Trial]] = {}

    def go(self, again: bool) -> None:
        every = jobs(self._study, self._name, self._pipeline)
        known = references(self._pipeline.root)
        open_jobs = [job for job in every if not self._is_there(job, known, again)]
        self._say(
            f"{len(every)} experiments, {len(every) - len(open_jobs)} of them there already, "
            f"{len(open_jobs)} to run"
        )
        made: set[Any] = set()
        total, begun = len(open_jobs), time.monotonic()
        try:
            while open_jobs or self._running:
                for job in self._startable(open_jobs, made):
                    open_jobs.remove(job)
                    if job.name in known:
                        remove(self._pipeline.root, job.name)
                    self._start(job, [self._study.last_stage])
                for job, trial in [pair for pair in self._running.values() if pair[1].ended()]:
                    del self._running[job.name]
                    if self._finish(job, trial):
                        made.add(self._shared(job))
                        open_jobs = self._doomed(job, open_jobs)
                        left = len(open_jobs) + len(self._running)
                        spent = time.monotonic() - begun
                        self._say(f"  {total - left} of {total} after {spent:.0f} s")
                time.sleep(PAUSE)
        finally:
            for _, trial in self._running.values():
                trial.stop()

    def _is_there(self, job: Job, known: Mapping[str, tuple[str, str]], again: bool) -> bool:
        record = self._records.get(job.name)
        if record is None or record.digest != self._digest_of(job):
            return False
        if record.rev and known.get(job.name, ("",))[0] != record.rev:
            return False
        return not (again and record.failed)

    def _digest_of(self, job: Job) -> str:
        text = self._digest + json.dumps(job.overrides)
        return hashlib.sha256(text.encode()).hexdigest()[:16]

    def _shared(self, job: Job) -> Any:
        """Return what a job shares with others: its overrides but for its last varied stage."""
        varied = [s for s in self._needed if any(k.split(".")[0] == s for k in job.overrides)]
        return job.up_to(varied[:-1])

    def _startable(self, open_jobs: list[Job], made: set[Any]) -> Iterator[Job]:
        """Yield jobs for the free places, none that would make what another is just making."""
        busy = {self._shared(job) for job, _ in self._running.values()} - made
        free = self._side_by_side - len(self._running)
        for job in list(open_jobs):
            if free and self._shared(job) not in busy:
                free -= 1
                busy |= {self._shared(job)} - made
                yield job

    def _start(self, job: Job, stages: list[str]) -> None:
        root = self._pipeline.root
        command = run_command(root, job.name, stages, job.overrides)
        log = home(root, self._name) / "logs" / f"{job.name}.log"
        self._running[job.name] = job, Trial(command, root, log, self._threads)

    def _finish(self, job: Job, trial: Trial) -> bool:
        """Write down what came of a trial; False if what preceded its failure is run to be kept."""
        record = self._records.get(job.name)
        if record is None or not record.failed or record.digest != self._digest_of(job):
            record = Record(self._digest_of(job))
        self._records[job.name] = record
        record.seconds |= trial.seconds()
        failure = trial.failure()
        if failure and not record.failed:
            stage, record.reason = failure
            record.failed = stage or self._study.last_stage
            self._say(f"{job.name}: {record.failed} failed: {record.reason}")
            before = self._before(job, stage)
            if before:
                self._start(job, before)
                return False
        elif not failure:
            record.rev = references(self._pipeline.root).get(job.name, ("",))[0]
            if not record.failed:
                self._say(f"{job.name}: done")
        self._save()
        return True

    def _before(self, job: Job, stage: str) -> list[str]:
        """Return the stages to keep of an experiment that failed at one, if any was varied."""
        if stage not in self._pipeline.stages:
            return []
        before = self._needed[: self._needed.index(stage)]
        return list(self._pipeline.stages[stage].upstream) if job.up_to(before) else []

    def _doomed(self, failed: Job, open_jobs: list[Job]) -> list[Job]:
        """Leave out jobs that would fail as one did, since they are the same up to that stage."""
        record = self._records[failed.name]
        if not record.failed or record.failed == self._study.last_stage:
            return open_jobs
        same = self._needed[: self._needed.index(record.failed) + 1]
        left = []
        for job in open_jobs:
            if job.up_to(same) != failed.up_to(same):
                left.append(job)
                continue
            self._records[job.name] = Record(
                self._digest_of(job), failed=record.failed, reason=record.reason
            )
            self._say(f"{job.name}: {record.failed} fails as in {failed.name}")
        self._save()
        return left

    def _save(self) -> None:
        folder = home(self._pipeline.root, self._name)
        folder.mkdir(parents=True, exist_ok=True)
        content = {name: vars(record) for name, record in sorted(self._records.items())}
        partial = folder / ".experiments.json"
        write_json(partial, content)
        partial.rename(folder / "experiments.json")


def _needed(pipeline: Pipeline, last: str) -> list[str]:
    """Return a stage and all it needs, in the order of the pipeline."""
    wanted = {last}
    for name in reversed(list(pipeline.stages)):
        if name in wanted:
            wanted |= set(pipeline.stages[name].upstream)
    return [name for name in pipeline.stages if name in wanted]


def _incoming(root: Path) -> str:
    """Return names, sizes and times of the files that people dropped."""
    files = sorted(path for path in (root / "data" / "incoming").rglob("*") if path.is_file())
    stats = [(str(file.relative_to(root)), file.stat()) for file in files]
    listing = [(name, stat.st_size, stat.st_mtime_ns) for name, stat in stats]
    return hashlib.sha256(json.dumps(listing).encode()).hexdigest()
