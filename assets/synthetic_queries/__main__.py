"""Make queries for items that lack real ones: ``python -m assets.synthetic_queries``."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

import pandas as pd

from assets.interactions.artifact import Interactions
from assets.stage import CACHE, Run, progress, run_stage
from assets.synthetic_queries.answer_store import AnswerStore
from assets.synthetic_queries.artifact import SyntheticQueries
from assets.synthetic_queries.attributes import AttributesGenerator
from assets.synthetic_queries.endpoint import Endpoint
from assets.synthetic_queries.generator import Generator
from assets.synthetic_queries.keywords import Keywords
from assets.synthetic_queries.local_model import LocalModel
from assets.synthetic_queries.params import SyntheticQueriesParams
from assets.synthetic_queries.quality import bm25_recall, distinct, leak_share
from assets.synthetic_queries.samples import side_by_side
from assets.synthetic_queries.table import join_queries
from assets.synthetic_queries.written import WrittenGenerator

SAMPLES = 20


def main(run: Run[SyntheticQueriesParams]) -> None:
    """Write real and made queries into one table and measure what they are like."""
    interactions = Interactions.load(run.input("interactions"))
    items = interactions.items
    real = interactions.queries("train", "validation", "test")

    answered = set(real.loc[real["split"] == "train", "item_id"])
    lacking = items[~items["item_id"].isin(answered)]
    keywords = Keywords(items["text"].dropna(), run.params.keyword_texts)
    composed = AttributesGenerator(run.params, keywords)
    with _chosen(run, composed) as generator:
        most = len(lacking) * run.params.queries_per_item if generator is composed else None
        made = list(progress(generator.generate(lacking), "queries", total=most))
    queries = SyntheticQueries(join_queries(real, made, interactions.query_split))
    queries.save(run.folder)
    told = _report(queries, items, run.params)
    told |= generator.report()
    if isinstance(generator, WrittenGenerator):
        told["side_by_side"] = side_by_side(made, lacking, composed, SAMPLES, run.params.seed)
    run.report(told)


@contextmanager
def _chosen(run: Run[SyntheticQueriesParams], composed: AttributesGenerator) -> Iterator[Generator]:
    """Give the generator that params name; a language model's answers stay open meanwhile."""
    if run.params.generator == "attributes":
        yield composed
        return
    model = {"transformers": LocalModel, "openai": Endpoint}[run.params.generator](
        run.params, run.machine
    )
    otherwise = composed if run.params.llm.otherwise == "attributes" else None
    with AnswerStore(CACHE, model) as store:
        yield WrittenGenerator(run.params, model, store, otherwise, run.say)


def _report(
    queries: SyntheticQueries, items: pd.DataFrame, params: SyntheticQueriesParams
) -> dict[str, object]:
    table = queries.table
    made = table[table["kind"] != "real"]
    answers = table.groupby("query_id").size()
    texts = made["query"].drop_duplicates()
    trained = table.loc[table["split"] == "train", "item_id"].nunique()
    counts = table.drop_duplicates("query_id").groupby(["kind", "split"]).size()
    bm25 = bm25_recall(
        queries.tasks("validation"), items, k=10, most=params.measured, seed=params.seed
    )
    spread = made.drop_duplicates("query_id").head(SAMPLES).sort_values(["kind", "query"])
    samples = spread.merge(items[["item_id", "document"]], on="item_id")
    return {
        "queries": len(answers),
        "rows": len(table),
        "made_queries": len(texts),
        "items_without_train_query": len(items) - trained,
        "right_answers_mean": answers.mean() if len(answers) else 0.0,
        "right_answers_most": answers.max() if len(answers) else 0,
        "leak_share": leak_share(made, items),
        "distinct_1": distinct(texts, 1),
        "distinct_2": distinct(texts, 2),
        "words_mean": texts.str.count(" ").mean() + 1 if len(texts) else 0.0,
        **({"bm25_recall@10": bm25[0]["bm25_recall@10"]} if bm25 else {}),
        "counts": counts.rename("queries").reset_index().to_dict("records"),
        "bm25": bm25,
        "samples": samples[["kind", "query", "document"]].to_dict("records"),
    }


if __name__ == "__main__":
    run_stage("synthetic_queries", SyntheticQueriesParams, main)
