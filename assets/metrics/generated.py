"""What the retriever answers: SIDs from its beam, judged as items and as SIDs."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from assets.evaluation import Floats, Rows, gains_of
from assets.metrics.catalogue import Catalogue
from assets.metrics.collisions import Buckets, expected_gains
from assets.metrics.questions import Answers, Questions
from assets.retriever.artifact import Beams, Retriever
from assets.semantic_ids.artifact import SemanticIds
from assets.stage import progress


@dataclass(frozen=True)
class Generated:
    """The retriever's answers to the questions of one task.

    Attributes:
        answers: Judged as items, corrected for collisions.
        sid_gains: (questions, depth) 1 where the SID of a right answer was generated.
        sid_answers: (questions,) number of distinct SIDs of right answers.
        valid: Share of the generated IDs that stand in the table of Semantic IDs.
        reranked: The items of the beam ordered by the bi-encoder; None where that is not done.
    """

    answers: Answers
    sid_gains: Floats
    sid_answers: Rows
    valid: float
    reranked: Answers | None


def generate(
    retriever: Retriever,
    ids: SemanticIds,
    catalogue: Catalogue,
    questions: Questions,
    search: Callable[[slice], Beams],
    *,
    batch: int,
    depth: int,
    excluded: Sequence[Rows] | None = None,
    rerank: Callable[[slice, Beams], Rows] | None = None,
) -> Generated:
    """Ask the retriever everything, a batch at a time.

    Args:
        retriever: The retriever.
        ids: The table of Semantic IDs, which says what a valid ID is.
        catalogue: The items.
        questions: What is asked.
        search: Returns the beams of some of the questions.
        batch: Questions asked at once.
        depth: Number of item ranks.
        excluded: For each question the catalogue rows that are not shown.
        rerank: Returns the retriever's rows of items for some questions and their beams.
    """
    row_of = catalogue.rows(retriever.item_ids)
    buckets = Buckets(retriever.buckets.starts, row_of[retriever.buckets.items])
    sid_of = buckets.sids_of(len(catalogue.item_ids))
    known = {tuple(codes) for codes in ids.codes.tolist()}
    valid = np.array([tuple(codes) in known for codes in retriever.sids.tolist()])

    parts: list[tuple[Any, ...]] = []
    for start in progress(range(0, len(questions.ids), batch), f"generating ({questions.task})"):
        chunk = slice(start, start + batch)
        beams = search(chunk)
        leaves = np.asarray(beams.leaves, dtype=np.int64)
        relevant = questions.relevant[chunk]
        expected = expected_gains(
            leaves, buckets, relevant, excluded[chunk] if excluded else None, depth
        )
        right_sids = [np.unique(sid_of[rows]) for rows in relevant]
        parts.append(
            (
                expected.items,
                expected.gains,
                expected.first,
                gains_of(leaves[:, :depth], right_sids),
                np.array([len(sids) for sids in right_sids]),
                valid[leaves[leaves >= 0]],
                np.append(row_of, -1)[rerank(chunk, beams)]
                if rerank
                else np.empty((0, depth), int),
            )
        )
    items, gains, first, sid_gains, sid_answers, is_valid, reordered = (
        np.concatenate(part) for part in zip(*parts, strict=True)
    )
    return Generated(
        Answers("retriever", items, gains, first),
        sid_gains,
        sid_answers,
        float(is_valid.mean()) if len(is_valid) else 0.0,
        Answers.untied("retriever_reranked", reordered, questions) if rerank else None,
    )
