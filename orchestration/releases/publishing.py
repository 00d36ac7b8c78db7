"""Publishes the workbench as a release, after everything passed and nothing got worse."""

from __future__ import annotations

import datetime as dt
import hashlib
import json
import shutil
from collections.abc import Mapping
from dataclasses import asdict
from pathlib import Path

import yaml
from pydantic import BaseModel, ConfigDict, Field

from assets.files import read_json
from assets.stage import load_params
from orchestration.dvc_pipeline import Pipeline
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

RECALL = {
    "search": "search.retriever.recall@10",
    "re-ranked search": "search.retriever_reranked.recall@10",
    "recommendation": "recommendation.retriever.recall@10",
}


class ReleaseParams(BaseModel):
    """When a release is refused, and how many are kept."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    max_recall_fall: float = Field(
        0.01, ge=0, description="Most by which recall@10 of either task may fall, absolute."
    )
    min_shared_items: float = Field(
        0.5,
        ge=0,
        le=1,
        description="Least share of the released items (same id, same title) that the new "
        "catalogue must hold for the two to be compared at all.",
    )
    keep: int = Field(
        5,
        ge=1,
        description="Newest releases kept; the current one and the one to grow from always are.",
    )


def publish(root: Path, force: bool = False) -> Release:
    """Copy the assets to a new release and make it the current one.

    Where the assets are those of the current release already, that one is returned.

    Args:
        root: The project's folder.
        force: Publish also what is worse than the current release, or was rolled back.

    Raises:
        PublishError: The assets are stale, do not fit together or are worse than the current
            release.
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
            _require_no_worse(root / "data", metrics, hashes, used, params)
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
        )
        _write(release, root / "data", pipeline)
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


def _require_no_return(root: Path, used: Release, hashes: Mapping[str, str]) -> None:
    """Refuse the content of a newer release that somebody has moved back from."""
    for release in releases(root):
        if release.assets == hashes and release.number > used.number:
            raise PublishError(
                f"these assets are release {release.name}, which was rolled back to {used.name}; "
                f"`sidmill rollback {release.name}` makes it current again."
            )


def _require_no_worse(
    data: Path,
    metrics: Mapping[str, float],
    hashes: Mapping[str, str],
    used: Release,
    params: ReleaseParams,
) -> None:
    if _shared_items(used.folder, data) < params.min_shared_items:
        return
    problems = []
    for task, before in used.metrics.items():
        now = metrics.get(task)
        if now is None:
            problems.append(f"{task} is not measured any more (recall@10 was {before:.4f})")
        elif before - now > params.max_recall_fall:
            problems.append(
                f"{task} recall@10 falls from {before:.4f} to {now:.4f}, by more than the "
                f"{params.max_recall_fall:g} of `release.max_recall_fall`"
            )
    if not problems:
        return
    asked = ("interactions", "synthetic_queries")
    changed = any(used.assets.get(name) != hashes.get(name) for name in asked)
    caution = " The test data changed too, so part of it may be theirs." if changed else ""
    raise PublishError(
        f"worse than the current release {used.name}: {'; '.join(problems)}.{caution} "
        "`sidmill publish --force` publishes all the same."
    )


def _shared_items(old: Path, new: Path) -> float:
    """Return the share of the old catalogue's items that the new one holds under the same title."""
    from assets.interactions.artifact import Interactions

    def titles(folder: Path) -> set[tuple[str, str | None]]:
        items = Interactions.load(folder / "interactions").items
        return set(zip(items["item_id"], items["title"].fillna(""), strict=True))

    before = titles(old)
    return len(before & titles(new)) / max(len(before), 1)


def _write(release: Release, data: Path, pipeline: Pipeline) -> None:
    from orchestration.releases.page import write_page

    partial = release.folder.with_name(f".{release.name}.partial")
    for name, recorded in release.assets.items():
        if _copy(data / name, partial / name) != recorded:
            raise PublishError(
                f"data/{name} is not what dvc.lock recorded, perhaps because a run is going on: "
                f"run `dvc repro {name}` and publish then."
            )
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


def _copy(source: Path, target: Path) -> str:
    """Copy a folder, files read-only, and return the copy's hash as DVC defines it."""
    entries = []
    for file in (path for path in source.rglob("*") if path.is_file()):
        name = file.relative_to(source)
        copy = target / name
        copy.parent.mkdir(parents=True, exist_ok=True)
        shutil.copyfile(file, copy)
        copy.chmod(0o444)
        with copy.open("rb") as stream:
            digest = hashlib.file_digest(stream, "md5").hexdigest()
        entries.append({"md5": digest, "relpath": name.as_posix()})
    entries.sort(key=lambda entry: entry["relpath"])
    listing = json.dumps(entries, sort_keys=True).encode()
    return hashlib.md5(listing, usedforsecurity=False).hexdigest() + ".dir"
