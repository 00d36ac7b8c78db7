"""Make the encoder and measure it on validation: ``python -m assets.bi_encoder``."""

from __future__ import annotations

from assets.bi_encoder.artifact import BiEncoder
from assets.bi_encoder.base_model import load_base, version_of
from assets.bi_encoder.params import BiEncoderParams
from assets.bi_encoder.validation import pair_recall, query_recall
from assets.evaluation import choose_by_hash
from assets.interactions.artifact import Interactions
from assets.stage import CACHE, Run, run_stage, write_json
from assets.synthetic_queries.artifact import SyntheticQueries


def main(run: Run[BiEncoderParams]) -> None:
    """Save the base model as the encoder, then measure it on held-out queries and pairs."""
    params = run.params
    interactions = Interactions.load(run.input("interactions"))
    queries = SyntheticQueries.load(run.input("synthetic_queries"))
    device = run.machine.torch_device()

    model = load_base(params.base, params.max_tokens, device)
    model.save(str(run.folder / "model"), create_model_card=False)
    write_json(
        run.folder / "manifest.json",
        {
            "variant": params.variant,
            "base": params.base,
            "model_version": version_of(run.folder / "model"),
            "batch_size": params.batch_size,
            "max_tokens": model.max_seq_length,
            "dim": model.get_embedding_dimension(),
        },
    )
    encoder = BiEncoder.load(run.folder, device)
    run.report({"dim": encoder.dim, **_measure(run, encoder, interactions, queries)})


def _measure(
    run: Run[BiEncoderParams],
    encoder: BiEncoder,
    interactions: Interactions,
    queries: SyntheticQueries,
) -> dict[str, float]:
    tasks = queries.tasks("validation")
    pairs = interactions.pairs("validation")
    seed, most, device = run.params.seed, run.params.measured, run.machine.torch_device()
    chosen = choose_by_hash(tasks.queries, most, seed)
    pairs = pairs.iloc[
        choose_by_hash((pairs["item_id"] + "\0" + pairs["other_item_id"]).tolist(), most, seed)
    ]
    numbers: dict[str, float] = {"validation_queries": len(chosen), "validation_pairs": len(pairs)}
    if not chosen and pairs.empty:
        run.say("no validation queries and no validation pairs: recall is not measured.")
        return numbers
    items = interactions.items
    ids = items["item_id"].tolist()
    documents = encoder.encode(items["document"].tolist(), cache=CACHE, what="encoding documents")
    if chosen:
        texts = [tasks.queries[place] for place in chosen]
        vectors = encoder.encode(texts, cache=CACHE, what="encoding queries")
        targets = [tasks.targets[place] for place in chosen]
        numbers |= query_recall(vectors, targets, documents, ids, seed=seed, device=device)
    else:
        run.say("no validation queries: recall of queries is not measured.")
    if len(pairs):
        numbers |= pair_recall(pairs, documents, ids, seed=seed, device=device)
    else:
        run.say("no validation pairs: recall of co-occurring items is not measured.")
    return numbers


if __name__ == "__main__":
    run_stage("bi_encoder", BiEncoderParams, main)
