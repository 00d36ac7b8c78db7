"""cornac's SASRec and TIGER beside our parts. Run: python benchmarks/referees.py [--help].

Run it where a run has finished; it needs the extra ``baselines``. The referees learn from the train
histories alone, keep the best of some looks at validation, and rank the whole catalogue for users
of the test split without what their histories hold (unless ``answers.repeats`` allows it), as our
parts do; ours are read from ``data/metrics``, on the same questions. Without ``--minutes`` and
``--users`` it is a quick look in which nothing has learnt enough; docs/answers.md shows more.

``tiger`` reads our document vectors and makes codes of them by its own residual k-means;
``tiger_our_ids`` writes our Semantic IDs. Settings are cornac's defaults, TIGER's its GRID recipe,
but for 20 items of history and 60 beams, which are ours; ``--set tiger.d_ff=256`` changes one.
"""

from __future__ import annotations

import argparse
import os

os.environ |= {"OMP_NUM_THREADS": "1", "OPENBLAS_NUM_THREADS": "1"}

import time
from collections import OrderedDict
from collections.abc import Sequence
from dataclasses import dataclass, replace
from functools import partial
from importlib.util import find_spec
from typing import Any

import numpy as np
import pandas as pd
import torch
import yaml
from numpy.typing import NDArray
from rich.console import Console
from rich.table import Table

from assets.embeddings.artifact import Embeddings
from assets.evaluation import Floats, bootstrap, choose_by_hash, gains_of, ndcg, recall
from assets.files import read_json
from assets.interactions.artifact import Interactions, Sessions
from assets.interactions.catalogue import Catalogue
from assets.metrics.params import MetricsParams
from assets.metrics.questions import Questions
from assets.ranking import Histories, Ranked, Rows, rank_in_chunks
from assets.semantic_ids.artifact import SemanticIds
from assets.stage import DATA, load_params

MODELS = ("sasrec", "tiger", "tiger_our_ids")
K = 10
LOOKS = 5  # at validation, over all epochs
LOOKED_AT = 500  # most validation users of a look
TIMED = 4096  # items predicted while an epoch is timed
OURS: dict[str, Any] = {"max_len": 20}
OURS_TIGER: dict[str, Any] = {"n_beams": 60}
OUTSIDE_BEAM = -1e9  # TIGER scores what it did not write below it


@dataclass(frozen=True)
class Data:
    """What the referees learn from.

    Attributes:
        item_ids: (items,) in order of rows.
        train: Train histories, rows of items, the oldest first, each of two items or more.
        validation: The same of validation, the right answer last.
        vectors: (items, dim) float32, of the documents.
        ids: Our Semantic IDs.
    """

    item_ids: NDArray[np.object_]
    train: list[Rows]
    validation: list[Rows]
    vectors: NDArray[np.float32]
    ids: SemanticIds


@dataclass(frozen=True)
class Row:
    """A line of the table: what a method is worth per question, and what it took."""

    name: str
    recall: Floats
    ndcg: Floats
    epochs: float | None = None
    seconds: float | None = None


def sequences(histories: Sequence[Rows], item_ids: Sequence[str] | NDArray[np.object_]) -> Any:
    """Return cornac's data set of some histories; its item numbers are our rows."""
    from cornac.data import SequentialDataset

    rows = [
        (user, user, item_ids[row], place)
        for user, history in enumerate(histories)
        for place, row in enumerate(history)
    ]
    numbers = OrderedDict((item, row) for row, item in enumerate(item_ids))
    return SequentialDataset.build(rows, fmt="USIT", global_iid_map=numbers)


def rank(model: Any, asked: Histories, ties: Rows) -> Ranked:
    """Rank all items by a fitted model, but for what each history excludes."""

    def scores(chunk: slice) -> NDArray[np.float64]:
        found = np.stack([model.score(0, rows.tolist()) for rows in asked.items[chunk]])
        return np.where(found > OUTSIDE_BEAM, found, -np.inf)

    return rank_in_chunks(scores, len(asked), K, ties, asked.excluded)


def made(name: str, epochs: int, settings: dict[str, Any], seed: int, data: Data) -> Any:
    """Return a model that is not fitted yet."""
    from cornac.models import TIGER, SASRec
    from cornac.models.tiger import GRID_CONFIG

    looks = {"val_metric": "ndcg", "val_k": K, "val_eval_every": max(1, epochs // LOOKS)}
    chosen = {"n_epochs": epochs, "seed": seed, "model_selection": "best", **looks, **OURS}
    if name == "sasrec":
        return SASRec(**chosen | settings)
    model_settings = GRID_CONFIG | chosen | OURS_TIGER
    if name == "tiger":
        return TIGER(**model_settings | settings)
    sizes = {"rqvae_num_levels": len(data.ids.sizes), "rqvae_codebook_size": max(data.ids.sizes)}
    model = TIGER(**model_settings | sizes | settings)
    # cornac takes no IDs that are there already
    codes = data.ids.codes.astype(np.int64)
    model._tokenize = lambda *_: codes
    return model


def fitted(
    name: str, epochs: int, settings: dict[str, Any], seed: int, data: Data, histories: list[Rows]
) -> tuple[Any, float]:
    """Return a fitted model and the seconds of processor time it took."""
    from cornac.data import FeatureModality

    train = sequences(histories, data.item_ids)
    features = FeatureModality(features=data.vectors, ids=list(data.item_ids))
    train.add_modalities(item_feature=features.build(id_map=train.iid_map))
    looked_at = sequences(data.validation, data.item_ids) if data.validation else None
    model = made(name, epochs, settings, seed, data)
    started = time.process_time()
    model.fit(train, looked_at)
    return model, time.process_time() - started


def learn(
    name: str, options: argparse.Namespace, seed: int, data: Data
) -> tuple[Any, float, float]:
    """Fit for as long as the minutes allow; looks at validation come on top.

    Returns:
        The model; its epochs, less than one where it learnt from a part of the histories; and the
        seconds of processor time.
    """
    settings = {
        key.split(".", 1)[1]: yaml.safe_load(value)
        for key, value in (one.split("=", 1) for one in options.set)
        if key.split(".", 1)[0] == name
    }
    blind = replace(data, validation=[])
    fitted(name, 0, settings, seed, blind, data.train[:1])  # loads and warms up
    _, fixed = fitted(name, 0, settings, seed, blind, data.train)
    predicted = np.cumsum([len(rows) - 1 for rows in data.train])
    part = 1 + int(np.searchsorted(predicted[:-1], TIMED))
    _, timed = fitted(name, 1, settings, seed, blind, data.train[:part])
    epoch = max(timed - fixed, 0.01) * predicted[-1] / predicted[part - 1]
    epochs = min((60 * options.minutes - fixed) / epoch, options.epochs)
    print(f"{name}: an epoch takes {epoch / 60:.1f} minutes of processor time", flush=True)
    if epochs >= 1:
        model, seconds = fitted(name, int(epochs), settings, seed, data, data.train)
        return model, int(epochs), seconds
    part = 1 + int(np.searchsorted(predicted[:-1], epochs * predicted[-1]))
    model, seconds = fitted(name, 1, settings, seed, data, data.train[:part])
    return model, predicted[part - 1] / predicted[-1], seconds


def read_data(log: Interactions, catalogue: Catalogue, seed: int) -> Data:
    """Return what is learnt from, users in an order that hashes decide."""
    past = log.interactions("train").groupby("user_id", sort=True)["item_id"].agg(list)
    train = [rows for rows in catalogue.row_lists(past.tolist()) if len(rows) > 1]
    order = np.random.default_rng(seed).permutation(len(train))
    later = log.sessions("validation")
    kept = choose_by_hash(later.user_ids, LOOKED_AT, seed)
    whole = [[*later.histories[place], later.targets[place][0]] for place in kept]
    return Data(
        item_ids=catalogue.item_ids,
        train=[train[place] for place in order],
        validation=catalogue.row_lists(whole),
        vectors=Embeddings.load(DATA / "embeddings").text,
        ids=SemanticIds.load(DATA / "semantic_ids"),
    )


def questions_of(
    sessions: Sessions, catalogue: Catalogue, repeats: bool, most: int | None, seed: int
) -> Questions:
    """Return what the stage ``metrics`` asks, or the part of it that has the first hashes."""
    kept = choose_by_hash(sessions.user_ids, most, seed)
    histories = [sessions.histories[place] for place in kept]
    return Questions.of(
        "recommendation",
        Histories(catalogue.row_lists(histories), repeats),
        ["\0".join(history) for history in histories],
        [sessions.targets[place] for place in kept],
        catalogue,
    )


def our_rows(questions: Questions) -> list[Row]:
    """Return what our parts are worth on the same questions, the whole first."""
    values = pd.read_parquet(DATA / "metrics" / "per_query.parquet")
    values = values[values["task"] == "recommendation"].set_index("question")
    if missing := len(set(questions.ids) - set(values.index)):
        raise SystemExit(f"data/metrics lacks {missing} of the users: `sidmill run` first.")
    rows = []
    for name, every in values.groupby("method", sort=False):
        # two users with the same history and right answer ask one question, which stands here twice
        own = every[~every.index.duplicated()].loc[questions.ids]
        rows.append(Row(str(name), own["recall@10"].to_numpy(), own["ndcg@10"].to_numpy()))
    return rows


def show(rows: list[Row], params: MetricsParams) -> None:
    level = f"{params.interval_level:.0%}"
    table = Table(title=f"{len(rows[0].recall):,} users of the test split; intervals of {level}")
    than = f"{rows[0].name} - it"
    for heading in ("", "recall@10", "", than, "NDCG@10", "epochs", "CPU-minutes"):
        table.add_column(heading, justify="right" if heading else "left")
    interval = partial(
        bootstrap, seed=params.seed, samples=params.bootstrap_samples, level=params.interval_level
    )
    for row in rows:
        own = interval(row.recall)
        gap = interval(rows[0].recall - row.recall)
        cells = [f"{own.mean:.4f}", f"[{own.low:.3f}, {own.high:.3f}]"]
        cells += [f"[{gap.low:+.3f}, {gap.high:+.3f}]", f"{row.ndcg.mean():.4f}"]
        cells.append("" if row.epochs is None else f"{row.epochs:.3g}")
        cells.append("" if row.seconds is None else f"{row.seconds / 60:.1f}")
        table.add_row(row.name, *cells)
    Console(width=120).print(table)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--models", nargs="+", choices=MODELS, default=["sasrec", "tiger"])
    parser.add_argument("--minutes", type=float, default=0.5, help="of processor time, for each")
    parser.add_argument("--epochs", type=float, default=50, help="most epochs")
    parser.add_argument("--users", type=int, default=200, help="of the test split; 0: all measured")
    parser.add_argument("--seeds", type=int, nargs="+", default=[0])
    parser.add_argument("--set", nargs="*", default=[], metavar="MODEL.KEY=VALUE")
    options = parser.parse_args()
    if find_spec("cornac") is None:
        print("cornac is not installed: pip install '.[baselines]'")
        return
    if not (DATA / "metrics" / "per_query.parquet").is_file():
        print("there are no metrics here to stand beside: `sidmill run` first.")
        return
    torch.set_num_threads(1)
    params = load_params("metrics", MetricsParams)
    repeats = bool(read_json(DATA / "answers" / "manifest.json")["settings"]["repeats"])
    log = Interactions.load(DATA / "interactions")
    catalogue = Catalogue.of(log)
    sessions = log.sessions("test", repeats="allow" if repeats else "exclude")
    questions = questions_of(
        sessions, catalogue, repeats, options.users or params.max_users, params.seed
    )
    rows = our_rows(questions)
    data = read_data(log, catalogue, params.seed)
    for name in options.models:
        for seed in options.seeds:
            model, epochs, seconds = learn(name, options, seed, data)
            started = time.process_time()
            ranked = rank(model, questions.asked, catalogue.by_popularity).rows
            each = (time.process_time() - started) / len(ranked)
            print(
                f"{name}, seed {seed}: ranks a user in {1000 * each:.0f} ms, "
                f"{(ranked >= 0).mean():.0%} of {K} ranks filled",
                flush=True,
            )
            gains, right = gains_of(ranked, questions.relevant), questions.answers
            worth = recall(gains, right, K), ndcg(gains, right, K)
            rows.append(Row(f"cornac {name}, seed {seed}", *worth, epochs, seconds))
    show(rows, params)


if __name__ == "__main__":
    main()
