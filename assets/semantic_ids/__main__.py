"""Give every item its Semantic ID: ``python -m assets.semantic_ids``."""

from __future__ import annotations

import numpy as np

from assets.codebooks.artifact import Codebooks
from assets.embeddings.artifact import Embeddings
from assets.semantic_ids.artifact import SemanticIds
from assets.semantic_ids.params import SemanticIdsParams
from assets.semantic_ids.path import code_distances, sid_keys
from assets.semantic_ids.policies import POLICIES
from assets.semantic_ids.policy import Problem
from assets.semantic_ids.promises import check_placement
from assets.stage import Run, UserError, run_stage

HIGH_LOAD = 0.8  # of all SIDs; beyond it moved items end up far from where they belong


def main(run: Run[SemanticIdsParams]) -> None:
    """Encode the items, let the policy place them, check what it promises."""
    codebooks = Codebooks.load(run.input("codebooks"))
    policy = POLICIES[run.params.policy](run.params)
    if policy.additive_only and not codebooks.quantizer.additive:
        raise UserError(
            f"params.yaml: policy `{policy.name}` needs an additive quantizer, which "
            f"`{codebooks.quantizer.name}` is not: choose `append_index` or another quantizer."
        )
    embeddings = Embeddings.load(run.input("embeddings"))
    problem = Problem.of(embeddings.item_ids, embeddings.views[codebooks.view], codebooks)
    load = len(problem.item_ids) / problem.capacity
    if load > HIGH_LOAD:
        run.say(
            f"warning: {load:.0%} of all {problem.capacity:,} SIDs are needed: enlarge "
            "`codebooks.codebook_size` or `codebooks.levels`"
        )

    placement = policy.place(problem)
    check_placement(placement, problem, policy.bucket_limit)

    levels = problem.raw_codes.shape[1]
    moved = placement.codes[:, :levels] != problem.raw_codes
    ids = SemanticIds(
        item_ids=problem.item_ids,
        codes=placement.codes,
        raw_codes=problem.raw_codes,
        moved_level=np.where(moved.any(axis=1), moved.argmax(axis=1), -1).astype(np.int32),
        distances=code_distances(codebooks.quantizer, problem.latent, placement.codes),
        sizes=placement.sizes,
        policy=policy.name,
        codebook_version=codebooks.version,
        bucket_limit=policy.bucket_limit,
    )
    ids.save(run.folder)

    distinct = len(np.unique(sid_keys(ids.codes, ids.sizes)))
    run.report(
        {
            "items": len(ids.item_ids),
            "distinct_sids": distinct,
            "moved_items": int((ids.moved_level >= 0).sum()),
            "load": load,
            **placement.told,
        }
    )
    run.say(f"{distinct:,} SIDs for {len(ids.item_ids):,} items by `{policy.name}`")


if __name__ == "__main__":
    run_stage("semantic_ids", SemanticIdsParams, main)
