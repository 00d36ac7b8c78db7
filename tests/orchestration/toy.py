"""A stage of the toy pipeline: the real contract, a real verdict, work of a moment.

python toy.py <stage>
"""

from __future__ import annotations

import sys
import time
from pathlib import Path

import matplotlib as mpl
from pydantic import Field

from assets.quality_gate.artifact import Outcome, Verdict
from assets.quality_gate.expectations import EXPECTATIONS
from assets.stage import NegativeResultError, Params, Run, run_stage

mpl.use("Agg")

from matplotlib import pyplot as plt


class ToyParams(Params):
    """Knobs of a toy stage."""

    times: int = Field(1, description="How much it writes.")
    most: int = Field(10, description="How many lines pass the gate.")


def embeddings(run: Run[ToyParams]) -> None:
    """Write as many lines as it is told, and everything a report can hold."""
    (run.folder / "lines.txt").write_text("line\n" * run.params.times)
    run.report(
        {"lines": run.params.times, "share": 0.5, "table": [{"level": "a|b", "used": 0.25}]}
        | {"none": None, "word": "yes"}
    )
    plt.figure(figsize=(3, 2)).savefig(run.folder / "usage.png", metadata={"Software": None})


def codebooks(run: Run[ToyParams]) -> None:
    """Repeat the lines; hang half-way, once, if a file `hang` says so, until `hung` is gone."""
    if Path("hang").exists():
        Path("hang").rename("hung")
        print("codebooks: half-way", flush=True)
        while Path("hung").exists():
            time.sleep(0.02)
    text = (run.input("embeddings") / "lines.txt").read_text() * run.params.times
    (run.folder / "lines.txt").write_text(text)
    (run.folder / "report.html").write_text("<p>lines")
    run.report({"lines": text.count("line")})


def quality_gate(run: Run[ToyParams]) -> None:
    """Allow so many lines at most; wish for three."""
    lines, most = (run.input("codebooks") / "lines.txt").read_text().count("line"), run.params.most
    first, second, *rest = EXPECTATIONS
    outcomes = [
        Outcome(first.name, "", lines, None, most, "critical", True, lines <= most),
        Outcome(second.name, "", lines, 3, None, "warning", True, lines >= 3),
        *(Outcome(e.name, "", None, None, 1, "critical", False, True) for e in rest),
    ]
    verdict = Verdict("abc", outcomes)
    verdict.save(run.folder)
    run.report({"passed": verdict.passed})
    if not verdict.passed:
        raise NegativeResultError(verdict.failures[0].sentence())


def retriever(run: Run[ToyParams]) -> None:
    """Stand after the gate."""
    Verdict.load(run.input("quality_gate")).require("abc")
    run.report({"ok": True})


if __name__ == "__main__":
    run_stage(sys.argv[1], ToyParams, globals()[sys.argv[1]])
