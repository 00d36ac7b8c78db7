"""One HTML page about everything that led to a release and what the release can do.

It is made of what lies in the release's folder and needs nothing beside it: figures are inlined,
other drawings are SVG in the colours of the page. A part whose asset is missing is left out with a
line that says so.
"""

from __future__ import annotations

import base64
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

import pandas as pd
import yaml

from assets.collision_report.artifact import CollisionReport
from assets.files import read_json
from assets.interactions.artifact import Interactions
from assets.quality_gate.artifact import Verdict
from assets.semantic_ids.artifact import SemanticIds
from assets.stage import UserError
from orchestration.dvc_pipeline import Pipeline
from orchestration.releases.answering import common_labels, who_answers
from orchestration.releases.comparing import WHOLE
from orchestration.releases.examples import examples
from orchestration.releases.lineage import draw
from orchestration.releases.store import FINAL_FIT, Release
from orchestration.releases.templates import environment

NAME = "report.html"
PREFIXES, TITLES, SAMPLES = 8, 5, 12
BEST_PARTS = 3
CUT = 10
METHODS = {
    "answers": "what is answered",
    "item_head": "item head",
    "bm25": "BM25",
    "item_knn": "item KNN",
    "ease": "EASE",
    "slit": "SLIT",
    "sasrec": "SASRec",
}
TASKS = {"query": "search", "pair": "recommendation"}


def write_page(folder: Path, release: Release, pipeline: Pipeline) -> Path:
    """Write ``report.html`` into the folder of a release.

    Args:
        folder: Where the assets of the release lie.
        release: What is told of it; its own folder may not exist yet.
        pipeline: What the lineage is drawn from.

    Returns:
        The file.
    """
    parts: dict[str, Any] = {}
    missing: dict[str, str] = {}
    for name, collect in PARTS.items():
        try:
            parts[name] = collect(folder)
        except (UserError, OSError) as error:
            missing[name] = str(error).replace(f"{folder}/", "")
        except (KeyError, ValueError) as error:  # a page is no reason to refuse a release
            missing[name] = f"the files are not as they should be: {error!r}"
    page = environment(Path(__file__).parent).get_template("report.html.j2")
    text = page.render(
        release=release,
        params=yaml.safe_dump(dict(release.params), sort_keys=False, allow_unicode=True),
        lineage=draw(pipeline),
        final_fit=FINAL_FIT if release.final_fit else None,
        missing=missing,
        **{name: parts.get(name) for name in PARTS},
    )
    (folder / NAME).write_text(text, encoding="utf-8")
    return folder / NAME


def _report(folder: Path, asset: str) -> dict[str, Any]:
    return dict(read_json(folder / asset / "report.json"))


def _figure(file: Path) -> str | None:
    if not file.is_file():
        return None
    return "data:image/png;base64," + base64.b64encode(file.read_bytes()).decode()


def _data(folder: Path) -> dict[str, Any]:
    figure = _figure(folder / "interactions" / "interactions.png")
    return {"report": _report(folder, "interactions"), "figure": figure}


def _queries(folder: Path) -> dict[str, Any]:
    """Return the report, its counts with a column per split, and samples of every kind in turn."""
    report = _report(folder, "synthetic_queries")
    kinds: dict[str, dict[str, int]] = {}
    for row in report.get("counts", []):
        kinds.setdefault(row["kind"], {})[row["split"]] = row["queries"]
    by_kind: dict[str, list[dict[str, Any]]] = {}
    for row in report.get("samples", []):
        by_kind.setdefault(row.get("kind", ""), []).append(row)
    each = max(1, SAMPLES // max(len(by_kind), 1))
    samples = [row for rows in by_kind.values() for row in rows[:each]]
    return {"report": report, "kinds": kinds, "samples": samples}


def _encoder(folder: Path) -> dict[str, Any]:
    """Return what the encoder is, its recalls beside its base's, and their course over training."""
    report = _report(folder, "bi_encoder")
    rows: list[dict[str, Any]] = []
    for task, title in TASKS.items():
        own = _interval(report, f"{task}_recall@{CUT}")
        if own:
            base = _interval(report, f"content_{task}_recall@{CUT}")
            gain = _interval(report, f"{task}_gain@{CUT}")
            top = max(one["high"] for one in (own, base) if one) or 1.0
            rows.append({"task": title, "own": own, "base": base, "gain": gain, "top": top})
    return {
        "manifest": read_json(folder / "bi_encoder" / "manifest.json"),
        "report": report,
        "rows": rows,
        "curves": _curves(folder / "bi_encoder" / "training.csv"),
    }


def _interval(report: Mapping[str, Any], name: str) -> dict[str, float] | None:
    if report.get(name) is None:
        return None
    return {"mean": report[name], "low": report[f"{name}_low"], "high": report[f"{name}_high"]}


def _curves(file: Path) -> list[dict[str, Any]]:
    """Return validation recall over the steps of training, as points of a 300 × 110 drawing."""
    if not file.is_file():
        return []
    table, curves = pd.read_csv(file), []
    for task, title in TASKS.items():
        name = f"{task}_recall@{CUT}"
        if name not in table or len(table) < 2:
            continue
        steps, values = table["step"], table[name]
        top = float(values.max()) * 1.15 or 1.0
        x = 8 + 284 * (steps - steps.iloc[0]) / max(steps.iloc[-1] - steps.iloc[0], 1)
        y = 100 - 90 * values / top
        curves.append(
            {
                "task": title,
                "points": " ".join(f"{a:.1f},{b:.1f}" for a, b in zip(x, y, strict=True)),
                "start": float(values.iloc[0]),
                "start_y": float(y.iloc[0]),
                "best": float(values.max()),
                "best_x": float(x[values.idxmax()]),
                "best_y": float(y.min()),
                "last_step": int(steps.iloc[-1]),
            }
        )
    return curves


def _ids(folder: Path) -> dict[str, Any]:
    """Return the collision report, its map, and the largest codes of the first level."""
    ids = SemanticIds.load(folder / "semantic_ids")
    data = Interactions.load(folder / "interactions")
    items = data.items.set_index("item_id").reindex(ids.item_ids)
    popularity = data.popularity().reindex(ids.item_ids).to_numpy()
    table = pd.DataFrame(
        {
            "code": ids.codes[:, 0],
            "title": items["title"].fillna(items["text"]).to_numpy(),
            "category": items["category"].to_numpy(),
            "popularity": popularity,
        }
    )
    prefixes = []
    for code, count in table["code"].value_counts(sort=True).head(PREFIXES).items():
        here = table[table["code"] == code]
        known = here.sort_values("popularity", ascending=False, kind="stable")["title"]
        prefixes.append(
            {
                "code": code,
                "items": int(count),
                "labels": common_labels(here["category"]),
                "titles": known.head(TITLES).tolist(),
            }
        )
    return {
        "report": CollisionReport.load(folder / "collision_report").numbers,
        "map": _figure(folder / "collision_report" / "first_level_map.png"),
        "prefixes": prefixes,
    }


def _gate(folder: Path) -> Verdict:
    return Verdict.load(folder / "quality_gate")


def _results(folder: Path) -> dict[str, Any]:
    """Return of each task the table with the scale of its intervals, differences, and slices."""
    report = _report(folder, "metrics")
    tasks: dict[str, dict[str, Any]] = {}
    for row in report.get("table", []):
        task = tasks.setdefault(row["task"], {"rows": [], "differences": [], "top": 0.0})
        task["rows"].append(_named(row))
        task["top"] = max(task["top"], row["high"] or 0.0)
    for row in report.get("differences", []):
        tasks[row["task"]]["differences"].append(_named(row))
    for name, found in tasks.items():
        found["slices"] = _slices([r for r in report.get("slices", []) if r["task"] == name])
    return {
        "tasks": tasks,
        "skipped": report.get("skipped", []),
        "report": report,
        "answered_by": who_answers(folder),
    }


def _slices(rows: Sequence[Mapping[str, Any]]) -> dict[str, Any]:
    """Return recall@10 by slice of the whole and its best parts, and how many questions each has.

    The best are those that find most answers of all slices together.
    """
    found: dict[str, float] = {}
    for row in rows:
        share = row["recall@10"] * row["questions"]
        found[row["method"]] = found.get(row["method"], 0.0) + share
    parts = sorted((name for name in found if name != WHOLE), key=lambda name: -found[name])
    shown = [name for name in (WHOLE, *parts[:BEST_PARTS]) if name in found]
    return {
        "questions": {row["group"]: row["questions"] for row in rows},
        "rows": [
            _named({"method": name})
            | {row["group"]: row["recall@10"] for row in rows if row["method"] == name}
            for name in shown
        ],
    }


def _named(row: Mapping[str, Any]) -> dict[str, Any]:
    """Return a row with its methods as people call them."""
    names = {key: row[key] for key in ("method", "baseline") if key in row}
    shown = {key: METHODS.get(name, name.replace("_", " ")) for key, name in names.items()}
    return {**row, **shown, "whole": row["method"] == WHOLE}


PARTS: dict[str, Callable[[Path], Any]] = {
    "data": _data,
    "queries": _queries,
    "encoder": _encoder,
    "ids": _ids,
    "gate": _gate,
    "results": _results,
    "examples": examples,
}
