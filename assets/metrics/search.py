"""Search on the test split: every right answer of a query counts."""

from __future__ import annotations

import numpy as np

from assets.bi_encoder.artifact import BiEncoder
from assets.embeddings.artifact import Embeddings
from assets.evaluation import nearest
from assets.metrics import baselines
from assets.metrics.catalogue import Catalogue
from assets.metrics.generated import Generated, generate
from assets.metrics.params import MetricsParams
from assets.metrics.questions import Answers, Questions, sample
from assets.retriever.artifact import Retriever
from assets.semantic_ids.artifact import SemanticIds
from assets.stage import CACHE, progress
from assets.synthetic_queries.artifact import SearchTasks

CHUNK = 4096  # queries ranked between two lines of progress


def search_questions(tasks: SearchTasks, catalogue: Catalogue, params: MetricsParams) -> Questions:
    """Turn test queries into questions, at most `max_queries`."""
    kept = sample(tasks.queries, params.max_queries, params.seed)
    return Questions.of(
        "search",
        [tasks.queries[place] for place in kept],
        [tasks.targets[place] for place in kept],
        catalogue,
        [tasks.kinds[place] for place in kept],
    )


def answer_search(
    questions: Questions,
    catalogue: Catalogue,
    retriever: Retriever,
    ids: SemanticIds,
    encoder: BiEncoder,
    embeddings: Embeddings,
    params: MetricsParams,
) -> tuple[list[Answers], Generated]:
    """Ask the retriever, alone and re-ranked, dense retrieval, BM25 and popularity."""
    queries, depth = questions.ids, params.depth
    vectors = encoder.encode(queries, cache=CACHE, what="encoding test queries")
    generated = generate(
        retriever,
        ids,
        catalogue,
        questions,
        lambda chunk: retriever.search_beams(queries[chunk], cache=CACHE),
        batch=params.batch_size,
        depth=depth,
        rerank=lambda chunk, beams: retriever.rerank(queries[chunk], beams, depth, cache=CACHE),
    )
    order = np.argsort(catalogue.rows(embeddings.item_ids))  # vectors in the catalogue's order
    rankings = {
        "dense": np.concatenate(
            [
                nearest(vectors[start : start + CHUNK], embeddings.text[order], depth)
                for start in progress(range(0, len(vectors), CHUNK), "ranking by similarity")
            ]
        ),
        "bm25": baselines.bm25(catalogue, queries, params),
        "popularity": baselines.popularity(catalogue, len(queries), depth),
    }
    others = [Answers.untied(name, ranked, questions) for name, ranked in rankings.items()]
    return [
        generated.answers,
        *([generated.reranked] if generated.reranked else []),
        *others,
    ], generated
