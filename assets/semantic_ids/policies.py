"""The collision policies by name. A new one is a file beside this and a line here."""

from __future__ import annotations

from assets.semantic_ids.append_index import AppendIndex
from assets.semantic_ids.ecm import ECM
from assets.semantic_ids.knn_n import KnnN
from assets.semantic_ids.none import NoPolicy
from assets.semantic_ids.optimal import Optimal
from assets.semantic_ids.optimal_prefix import OptimalPrefix
from assets.semantic_ids.policy import CollisionPolicy
from assets.semantic_ids.random_n import RandomN
from assets.semantic_ids.rrs import RRS

POLICIES: dict[str, type[CollisionPolicy]] = {
    policy.name: policy
    for policy in (
        NoPolicy,
        AppendIndex,
        ECM,
        RRS,
        KnnN,
        RandomN,
        Optimal,
        OptimalPrefix,
    )
}
