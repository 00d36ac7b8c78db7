"""Append items to the IDs of a release without moving any that it gave.

An item of the release keeps its SID whatever became of its text; one that left keeps it reserved,
and finds it again if it comes back. Only items that the release never saw are placed, beside all
SIDs that were ever given.
"""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from assets.embeddings.artifact import Embeddings
from assets.semantic_ids.artifact import Reserved, SemanticIds
from assets.semantic_ids.params import SemanticIdsParams
from assets.semantic_ids.placement import Placement
from assets.semantic_ids.policies import POLICIES, place_items
from assets.semantic_ids.problem import Prior, Problem
from assets.stage import UserError

# Two vectors of one text differ by less where they were encoded in batches of other texts.
SAME_VECTOR = 1e-4


@dataclass(frozen=True)
class Grown:
    """The catalogue as it is now, placed.

    Attributes:
        placement: Where all its items are.
        is_new: (items,) whether the release had never seen an item.
        reserved: SIDs of items that left, in this step or before; None if of none.
    """

    placement: Placement
    is_new: NDArray[np.bool_]
    reserved: Reserved | None


def append_items(
    old: SemanticIds, problem: Problem, params: SemanticIdsParams, codebook_version: str
) -> Grown:
    """Place the items that the old table does not know; leave those it knows where they are.

    Args:
        old: The table of the release.
        problem: The catalogue as it is now, without a prior.
        params: Those of the stage; the policy must be that of the old table.
        codebook_version: Version of the codebooks of the problem.

    Raises:
        UserError: Codebooks, policy or sizes are not those of the old table, or there is no room.
    """
    _require_same(old, params, codebook_version)
    known, taken = old.item_ids, old.codes
    if old.reserved:
        known = np.concatenate([known, old.reserved.item_ids])
        taken = np.concatenate([taken, old.reserved.codes])
    rows = pd.Index(known).get_indexer(pd.Index(problem.item_ids))
    is_new = rows < 0
    new = replace(
        problem,
        item_ids=problem.item_ids[is_new],
        latent=problem.latent[is_new],
        raw_codes=problem.raw_codes[is_new],
        errors=problem.errors[is_new],
        prior=Prior(taken),
    )
    try:
        placed = place_items(new, params)
    except UserError as error:
        raise UserError(
            f"{error} The codes of the release to grow from are frozen, so that takes "
            "`sidmill rebuild`."
        ) from error
    if placed.sizes != old.sizes:
        raise UserError(
            f"params.yaml: `semantic_ids` asks for SIDs of {placed.sizes} codes, but those to grow "
            f"from have {old.sizes}: set it back, or run `sidmill rebuild`."
        )

    codes = np.empty((len(is_new), len(old.sizes)), np.int32)
    codes[is_new], codes[~is_new] = placed.codes, taken[rows[~is_new]]
    gone = np.ones(len(known), bool)
    gone[rows[~is_new]] = False
    gone_rows = np.flatnonzero(gone)[np.argsort(known[gone], kind="stable")]
    told = {
        "new_items": int(is_new.sum()),
        "gone_items": int(gone[: len(old.item_ids)].sum()),
        "returned_items": int((~gone[len(old.item_ids) :]).sum()),
        "reserved_sids": int(gone.sum()),
    }
    return Grown(
        Placement(codes, old.sizes, placed.told | told),
        is_new,
        Reserved(known[gone_rows], taken[gone_rows]) if gone.any() else None,
    )


def drift(
    old: SemanticIds,
    old_embeddings: Embeddings,
    problem: Problem,
    embeddings: Embeddings,
    view: str,
) -> dict[str, float]:
    """Say how far the vectors of items that kept their SIDs have moved since the release.

    Args:
        old: The table of the release.
        old_embeddings: The vectors of the release.
        problem: The catalogue as it is now.
        embeddings: Its vectors.
        view: The view that is quantised.

    Returns:
        ``changed_items``, mean and largest distance between their two vectors, and how many of them
        have other nearest codes now than then.
    """
    ids = pd.Index(problem.item_ids)
    stays = ids.get_indexer(pd.Index(old.item_ids))
    old_rows = np.flatnonzero(stays >= 0)
    rows = stays[old_rows]
    names = pd.Index(old.item_ids[old_rows])
    before = old_embeddings.views[view][pd.Index(old_embeddings.item_ids).get_indexer(names)]
    after = embeddings.views[view][pd.Index(embeddings.item_ids).get_indexer(names)]
    distances = np.linalg.norm(after - before, axis=1)
    changed = distances > SAME_VECTOR
    other = (old.raw_codes[old_rows] != problem.raw_codes[rows]).any(axis=1)
    return {
        "changed_items": int(changed.sum()),
        "drift_mean": float(distances[changed].mean()) if changed.any() else 0.0,
        "drift_max": float(distances[changed].max()) if changed.any() else 0.0,
        "changed_items_other_codes": int((changed & other).sum()),
    }


def added_error(ids: SemanticIds, errors: NDArray[np.float32], rows: NDArray[np.bool_]) -> float:
    """Return what placing cost some items: mean squared error above that of their raw codes.

    Args:
        ids: The table.
        errors: (items,) squared error of each under its raw codes.
        rows: (items,) which of them to count.
    """
    return float((ids.distances[rows, -1] ** 2 - errors[rows]).mean()) if rows.any() else 0.0


def _require_same(old: SemanticIds, params: SemanticIdsParams, codebook_version: str) -> None:
    if codebook_version != old.codebook_version:
        raise UserError(
            "data/codebooks does not hold the codebooks of the IDs to grow from: run "
            "`dvc repro semantic_ids`, which takes both from the release of data/base.yaml."
        )
    limit = POLICIES[params.policy].bucket_limit(params)
    asked = {"policy": params.policy, "capacity": limit}
    had = {"policy": old.policy, "capacity": old.bucket_limit}
    for name, value in asked.items():
        if value != had[name]:
            raise UserError(
                f"params.yaml: `semantic_ids.{name}` is {value!r}, but the IDs to grow from were "
                f"given with {had[name]!r}: set it back, or run `sidmill rebuild`."
            )
