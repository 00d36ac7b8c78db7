"""Train what is released once more, on all splits: ``python -m assets.final_fit``."""

from __future__ import annotations

from assets.final_fit.params import FinalFitParams
from assets.stage import Run, final_asked, run_stage


def main(run: Run[FinalFitParams]) -> None:
    """Train again where that was asked for."""
    if run.params.enabled or final_asked():
        # What it needs takes seconds to import, and most runs go without.
        from assets.final_fit.again import train_again

        run.report({"enabled": True, **train_again(run)})
    else:
        run.say("off: what was measured is what is released")
        run.report({"enabled": False})


if __name__ == "__main__":
    run_stage("final_fit", FinalFitParams, main)
