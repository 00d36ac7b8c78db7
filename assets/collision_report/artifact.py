"""What the stage ``collision_report`` hands over."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Self

from pydantic import BaseModel, ConfigDict, ValidationError

from assets.files import read_json
from assets.stage import UserError

Table = list[dict[str, int | float | None]]
Counts = list[dict[str, int]]

# In report.json the name of such a number ends with its cut-off, which this other number holds.
CUT_OFFS = {
    "neighbour_overlap": "overlap_neighbours",
    "embedding_hitrate_raw": "neighbours",
    "embedding_hitrate_reconstructed": "neighbours",
    "embedding_recall_i2i": "neighbours",
}
SHOWN = 3  # faults that are told in words


class FaultsError(ValueError):
    """Content that is no report.

    Attributes:
        faults: One line for each number that is missing, unknown or of another kind.
    """

    def __init__(self, faults: list[str]) -> None:
        self.faults = faults
        super().__init__("; ".join(faults))


class ReportError(UserError):
    """The report lacks a number, or holds one that is unknown or of another kind.

    Attributes:
        faults: One line for each.
    """

    def __init__(self, file: Path, faults: list[str]) -> None:
        self.faults = faults
        more = f" and {len(faults) - SHOWN} more" if len(faults) > SHOWN else ""
        super().__init__(
            f"{file}: {', '.join(faults[:SHOWN])}{more}: run `dvc repro collision_report`."
        )


class Numbers(BaseModel):
    """What the IDs are like; None only where the data cannot tell.

    Attributes:
        sid_version: The IDs that it is about.
        policy: What resolved their collisions.
        quantizer: What made their codes.
        bucket_limit: Most items under one ID that the policy promises; None: it promises nothing.
        items: Items with an ID.
        unplaced_items: Items of the catalogue without one.
        conflict_rate_raw: (items - distinct code tuples) / items, before the policy.
        share_in_conflict_raw: Share of the items that share all codes, before the policy.
        largest_bucket_raw: Items under the fullest code tuple, before the policy.
        conflict_rate: (items - distinct IDs) / items.
        share_in_conflict: Share of the items that share their ID.
        largest_bucket: Items under the fullest ID.
        index_share: Share of what tells items apart that an appended index carries; None: there is
            none.
        moved_items: Items that the policy moved.
        moved_share: Their share.
        mse_raw: Mean squared distance to the vectors rebuilt from the codes, before the policy.
        mse: The same after.
        variance_explained: Share of the vectors' variance that the codes rebuild; None: all vectors
            are equal.
        mse_added_by_moves: What moves add to the squared error, as a share of the variance.
        different_vectors: Different vectors among the items'; equal ones have equal codes before
            the policy, whoever makes them.
        gini_raw: Gini of items per occupied code tuple, before the policy.
        gini_of_different: The same of different vectors.
        gini: The same per occupied ID.
        code_space: Possible IDs.
        load: Items and reserved IDs / possible IDs.
        gini_full_space: Gini over all possible IDs.
        gini_worst_level: Largest Gini among the levels; None: no level has anything to code, as for
            the three that follow.
        utilisation_worst_level: Least utilisation among the levels.
        entropy_worst_level: Entropy of the least even level, in bits.
        perplexity_worst_level: 2 to that.
        prefix_purity: Share of the items with a category that have the commonest one under their
            prefix, for each length from 1; None: there are no categories.
        items_with_category: Of how many items that speaks.
        neighbour_overlap: Share of an item's nearest that stay so in the rebuilt vectors; None:
            there is one item.
        neighbour_overlap_items: Of how many items that speaks.
        overlap_neighbours: How many nearest were looked at.
        neighbours: K of the hit rates.
        embedding_hitrate_raw: Validation sessions whose next item is among the K nearest of an item
            before it; None: there are no sessions, as for the next.
        embedding_hitrate_reconstructed: The same in the rebuilt vectors.
        embedding_hitrate_sessions: Sessions that were looked at.
        embedding_hitrate_coverage: Their share; None: there are none.
        embedding_recall_i2i: Items taken one after the other that are among the K nearest of each
            other; None: there are no pairs, as for the lift and the coverage.
        embedding_i2i_lift: That recall over the recall of K items drawn by chance.
        embedding_recall_i2i_pairs: Pairs that were looked at.
        embedding_recall_i2i_coverage: Their share.
        levels: A row per level: how its codes are used.
        moved_by_level: A row per level: items that were moved there.
        bucket_sizes: A row per bucket size: IDs that hold so many items.
        purity: A row per prefix length, with the purity by chance; empty without categories.
    """

    model_config = ConfigDict(frozen=True, extra="forbid", strict=True, allow_inf_nan=False)

    sid_version: str
    policy: str
    quantizer: str
    bucket_limit: int | None
    items: int
    unplaced_items: int
    conflict_rate_raw: float
    share_in_conflict_raw: float
    largest_bucket_raw: int
    conflict_rate: float
    share_in_conflict: float
    largest_bucket: int
    index_share: float | None
    moved_items: int
    moved_share: float
    mse_raw: float
    mse: float
    variance_explained: float | None
    mse_added_by_moves: float
    different_vectors: int
    gini_raw: float
    gini_of_different: float
    gini: float
    code_space: int
    load: float
    gini_full_space: float
    gini_worst_level: float | None
    utilisation_worst_level: float | None
    entropy_worst_level: float | None
    perplexity_worst_level: float | None
    prefix_purity: list[float | None]
    items_with_category: int
    neighbour_overlap: float | None
    neighbour_overlap_items: int
    overlap_neighbours: int
    neighbours: int
    embedding_hitrate_raw: float | None
    embedding_hitrate_reconstructed: float | None
    embedding_hitrate_sessions: int
    embedding_hitrate_coverage: float | None
    embedding_recall_i2i: float | None
    embedding_i2i_lift: float | None
    embedding_recall_i2i_pairs: int
    embedding_recall_i2i_coverage: float | None
    levels: Table
    moved_by_level: Counts
    bucket_sizes: Counts
    purity: Table

    def flat(self) -> dict[str, Any]:
        """Return the numbers as they stand in report.json: flat, cut-offs after an @."""
        content = self.model_dump()
        found: dict[str, Any] = {}
        for name, keys in _keys(content):
            values = content[name] if name == "prefix_purity" else [content[name]]
            found |= dict(zip(keys, values, strict=True))
        return found

    @classmethod
    def of(cls, content: Any) -> Self:
        """Read what :meth:`flat` returned.

        Raises:
            FaultsError: It is anything else.
        """
        if not isinstance(content, dict):
            raise FaultsError(["it does not map names to numbers"])
        known = dict(_keys(content))
        wanted = [key for keys in known.values() for key in keys]
        faults = [f"`{key}` is missing" for key in wanted if key not in content]
        faults += [f"`{key}` is unknown" for key in content if key not in wanted]
        if faults:
            raise FaultsError(faults)
        values = {name: [content[key] for key in keys] for name, keys in known.items()}
        many = values.pop("prefix_purity")
        try:
            return cls(prefix_purity=many, **{name: value[0] for name, value in values.items()})
        except ValidationError as error:
            raise FaultsError(
                [
                    f"`{'.'.join(map(str, fault['loc']))}` is {fault['input']!r} ({fault['msg']})"
                    for fault in error.errors()
                ]
            ) from error


@dataclass(frozen=True)
class CollisionReport:
    """The report on the IDs of one version.

    Attributes:
        numbers: All that was measured.
    """

    numbers: Numbers

    @property
    def sid_version(self) -> str:
        """The version of the IDs that the report is about."""
        return self.numbers.sid_version

    @classmethod
    def load(cls, folder: Path) -> CollisionReport:
        """Read ``report.json``.

        Raises:
            UserError: There is none.
            ReportError: It is not exactly what this stage writes.
        """
        file = Path(folder) / "report.json"
        if not file.is_file():
            raise UserError(f"{file} is missing: run `dvc repro collision_report` first.")
        try:
            return cls(Numbers.of(read_json(file)))
        except json.JSONDecodeError as error:
            raise ReportError(file, [f"it is no JSON ({error})"]) from error
        except FaultsError as error:
            raise ReportError(file, error.faults) from error


def _keys(content: Mapping[str, Any]) -> Iterator[tuple[str, list[str]]]:
    """Yield each field of the report with its keys in a flat report.json."""
    for name in Numbers.model_fields:
        if name in CUT_OFFS:
            yield name, [f"{name}@{content.get(CUT_OFFS[name])}"]
        elif name == "prefix_purity":
            levels = content.get("levels")
            count = len(levels) if isinstance(levels, list) else 0
            yield name, [f"{name}@{length}" for length in range(1, count + 1)]
        else:
            yield name, [name]
