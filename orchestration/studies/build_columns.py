"""The columns under which builds are compared, by `sidmill ids compare` and by studies."""

from __future__ import annotations

from orchestration.studies.ranking import Column

COLLISIONS, CODES = "Items that share their ID", "How the codes are used"
KEPT, ANSWERED, TIME = "What the codes keep", "What is answered", "What it took"

R = "collision_report"
MEASURED = {  # the whole, and the parts it may be made of
    "search": ["answers", "retriever", "item_head", "dense", "bm25", "trigrams", "popularity"],
    "recommendation": [
        *("answers", "retriever", "item_head", "item_knn", "sasrec", "ease", "slit", "graph"),
        *("markov", "repurchase", "popularity"),
    ],
}
COLUMNS = [
    Column(
        f"{R}.conflict_rate_raw",
        "conflicts before",
        COLLISIONS,
        "lowest",
        "share",
        "(items - different IDs) / items, by the codes alone.",
    ),
    Column(
        f"{R}.conflict_rate",
        "conflicts after",
        COLLISIONS,
        "lowest",
        "share",
        "The same after the collision policy.",
    ),
    Column(
        f"{R}.share_in_conflict",
        "share in conflict",
        COLLISIONS,
        "lowest",
        "share",
        "Items that share their ID with another, after the policy.",
    ),
    Column(
        f"{R}.largest_bucket",
        "largest bucket",
        COLLISIONS,
        "lowest",
        "count",
        "Items under the fullest ID, after the policy.",
    ),
    Column(
        f"{R}.moved_share",
        "moved",
        COLLISIONS,
        "lowest",
        "share",
        "Items whose codes the policy changed.",
    ),
    Column(
        f"{R}.load",
        "load",
        COLLISIONS,
        None,
        "share",
        "Items per possible ID; above 80 % moved items end up far from where they belong.",
    ),
    Column(
        f"{R}.gini",
        "Gini, occupied",
        CODES,
        "lowest",
        words="How unevenly items spread over the IDs in use: 0 is even.",
    ),
    Column(
        f"{R}.gini_full_space",
        "Gini, all IDs",
        CODES,
        "lowest",
        words="The same over all possible IDs, empty ones included.",
    ),
    Column(
        f"{R}.gini_worst_level",
        "Gini, worst level",
        CODES,
        "lowest",
        words="How unevenly items spread over the codes of the worst level.",
    ),
    Column(
        f"{R}.utilisation_worst_level",
        "utilisation",
        CODES,
        "highest",
        "share",
        "Share of the codes in use, worst level.",
    ),
    Column(
        f"{R}.entropy_worst_level",
        "entropy",
        CODES,
        "highest",
        words="Bits that a code of the worst level tells.",
    ),
    Column(
        f"{R}.mse_raw",
        "MSE before",
        KEPT,
        "lowest",
        words="Squared distance of the vectors rebuilt from the codes, before the policy.",
    ),
    Column(f"{R}.mse", "MSE after", KEPT, "lowest", words="The same after the policy."),
    Column(
        f"{R}.neighbour_overlap@10",
        "overlap@10",
        KEPT,
        "highest",
        "share",
        "How many of an item's ten nearest stay so when codes stand for the vectors.",
    ),
    Column(
        f"{R}.prefix_purity@1",
        "purity@1",
        KEPT,
        "highest",
        "share",
        "Items with the commonest category under their first code.",
    ),
    Column(
        f"{R}.embedding_hitrate_raw@30",
        "hit rate, vectors",
        KEPT,
        "highest",
        "share",
        "Validation sessions whose next item is among the 30 nearest of an item before it.",
    ),
    Column(
        f"{R}.embedding_hitrate_reconstructed@30",
        "hit rate, codes",
        KEPT,
        "highest",
        "share",
        "The same with the vectors rebuilt from the codes.",
    ),
    Column(
        f"{R}.embedding_recall_i2i@30",
        "recall i2i",
        KEPT,
        "highest",
        "share",
        "Items taken together that are among the 30 nearest of each other.",
    ),
    *(
        Column(
            f"retriever.{task}_{head}recall@10",
            f"{task}, {what} R@10 (validation)",
            ANSWERED,
            "highest",
            words=f"Recall@10 of {task} by the generator's {what} alone, on validation.",
        )
        for task in ("search", "recommendation")
        for head, what in {"": "beam", "item_head_": "item head"}.items()
    ),
    *(
        Column(
            f"metrics.{task}.{part}.{measure}@10",
            f"{task}, {part} {short}@10",
            ANSWERED,
            "highest",
            words=f"{measure}@10 of {task} by {part}, test split.",
        )
        for task, parts in MEASURED.items()
        for part in parts
        for measure, short in {"recall": "R", "ndcg": "N"}.items()
    ),
    Column(
        "metrics.named.found@10",
        "by title, in ten",
        ANSWERED,
        "highest",
        words="Share of the most popular items that stand among the first ten for their own title.",
    ),
    Column(
        "metrics.named.first",
        "by title, first",
        ANSWERED,
        "highest",
        words="Share of the most popular items that come first for their own title.",
    ),
]


def seconds_column(stage: str) -> Column:
    """Return the column of a stage's time."""
    return Column(
        f"seconds.{stage}",
        f"{stage}, s",
        TIME,
        "lowest",
        "seconds",
        f"Seconds that the stage `{stage}` ran, without its imports.",
    )
