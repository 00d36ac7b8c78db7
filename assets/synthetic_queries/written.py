"""Queries written by a language model, and paraphrases of them (arXiv 2508.10478, section 4.1)."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Collection, Iterator, Mapping
from typing import Any

import pandas as pd

from assets.evaluation import choose_by_hash
from assets.stage import progress
from assets.synthetic_queries.answer_store import AnswerStore
from assets.synthetic_queries.answers import Tally, usable
from assets.synthetic_queries.generator import Generator, MadeQuery, WrittenKind
from assets.synthetic_queries.language_model import Answer, LanguageModel, NoAnswer, Request
from assets.synthetic_queries.params import SyntheticQueriesParams
from assets.synthetic_queries.prompts import Prompts
from assets.synthetic_queries.words import title_forms

Row = Mapping[Any, Any]


class WrittenGenerator(Generator):
    """Asks a model for queries of all items, then for paraphrases of what was kept.

    A question whose answer holds nothing usable is asked again, a few times. An item that is left
    without written queries (the model had none, its limit was reached, or it was not to be asked)
    gets those of another generator, if there is one. Nothing is lost silently: :meth:`report`
    counts lines and items by what became of them, and ``say`` hears of items left out.

    Args:
        params: The stage's params.
        model: Who answers.
        store: Where answers are kept.
        otherwise: Makes the queries of items that the model wrote nothing usable for.
        say: Takes lines for whoever watches.
    """

    def __init__(
        self,
        params: SyntheticQueriesParams,
        model: LanguageModel,
        store: AnswerStore,
        otherwise: Generator | None,
        say: Callable[[str], None],
    ) -> None:
        self._params = params
        self._model = model
        self._store = store
        self._otherwise = otherwise
        self._say = say
        self._prompts = Prompts(params.llm.queries, params.llm.text_letters)
        self._tallies: dict[WrittenKind, Tally] = {"written": Tally(), "paraphrase": Tally()}
        self._kept = 0
        self._tokens: Counter[str] = Counter()
        # For each kind: item_id to why it has none.
        self._left_out: dict[WrittenKind, dict[str, str]] = {"written": {}, "paraphrase": {}}

    def generate(self, items: pd.DataFrame) -> Iterator[MadeQuery]:
        """Yield written queries, then those of the other generator; see the base class."""
        most = self._params.llm.most_items or len(items)
        chosen = items.iloc[choose_by_hash(items["item_id"].tolist(), most, self._params.seed)]
        rows: dict[str, Row] = {str(row["item_id"]): row for row in chosen.to_dict("records")}
        unasked = [item_id for item_id in items["item_id"] if item_id not in rows]
        self._left_out["written"] = dict.fromkeys(unasked, "not asked, llm.most_items")
        queries: dict[str, dict[str, WrittenKind]] = {item_id: {} for item_id in rows}
        self._round("written", 0, rows, queries)
        asked = {item_id: row for item_id, row in rows.items() if queries[item_id]}
        for turn in range(self._params.llm.paraphrases):
            self._round("paraphrase", turn, asked, queries)
        for item_id, texts in queries.items():
            for text, kind in texts.items():
                self._kept += 1
                yield MadeQuery(text, item_id, kind)
        self._say_what_is_left_out()
        if self._otherwise is not None:
            yield from self._otherwise.generate(
                items[items["item_id"].isin(self._left_out["written"])]
            )

    def report(self) -> dict[str, Any]:
        """Return what the model was asked and answered, and what was dropped by reason."""
        dropped = [
            {"kind": kind, "reason": reason, "lines": count, "share": count / tally.lines}
            for kind, tally in self._tallies.items()
            for reason, count in sorted(tally.dropped.items())
        ]
        return {
            "answers": sum(tally.answers for tally in self._tallies.values()),
            "answers_malformed": sum(tally.malformed for tally in self._tallies.values()),
            "answer_lines": sum(tally.lines for tally in self._tallies.values()),
            "lines_kept": self._kept,
            "prompt_tokens": self._tokens["prompt"],
            "answer_tokens": self._tokens["answer"],
            "items_without_written_queries": len(self._left_out["written"]),
            "dropped": dropped,
            "left_out": [
                {"kind": kind, "reason": reason, "items": count}
                for kind, reasons in self._left_out.items()
                for reason, count in sorted(Counter(reasons.values()).items())
            ],
        }

    def _round(
        self,
        kind: WrittenKind,
        turn: int,
        rows: Mapping[str, Row],
        queries: dict[str, dict[str, WrittenKind]],
    ) -> None:
        """Ask once for every item, and again where nothing of the answer can be used.

        Args:
            kind: What is asked for.
            turn: How often the same was asked of all items before.
            rows: The items by id.
            queries: What is kept of each item so far; added to.
        """
        attempts = self._params.llm.attempts
        left_out = self._left_out[kind]
        pending = {
            item_id: self._question(kind, row, queries[item_id]) for item_id, row in rows.items()
        }
        for attempt in range(turn * attempts, (turn + 1) * attempts):
            requests = {i: Request(text, attempt, most) for i, (text, most) in pending.items()}
            answers = self._ask(requests.values(), kind)
            for item_id, request in requests.items():
                answer = answers[request]
                if isinstance(answer, NoAnswer):
                    left_out[item_id] = answer.reason
                    del pending[item_id]
                elif texts := self._usable(answer, kind, rows[item_id], queries[item_id], request):
                    queries[item_id] |= dict.fromkeys(texts, kind)
                    del pending[item_id]
        left_out |= dict.fromkeys(pending, "nothing usable")

    def _question(
        self, kind: WrittenKind, row: Row, known: Mapping[str, WrittenKind]
    ) -> tuple[str, int]:
        """Return a prompt and the number of queries that it asks for."""
        if kind == "written":
            return self._prompts.queries(row), self._params.llm.queries
        first = [text for text, made in known.items() if made == "written"]
        return self._prompts.paraphrases(row, first), len(first)

    def _ask(
        self, requests: Collection[Request], kind: WrittenKind
    ) -> dict[Request, Answer | NoAnswer]:
        """Return what became of each request, asking for what is not kept."""
        distinct = list(dict.fromkeys(requests))
        kept = self._store.find(distinct)
        for answer in kept.values():
            self._model.reused(answer)
        missing = [request for request in distinct if request not in kept]
        if missing:
            what = "queries" if kind == "written" else "paraphrases"
            self._say(
                f"{len(missing)} requests to {self._model.name} for {what}, "
                f"{len(kept)} answered before."
            )
        answers: dict[Request, Answer | NoAnswer] = {**kept}
        steps = -(-len(missing) // self._model.at_once)
        for step in progress(self._model.answers(missing), "asking", total=steps):
            for request, new in step:
                if isinstance(new, Answer):
                    self._store.keep(request, new)
                answers[request] = new
        told = [answer for answer in answers.values() if isinstance(answer, Answer)]
        self._tokens["prompt"] += sum(answer.prompt_tokens for answer in told)
        self._tokens["answer"] += sum(answer.answer_tokens for answer in told)
        return answers

    def _usable(
        self,
        answer: Answer,
        kind: WrittenKind,
        row: Row,
        known: Mapping[str, WrittenKind],
        request: Request,
    ) -> list[str]:
        return usable(
            answer.text,
            whole=answer.whole,
            titles=title_forms(row["title"]) if isinstance(row["title"], str) else [],
            known=known,
            copied=self._prompts.hold,
            most=request.lines,
            most_words=self._params.llm.most_words,
            tally=self._tallies[kind],
        )

    def _say_what_is_left_out(self) -> None:
        instead = "no made query" if self._otherwise is None else "queries of `attributes` instead"
        lacking: dict[WrittenKind, str] = {
            "written": instead,
            "paraphrase": "fewer paraphrases or none",
        }
        for kind, lack in lacking.items():
            reasons = Counter(self._left_out[kind].values())
            told = ", ".join(f"{why}: {count}" for why, count in sorted(reasons.items()))
            if told:
                self._say(f"{reasons.total()} items get {lack} ({told}).")
