"""Say what the IDs are like: ``python -m assets.collision_report``."""

from __future__ import annotations

import numpy as np

from assets.codebooks.artifact import Codebooks
from assets.collision_report import figures
from assets.collision_report.artifact import Numbers
from assets.collision_report.categories import Categories, prefix_purity
from assets.collision_report.describe import describe_ids
from assets.collision_report.first_level import first_level
from assets.collision_report.hit_rates import neighbour_overlap
from assets.collision_report.page import write_page
from assets.collision_report.params import CollisionReportParams
from assets.collision_report.validation import embedding_hit_rates
from assets.embeddings.artifact import Embeddings
from assets.interactions.artifact import Interactions
from assets.semantic_ids.artifact import SemanticIds
from assets.stage import Run, UserError, run_stage


def main(run: Run[CollisionReportParams]) -> None:
    """Measure, draw, write the page."""
    params = run.params
    ids = SemanticIds.load(run.input("semantic_ids"))
    codebooks = Codebooks.load(run.input("codebooks"))
    embeddings = Embeddings.load(run.input("embeddings"))
    interactions = Interactions.load(run.input("interactions"))
    if ids.codebook_version != codebooks.version:
        raise UserError(
            "data/semantic_ids was made with other codebooks than data/codebooks holds: run "
            "`dvc repro semantic_ids`."
        )
    by_id = embeddings.item_ids.argsort(kind="stable")
    if not np.array_equal(embeddings.item_ids[by_id], ids.item_ids):
        raise UserError(
            "data/semantic_ids and data/embeddings hold different items: run "
            "`dvc repro semantic_ids`."
        )
    vectors = embeddings.views[codebooks.view][by_id]

    numbers, rebuilt = describe_ids(ids, codebooks, vectors)
    catalogue = interactions.items.set_index("item_id", drop=False)
    numbers["unplaced_items"] = int((~catalogue.index.isin(ids.item_ids)).sum())
    levels = len(codebooks.sizes)
    items = catalogue.reindex(ids.item_ids)
    categories = Categories.of(items["category"])
    numbers |= prefix_purity(ids.codes[:, :levels], categories, params.seed)
    numbers |= neighbour_overlap(
        vectors,
        rebuilt,
        k=params.overlap_neighbours,
        most=params.max_overlap_items,
        seed=params.seed,
    )
    numbers |= embedding_hit_rates(
        interactions,
        ids.item_ids,
        vectors,
        rebuilt,
        k=params.neighbours,
        max_sessions=params.max_sessions,
        max_history_items=params.max_history_items,
        max_pair_items=params.max_pair_items,
        seed=params.seed,
    )
    report = Numbers(**numbers)
    run.report(report.flat())

    prefixes = first_level(
        ids.codes[:, 0],
        ids.distances[:, 0],
        codebooks.quantizer.codebooks[0],
        items,
        categories,
        params.example_items,
    )
    pictures = figures.draw_all(ids.codes[:, :levels], codebooks.sizes, report, prefixes)
    for name, (light, _) in pictures.items():
        (run.folder / f"{name}.png").write_bytes(light)
    page = run.folder / "report.html"
    write_page(page, report, pictures, prefixes[: params.example_prefixes], params)
    if report.load > params.high_load:
        run.say(
            f"warning: {report.load:.0%} of all {report.code_space:,} possible IDs are "
            "taken: enlarge `codebooks.codebook_size` or `codebooks.levels`"
        )
    equal = report.items - report.different_vectors
    if equal:
        run.say(f"{equal:,} of {report.items:,} items have the vector of another item")
    run.say(
        f"conflict rate {report.conflict_rate_raw:.1%} before and "
        f"{report.conflict_rate:.1%} after `{ids.policy}`, {report.moved_items:,} moved"
    )


if __name__ == "__main__":
    run_stage("collision_report", CollisionReportParams, main)
