"""The rankers are fitted on the train split, with settings chosen on validation."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from functools import lru_cache, partial
from pathlib import Path
from typing import Any, Literal, TypeVar

import numpy as np
from pydantic import BaseModel

from assets.embeddings.artifact import Embeddings
from assets.evaluation import choose_by_hash
from assets.interactions.artifact import Interactions
from assets.interactions.catalogue import Catalogue
from assets.rankers.artifact import Rankers, version_of_items
from assets.rankers.bm25 import BM25, Terms
from assets.rankers.dense import Dense
from assets.rankers.ease import ridge_weights
from assets.rankers.item_knn import cosine_similarities
from assets.rankers.item_to_item import ItemToItem
from assets.rankers.log import Budget, Log, UnfitError
from assets.rankers.params import LexicalParams, RankersParams
from assets.rankers.popularity import Popularity
from assets.rankers.repurchase import Repurchase
from assets.rankers.sasrec import SASRec
from assets.rankers.sasrec_training import train_sasrec
from assets.rankers.slit import next_item_weights
from assets.rankers.transitions import walks
from assets.rankers.tuning import CUT, Tuned, Worth, exam_of, tune
from assets.ranking import Histories, Queries, Rows
from assets.synthetic_queries.artifact import SyntheticQueries

# How each item-to-item ranker is fitted, and the power of its scores. A ranker more is its file,
# its section of the params, and a line here.
FITS: dict[str, tuple[Callable[..., Any], float]] = {
    "item_knn": (cosine_similarities, 1.0),
    "ease": (ridge_weights, 1.0),
    "slit": (next_item_weights, 1.0),
    "graph": (walks, 0.5),
    "markov": (partial(walks, reach=1, backward=0.0, two_hop=0.0), 1.0),
}
R = TypeVar("R")
KEPT = 4  # fitted matrices held while settings are compared


@dataclass(frozen=True)
class Fitted:
    """The rankers, and how their settings were chosen.

    Attributes:
        rankers: They.
        table: One row per ranker that has settings: ranker, settings, and what they were worth.
        queries: Validation queries that chose.
        sessions: Validation sessions that did.
    """

    rankers: Rankers
    table: list[dict[str, Any]]
    queries: int
    sessions: int


def fit(
    data: Interactions,
    queries: SyntheticQueries,
    embeddings: Embeddings,
    params: RankersParams,
    folder: Path,
    say: Callable[[str], None],
    epochs: int | None = None,
) -> Fitted:
    """Fit on documents and on the train split; validation says which settings are best.

    Where validation asks nothing, the first of each setting's values stands.

    Args:
        data: Histories.
        queries: Queries.
        embeddings: The documents' vectors.
        params: Those of the stage.
        folder: Holds checkpoints of what is trained; a killed training goes on from the last one.
        say: Takes lines for whoever watches.
        epochs: Passes after which SASRec's training ends, on the way to those of `params`; None:
            all of them.
    """
    catalogue = Catalogue.of(data)
    ties = catalogue.by_popularity
    book = _Book(say)

    asked, relevant = _queries(queries, catalogue, params)
    exam_in_words = exam_of(asked, relevant)
    lexical: dict[str, BM25] = {}
    letters = sum(map(len, catalogue.documents))
    for name, (terms, knobs) in _lexical(params).items():
        if name == "trigrams" and letters > params.trigrams.most_letters:
            book.leave_out(
                name, f"the documents have {letters:,} letters, more than `most_letters`."
            )
            continue
        documents = partial(BM25.fit, catalogue.documents, ties, terms=terms)
        lexical |= book.tuned(name, documents, {"k1": knobs.k1, "b": knobs.b}, exam_in_words)

    histories, targets = _sessions(data, catalogue, params, "exclude")
    exam = exam_of(histories, targets)
    log = _log(data, catalogue)
    item_to_item: dict[str, ItemToItem] = {}
    sasrec: dict[str, SASRec] = {}
    for name, (fit_it, power) in FITS.items() if len(log.items) else ():
        tried, fixed = _tried_and_fixed(getattr(params, name))
        fitted = partial(fit_it, log, budget=Budget(params.most_products), **fixed)
        item_to_item |= book.tuned(name, _maker(fitted, power, ties), tried, exam)
    if len(log.items) and not (log.users[1:] == log.users[:-1]).any():
        book.leave_out("sasrec", "no user has two train interactions.")
    elif len(log.items):
        learnt = partial(
            train_sasrec, log, params.sasrec, ties, exam, params.seed, folder, say, epochs
        )
        sasrec = book.tuned("sasrec", learnt, _tried_and_fixed(params.sasrec)[0], exam)
        for name, ranker in sasrec.items():
            book.chosen[name] = {**book.chosen[name], "epochs": ranker.epochs}
    else:
        book.left_out |= dict.fromkeys([*FITS, "sasrec"], "there were no train interactions.")

    again = exam_of(*_sessions(data, catalogue, params, "allow"))
    repurchase = tune(partial(Repurchase, ties=ties), params.repurchase.model_dump(), again)
    if len(log.items):
        book.enter("repurchase", repurchase)

    rankers = Rankers(
        dense=Dense(embeddings.text, ties),
        lexical=lexical,
        popularity=Popularity(catalogue.popularity, ties),
        repurchase=repurchase.ranker,
        item_to_item=item_to_item,
        sasrec=sasrec.get("sasrec"),
        left_out=book.left_out,
        chosen=book.chosen,
        items_version=version_of_items(catalogue),
    )
    return Fitted(rankers, book.table, len(relevant), len(targets))


@dataclass
class _Book:
    """What was chosen, and who is left out."""

    say: Callable[[str], None]
    table: list[dict[str, Any]] = field(default_factory=list)
    chosen: dict[str, Mapping[str, Any]] = field(default_factory=dict)
    left_out: dict[str, str] = field(default_factory=dict)

    def tuned(
        self,
        name: str,
        make: Callable[..., R],
        tried: Mapping[str, Sequence[Any]],
        exam: Callable[[R], Worth] | None,
    ) -> dict[str, R]:
        """Return the ranker by its name, or nothing where it cannot be fitted to the data."""
        try:
            found = tune(make, tried, exam)
        except UnfitError as error:
            self.leave_out(name, str(error))
            return {}
        self.enter(name, found)
        return {name: found.ranker}

    def enter(self, name: str, found: Tuned[Any]) -> None:
        self.chosen[name] = found.settings
        self.table.append(_row(name, found, self.say))

    def leave_out(self, name: str, why: str) -> None:
        self.left_out[name] = why
        self.say(f"{name} is left out: {why}")


def _tried_and_fixed(section: BaseModel) -> tuple[dict[str, Any], dict[str, Any]]:
    """Part the knobs of a ranker into lists, of which validation chooses, and the rest."""
    knobs = section.model_dump()
    tried = {knob: value for knob, value in knobs.items() if isinstance(value, list)}
    return tried, {knob: value for knob, value in knobs.items() if knob not in tried}


def settled(params: RankersParams, chosen: Mapping[str, Mapping[str, Any]]) -> RankersParams:
    """Leave of each list of values the one that was chosen, so that nothing is searched again.

    All else stays, the epochs that a training's learning rate falls over included.

    Args:
        params: Those of the stage.
        chosen: By ranker, its settings; see :class:`Rankers`.
    """
    sections = params.model_dump()
    for name, settings in chosen.items():
        for knob, value in settings.items():
            if isinstance(sections[name][knob], list):
                sections[name][knob] = [value]
    return RankersParams.model_validate(sections)


def _lexical(params: RankersParams) -> dict[str, tuple[Terms, LexicalParams]]:
    all_words = params.bm25.stopwords == "none"
    return {
        "bm25": ("words" if all_words else "words_but_stopwords", params.bm25),
        "trigrams": ("trigrams", params.trigrams),
    }


def _maker(fit: Callable[..., Any], power: float, ties: Rows) -> Callable[..., ItemToItem]:
    """Return what makes a ranker of settings; those of asking alone fit nothing anew."""
    kept = lru_cache(maxsize=KEPT)(fit)

    def make(*, history: int, decay: float, **settings: Any) -> ItemToItem:
        return ItemToItem(kept(**settings), history, decay, power, ties)

    return make


def _log(data: Interactions, catalogue: Catalogue) -> Log:
    train = data.interactions("train")
    users = train["user_id"].astype("category").cat.codes.to_numpy().astype(np.int64)
    rows = catalogue.rows(train["item_id"].to_numpy())
    return Log(users, rows, len(catalogue.item_ids))


def _queries(
    queries: SyntheticQueries, catalogue: Catalogue, params: RankersParams
) -> tuple[Queries, list[Rows]]:
    """Return validation queries, which words alone are ranked for, and their right answers."""
    tasks = queries.tasks("validation")
    kept = choose_by_hash(tasks.queries, params.questions, params.seed)
    texts = [tasks.queries[place] for place in kept]
    relevant = catalogue.row_lists([tasks.targets[place] for place in kept])
    return Queries(texts, np.zeros((len(texts), 0), np.float32)), relevant


def _sessions(
    data: Interactions,
    catalogue: Catalogue,
    params: RankersParams,
    repeats: Literal["exclude", "allow"],
) -> tuple[Histories, list[Rows]]:
    """Return validation histories and what came next."""
    sessions = data.sessions("validation", repeats=repeats)
    kept = choose_by_hash(sessions.user_ids, params.questions, params.seed)
    histories = catalogue.row_lists([sessions.histories[place] for place in kept])
    targets = catalogue.row_lists([sessions.targets[place] for place in kept])
    return Histories(histories, repeats == "allow"), targets


def _row(name: str, found: Tuned[Any], say: Callable[[str], None]) -> dict[str, Any]:
    """Say and return what was chosen."""
    settings = ", ".join(f"{knob} {value:g}" for knob, value in found.settings.items())
    if found.passed_over:
        say(f"{name}: settings passed over: {found.passed_over}; the last, as {found.why}")
    if found.worth is None:
        say(f"{name}: validation asks nothing, so the first settings stand: {settings}")
        return {"ranker": name, "settings": settings, f"recall@{CUT}": None, f"ndcg@{CUT}": None}
    recall, ndcg = found.worth
    say(f"{name}: {settings}; recall@{CUT} {recall:.3f} on validation")
    return {"ranker": name, "settings": settings, f"recall@{CUT}": recall, f"ndcg@{CUT}": ndcg}
