"""About how long a run takes and how much memory it needs, before it is started.

Each stage takes some seconds whatever the data, and more with the data's sizes. The rates are
fitted by hand, to within a factor of two, to three whole runs with the default params on 2 cores of
an AMD EPYC without GPU: the packaged data set (9,061 items of 394,860 characters, 671 users, 99,997
interactions), the Beauty 5-core benchmark (12,094; 1,506,038; 22,363; 198,371) and the Vaswani
documents (11,429; 2,479,572; none; none); those of `retriever`, `rankers` and `answers` to the
first two on an Intel Xeon, in float32.
Seconds and memory of every run stand in `data/logs/stages.jsonl`: read them there again when a
stage's work changes.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

MEASURED = {"items": 12_000, "interactions": 200_000}  # the largest data the rates were seen on


@dataclass(frozen=True)
class Rates:
    """What one stage takes: seconds at least, and microseconds for each of what there is."""

    seconds: float
    items: float = 0
    characters: float = 0
    interactions: float = 0
    users: float = 0

    def of(self, sizes: Mapping[str, float]) -> float:
        """Return the seconds for some sizes."""
        return self.seconds + sum(
            getattr(self, name) * sizes[name] * 1e-6
            for name in ("items", "characters", "interactions", "users")
        )


STAGES = {
    "interactions": Rates(0.8, items=5, interactions=10),
    "synthetic_queries": Rates(0.5, items=200, characters=2),
    "bi_encoder": Rates(40, items=7500, characters=60),
    "embeddings": Rates(1, items=60, characters=0.2),
    "codebooks": Rates(0.5, items=200),
    "semantic_ids": Rates(0.2, items=20),
    "collision_report": Rates(1, items=200, users=100),
    "quality_gate": Rates(3),
    "retriever": Rates(20, items=15_000, interactions=2500),
    "rankers": Rates(5, items=4000, interactions=750),
    "answers": Rates(40, items=5000, users=2000),
    "metrics": Rates(5, items=2000, users=12_000),
    "final_fit": Rates(0.3),  # off, as by default
}
MEMORY = Rates(1200, items=10_000, interactions=2000, users=50_000)  # MB, and bytes for each


def estimate(sizes: Mapping[str, Any], *, final: bool = False) -> dict[str, Any]:
    """Estimate a run on this data, everything done anew, on 2 cores.

    Args:
        sizes: items, characters (of documents), interactions, users.
        final: Whether the final fit is on, which does the work of two stages again.

    Returns:
        ``seconds``, ``memory_mb`` (peak of one process), ``stages`` (seconds of each) and
        ``extrapolated``: whether the data is over ten times what was measured.
    """
    asked = {**sizes, "users": min(sizes["users"], 50_000)}  # `metrics` asks no more by default
    stages = {name: rates.of(asked) for name, rates in STAGES.items()}
    if final:
        stages["final_fit"] += stages["retriever"] + stages["rankers"]
    return {
        "seconds": round(sum(stages.values())),
        "memory_mb": round(MEMORY.of(asked)),
        "stages": {name: round(seconds, 1) for name, seconds in stages.items()},
        "extrapolated": any(sizes[name] > 10 * most for name, most in MEASURED.items()),
    }
