"""Give every item its Semantic ID: ``python -m assets.semantic_ids``."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np

from assets.codebooks.artifact import Codebooks
from assets.embeddings.artifact import Embeddings
from assets.semantic_ids.appending import added_error, append_items, drift
from assets.semantic_ids.artifact import SemanticIds
from assets.semantic_ids.params import SemanticIdsParams
from assets.semantic_ids.path_distances import code_distances
from assets.semantic_ids.placement import Placement
from assets.semantic_ids.policies import POLICIES, place_items
from assets.semantic_ids.problem import Problem
from assets.semantic_ids.sid_keys import sid_keys
from assets.stage import Run, UserError, run_stage

HIGH_LOAD = 0.8  # of all SIDs; beyond it moved items end up far from where they belong


def main(run: Run[SemanticIdsParams]) -> None:
    """Encode the items and let the policy place them."""
    codebooks, _, problem = pose_problem(run)
    placement = place_items(problem, run.params)
    ids = ids_of(run, problem, placement, codebooks)
    hand_over(run, ids, problem, placement.told)


def refresh(run: Run[SemanticIdsParams], released: Path) -> None:
    """Append what is new to the IDs of a release; no item that it knows moves."""
    codebooks, embeddings, problem = pose_problem(run)
    old = SemanticIds.load(released)
    grown = append_items(old, problem, run.params, codebooks.version)
    ids = replace(
        ids_of(run, problem, grown.placement, codebooks),
        extends=old.version,
        reserved=grown.reserved,
    )
    before = Embeddings.load(released.parent / "embeddings")
    told = {
        **grown.placement.told,
        **drift(old, before, problem, embeddings, codebooks.view),
        "added_error_of_new_items": added_error(ids, problem.errors, grown.is_new),
    }
    run.say(
        f"appended to {released.parent.name}: {told['new_items']:,} new, "
        f"{told['gone_items']:,} gone, {told['reserved_sids']:,} SIDs reserved, "
        f"{told['changed_items']:,} changed."
    )
    hand_over(run, ids, problem, told)


def pose_problem(run: Run[SemanticIdsParams]) -> tuple[Codebooks, Embeddings, Problem]:
    """Return the codebooks, the vectors, and the problem that they pose to the policy."""
    codebooks = Codebooks.load(run.input("codebooks"))
    params, policy = run.params, POLICIES[run.params.policy]
    if policy.additive_only and not codebooks.quantizer.additive:
        raise UserError(
            f"params.yaml: policy `{params.policy}` needs an additive quantizer, which "
            f"`{codebooks.quantizer.name}` is not: choose `append_index` or another quantizer."
        )
    embeddings = Embeddings.load(run.input("embeddings"))
    problem = Problem.of(embeddings.item_ids, embeddings.views[codebooks.view], codebooks)
    return codebooks, embeddings, problem


def ids_of(
    run: Run[SemanticIdsParams], problem: Problem, placement: Placement, codebooks: Codebooks
) -> SemanticIds:
    """Return the table of a placement."""
    levels = problem.raw_codes.shape[1]
    moved = placement.codes[:, :levels] != problem.raw_codes
    return SemanticIds(
        item_ids=problem.item_ids,
        codes=placement.codes,
        raw_codes=problem.raw_codes,
        moved_level=np.where(moved.any(axis=1), moved.argmax(axis=1), -1).astype(np.int32),
        distances=code_distances(codebooks.quantizer, problem.latent, placement.codes),
        sizes=placement.sizes,
        policy=run.params.policy,
        codebook_version=codebooks.version,
        bucket_limit=POLICIES[run.params.policy].bucket_limit(run.params),
    )


def hand_over(
    run: Run[SemanticIdsParams], ids: SemanticIds, problem: Problem, told: Mapping[str, Any]
) -> None:
    """Save the IDs, and say how many there are and how full their space is."""
    ids.save(run.folder)
    distinct = len(np.unique(sid_keys(ids.codes, ids.sizes)))
    load = (len(ids.item_ids) + told.get("reserved_sids", 0)) / problem.capacity
    if load > HIGH_LOAD:
        run.say(
            f"warning: {load:.0%} of all {problem.capacity:,} SIDs are needed: enlarge "
            "`codebooks.codebook_size` or `codebooks.levels`"
        )
    run.report(
        {
            "items": len(ids.item_ids),
            "distinct_sids": distinct,
            "moved_items": int((ids.moved_level >= 0).sum()),
            "load": load,
            **told,
        }
    )
    run.say(f"{distinct:,} SIDs for {len(ids.item_ids):,} items by `{ids.policy}`")


if __name__ == "__main__":
    run_stage("semantic_ids", SemanticIdsParams, main, refresh)
