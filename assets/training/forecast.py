"""How long a training will take, said once its first steps were timed."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Sequence
from statistics import median

from tqdm import tqdm

from assets.stage import progress

TIMED = 5  # steps that are timed after the first, which prepares kernels and memory
ENOUGH = 10.0  # seconds of timed steps after which fewer will do
BRIEF = 10.0  # seconds; a training that is over before is not announced
LONG = 3600.0  # seconds; a longer training is announced with what would shorten it


def steps_foreseen(
    steps: range,
    what: str,
    shorter: Sequence[str],
    *,
    unit: str = "steps",
    clock: Callable[[], float] = time.monotonic,
) -> Iterator[int]:
    """Yield steps, show progress, and say early on how long all of them will take.

    The steps that are timed are steps like any other: they count, and nothing is computed twice.
    What is done between steps now and then, such as a look at validation, is in the time left that
    progress shows, but not in the forecast.

    Args:
        steps: Numbers of the steps that are to be done.
        what: What is being done, such as "training".
        shorter: What would make it shorter, such as "fewer `retriever.steps` (now 800)".
        unit: What a step is called; a pass over all data is better called an epoch.
        clock: Seconds.
    """
    forecast = Forecast(what, len(steps), shorter, unit)
    for step in progress(steps, what):
        started = clock()
        yield step
        if line := forecast.after(clock() - started):
            with tqdm.external_write_mode():
                print(line, flush=True)


class Forecast:
    """Foresees the time of many steps from that of a few."""

    def __init__(self, what: str, steps: int, shorter: Sequence[str], unit: str = "steps") -> None:
        """Start before the first step; see :func:`steps_foreseen`."""
        self._what = what
        self._steps = steps
        self._shorter = shorter
        self._unit = unit
        self._first = True
        self._timed: list[float] = []
        self._said = False

    def after(self, seconds: float) -> str | None:
        """Take the time of one more step; return the forecast when it can first be made."""
        if self._first or self._said:
            self._first = False
            return None
        self._timed.append(seconds)
        if len(self._timed) < TIMED and sum(self._timed) < ENOUGH:
            return None
        self._said = True
        each = median(self._timed)
        total = each * self._steps
        if total < BRIEF:
            return None
        line = f"{self._what} takes {duration(total)} ({self._steps} {self._unit} of {each:.2g} s)"
        if total > LONG:
            line += f"; what makes it shorter: {', '.join(self._shorter)}"
        return line


def duration(seconds: float) -> str:
    """Say a span of time as people do: about 40 s, about 6 min, about 4.4 h."""
    if seconds < 90:
        return f"about {seconds:.0f} s"
    if seconds < 90 * 60:
        return f"about {seconds / 60:.0f} min"
    return f"about {seconds / 3600:.1f} h"
