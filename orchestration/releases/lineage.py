"""The pipeline as a drawing: one row per stage, top to bottom, an arc for each thing handed over.

Here is the geometry alone; the page's template draws it.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from orchestration.dvc_pipeline import Pipeline

ROW = 46  # units of the drawing
LEFT = 132  # where the dots stand; arcs lie to the left of them
WIDTH = 380


@dataclass(frozen=True)
class Node:
    """A stage's place.

    Attributes:
        name: The stage.
        kinds: What it is built with.
        desc: What its asset is.
        group: Number of its group, from 0, which gives the colour.
        y: Its row's middle.
    """

    name: str
    kinds: str
    desc: str
    group: int
    y: float


@dataclass(frozen=True)
class Arc:
    """What one stage hands to another.

    Attributes:
        path: An SVG path.
        direct: Whether no way round through other stages joins the two.
    """

    path: str
    direct: bool


@dataclass(frozen=True)
class Lineage:
    """The whole drawing.

    Attributes:
        nodes: One per stage, each below those it needs, and the release last.
        arcs: From upper to lower rows, the direct ones last, so that they lie on top.
        groups: Names of the groups in the order of their numbers.
        width: Of the drawing.
        height: Of the drawing.
    """

    nodes: list[Node]
    arcs: list[Arc]
    groups: list[str]
    width: int
    height: int


def draw(pipeline: Pipeline) -> Lineage:
    """Lay out a pipeline and the release that is made of it."""
    needs = {name: set(stage.upstream) for name, stage in pipeline.stages.items()}
    needs["release"] = set(pipeline.leaves())
    stages = list(pipeline.stages.values())
    groups = list(dict.fromkeys([*(stage.group for stage in stages), "release"]))
    middle = {name: ROW * (place + 0.5) for place, name in enumerate(needs)}
    nodes = [
        Node(s.name, ", ".join(s.kinds), s.desc, groups.index(s.group), middle[s.name])
        for s in stages
    ]
    last = "A copy of every asset, published once all of it fits together."
    nodes.append(Node("release", "", last, groups.index("release"), middle["release"]))
    arcs = [
        Arc(_path(middle[upper], middle[lower]), upper not in _further(lower, needs))
        for lower in needs
        for upper in needs[lower]
    ]
    return Lineage(
        nodes=nodes,
        arcs=sorted(arcs, key=lambda arc: (arc.direct, arc.path)),
        groups=groups,
        width=WIDTH,
        height=ROW * len(nodes),
    )


def _further(name: str, needs: Mapping[str, set[str]]) -> set[str]:
    """Return all that the stages just above a stage need, however far up."""
    found: set[str] = set()
    waiting = [above for upper in needs[name] for above in needs[upper]]
    while waiting:
        upper = waiting.pop()
        if upper not in found:
            found.add(upper)
            waiting += needs[upper]
    return found


def _path(top: float, bottom: float) -> str:
    bend = LEFT - 10 - (LEFT - 16) * min(1.0, (bottom - top) / ROW / 9) ** 0.6
    return f"M{LEFT} {top:g}C{bend:.0f} {top:g} {bend:.0f} {bottom:g} {LEFT} {bottom:g}"
