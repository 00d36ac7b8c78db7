"""Publishes the workbench as a release, after everything passed and nothing got worse."""

from __future__ import annotations

import datetime as dt
import hashlib
import json
import shutil
from collections.abc import Collection, Mapping
from dataclasses import asdict, replace
from pathlib import Path

import yaml

from assets.files import read_json
from assets.stage import load_params
from orchestration.dvc_pipeline import Pipeline
from orchestration.releases.checks import RECALL, ReleaseParams, examine
from orchestration.releases.store import (
    PublishError,
    Release,
    announce,
    as_refusal,
    current,
    finish,
    home_of,
    only_one,
    prune,
    releases,
)

# What people did, which neither serving nor growing reads: it stays in the workbench. (Pairs of
# items and the text of queries go along, since `sidmill export` writes training sets of them.)
LOGS = {"interactions": {"interactions.parquet", "queries.parquet", "rejects.parquet"}}
FINAL = "final_fit"


def publish(root: Path, force: bool = False) -> Release:
    """Copy the assets to a new release and make it the current one.

    Where the assets are those of the current release already, that one is returned.

    Args:
        root: The project's folder.
        force: Publish also what something speaks against, or what was rolled back.

    Returns:
        The release; its ``notes`` say what it was compared with, and the smallest falls that would
        have shown.

    Raises:
        PublishError: The assets are stale or do not fit together, or something else speaks against
            them: see :func:`orchestration.releases.checks.examine`.
    """
    with as_refusal(), only_one(root):
        params = load_params("release", ReleaseParams, root / "params.yaml")
        pipeline = Pipeline.load(root)
        # Taken first: what a run changes after this line fails the comparison while copying.
        hashes = {name: lock.output for name, lock in pipeline.lock().items()}
        _require_fresh(pipeline)
        sid_version = _fitting_version(root / "data")
        used = current(root)
        if used and used.assets == hashes:
            return used
        metrics = _metrics(root / "data" / "metrics")
        if used and not force:
            _require_no_return(root, used, hashes)
        # Who moved back from a release has judged it: no comparison with those.
        known = [release for release in releases(root) if used and release.number <= used.number]
        found = examine(root / "data", known, params)
        if found.problems and not force:
            raise PublishError(
                f"{'; '.join(found.problems)}. `sidmill publish --force` publishes all the same."
            )
        number = max((release.number for release in releases(root)), default=0) + 1
        name = f"r{number}-{sid_version[:8]}"
        release = Release(
            name=name,
            folder=home_of(root) / name,
            number=number,
            created=dt.datetime.now(dt.UTC).isoformat(timespec="seconds"),
            sid_version=sid_version,
            metrics=metrics,
            assets=hashes,
            params=yaml.safe_load((root / "params.yaml").read_text(encoding="utf-8")),
            comparisons=[comparison.row() for comparison in found.comparisons],
            notes=[*(comparison.sentence() for comparison in found.comparisons), *found.notes],
            accepted=found.problems,
            final_fit=_is_final(root / "data"),
        )
        release = _write(release, root / "data", pipeline)
        prune(root, params.keep)
        return release


def _require_fresh(pipeline: Pipeline) -> None:
    stale = pipeline.stale()
    if stale:
        name, reasons = next(iter(stale.items()))
        others = f" and {len(stale) - 1} more" if len(stale) > 1 else ""
        raise PublishError(
            f"{name}{others} out of date ({'; '.join(reasons)}): run `sidmill run` or `dvc repro`."
        )


def _fitting_version(data: Path) -> str:
    """Return the SID version that all assets speak of.

    Raises:
        UserError: They do not speak of the same one, or the gate did not pass.
    """
    from assets.codebooks.artifact import Codebooks
    from assets.quality_gate.artifact import Verdict
    from assets.semantic_ids.artifact import SemanticIds

    ids = SemanticIds.load(data / "semantic_ids")
    codebooks = Codebooks.load(data / "codebooks").version
    if ids.codebook_version != codebooks:
        raise PublishError(
            f"data/semantic_ids was made with codebooks {ids.codebook_version[:12]}, but "
            f"data/codebooks holds {codebooks[:12]}: run `dvc repro semantic_ids`."
        )
    Verdict.load(data / "quality_gate").require(ids.version)
    trained = read_json(data / "retriever" / "manifest.json")["sid_version"]
    if trained != ids.version:
        raise PublishError(
            f"data/retriever was trained on SID version {trained[:12]}, but data/semantic_ids "
            f"holds {ids.version[:12]}: run `dvc repro retriever`."
        )
    return ids.version


def _metrics(folder: Path) -> dict[str, float]:
    report = read_json(folder / "report.json")
    return {task: report[key] for task, key in RECALL.items() if report.get(key) is not None}


def _is_final(data: Path) -> bool:
    """Tell whether the final fit was asked for; a pipeline may have no such stage."""
    report = data / FINAL / "report.json"
    return report.is_file() and bool(read_json(report)["enabled"])


def put_final_fit(folder: Path) -> None:
    """Let what was trained on all splits take the place of what was measured.

    The stage keeps its files as the stages do whose work it did again: each takes the place of its
    namesake. Reports and figures, which tell of measuring, have none and stay.

    Args:
        folder: A copy of the assets.
    """
    for stage in [path for path in (folder / FINAL).iterdir() if path.is_dir()]:
        for file in stage.iterdir():
            file.replace(folder / stage.name / file.name)
        stage.rmdir()


def _require_no_return(root: Path, used: Release, hashes: Mapping[str, str]) -> None:
    """Refuse the content of a newer release that somebody has moved back from."""
    for release in releases(root):
        if release.assets == hashes and release.number > used.number:
            raise PublishError(
                f"these assets are release {release.name}, which was rolled back to {used.name}; "
                f"`sidmill rollback {release.name}` makes it current again."
            )


def _write(release: Release, data: Path, pipeline: Pipeline) -> Release:
    from orchestration.releases.page import write_page

    partial = release.folder.with_name(f".{release.name}.partial")
    left_out: dict[str, list[str]] = {}
    for name, recorded in release.assets.items():
        found, left = _copy(data / name, partial / name, LOGS.get(name, set()))
        if found != recorded:
            raise PublishError(
                f"data/{name} is not what dvc.lock recorded, perhaps because a run is going on: "
                f"run `dvc repro {name}` and publish then."
            )
        left_out |= {name: left} if left else {}
    if release.final_fit:
        put_final_fit(partial)
    release = replace(release, left_out=left_out)
    write_page(partial, release, pipeline).chmod(0o444)
    entry = asdict(release)
    del entry["folder"]
    # Not `write_json`: what is recorded here is kept to the last digit.
    file = partial / "release.json"
    file.write_text(json.dumps(entry, indent=1, default=str) + "\n", encoding="utf-8")
    file.chmod(0o444)
    announce(release.folder.parent, release.name)
    partial.rename(release.folder)
    finish(release.folder.parent)
    return release


def _copy(source: Path, target: Path, without: Collection[str]) -> tuple[str, list[str]]:
    """Copy a folder, files read-only.

    Args:
        source: What to copy.
        target: Where to.
        without: Files that stay where they are.

    Returns:
        The hash of the whole as DVC defines it, of the copies where there are copies; and the
        files that were left out.
    """
    entries, left = [], []
    target.mkdir(parents=True, exist_ok=True)
    for file in (path for path in source.rglob("*") if path.is_file()):
        name = file.relative_to(source)
        copy = target / name
        if name.as_posix() in without:
            left.append(name.as_posix())
            copy = file
        else:
            copy.parent.mkdir(parents=True, exist_ok=True)
            shutil.copyfile(file, copy)
            copy.chmod(0o444)
        with copy.open("rb") as stream:
            digest = hashlib.file_digest(stream, "md5").hexdigest()
        entries.append({"md5": digest, "relpath": name.as_posix()})
    entries.sort(key=lambda entry: entry["relpath"])
    listing = json.dumps(entries, sort_keys=True).encode()
    digest = hashlib.md5(listing, usedforsecurity=False).hexdigest() + ".dir"
    return digest, sorted(left)
