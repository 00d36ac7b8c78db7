"""Make queries for items that lack real ones: ``python -m assets.synthetic_queries``."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

from assets.interactions.artifact import Interactions
from assets.machine import Machine
from assets.stage import CACHE, Run, progress, run_stage
from assets.synthetic_queries.answer_store import AnswerStore
from assets.synthetic_queries.artifact import SyntheticQueries
from assets.synthetic_queries.attributes import AttributesGenerator
from assets.synthetic_queries.endpoint import Endpoint
from assets.synthetic_queries.generator import Generator
from assets.synthetic_queries.keywords import Keywords
from assets.synthetic_queries.local_model import LocalModel
from assets.synthetic_queries.params import SyntheticQueriesParams
from assets.synthetic_queries.report import describe
from assets.synthetic_queries.samples import side_by_side
from assets.synthetic_queries.table import join_queries
from assets.synthetic_queries.written import WrittenGenerator


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
    told = describe(queries, items, run.params) | generator.report()
    if isinstance(generator, WrittenGenerator):
        told["side_by_side"] = side_by_side(made, lacking, composed, run.params.seed)
    if told["items_without_train_query"]:
        run.say(f"{told['items_without_train_query']} items have no query in the train split.")
    run.report(told)


@contextmanager
def _chosen(run: Run[SyntheticQueriesParams], composed: AttributesGenerator) -> Iterator[Generator]:
    """Give the generator that params name; a language model's answers stay open meanwhile."""
    if run.params.generator == "attributes":
        yield composed
        return
    model = {"transformers": LocalModel, "openai": Endpoint}[run.params.generator](
        run.params, Machine.here()
    )
    otherwise = composed if run.params.llm.otherwise == "attributes" else None
    with AnswerStore(CACHE, model) as store:
        yield WrittenGenerator(run.params, model, store, otherwise, run.say)


if __name__ == "__main__":
    run_stage("synthetic_queries", SyntheticQueriesParams, main)
