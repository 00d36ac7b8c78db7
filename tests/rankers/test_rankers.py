"""Every ranker beside a slow, obvious way to the same ranking."""

from __future__ import annotations

import re
import shutil
from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from assets.files import read_json, write_json
from assets.rankers.bm25 import BM25
from assets.rankers.dense import Dense
from assets.rankers.log import UnfitError
from assets.rankers.popularity import Popularity
from assets.rankers.repurchase import Repurchase
from assets.ranking import Histories, Queries, Ranked, best
from assets.stage import UserError

TITLES = [
    "Blade Runner (1982). Sci-Fi, Thriller",
    "Bambi (1942). Animation, Children",
    "The Running Man (1987). Action, Sci-Fi",
    "Alien (1979). Horror, Sci-Fi",
]
TYPED = {"aliens": TITLES[3], "bamby": TITLES[1], "blad": TITLES[0], "thrillers": TITLES[0]}


def _is_ranking_of(ranked: Ranked, scores: np.ndarray, excluded, ties) -> None:
    """Assert that rows come by score, equals in the order of ties, without what is excluded."""
    place = {int(row): at for at, row in enumerate(ties)}
    for rows, values, truth, gone in zip(ranked.rows, ranked.scores, scores, excluded, strict=True):
        left = [row for row in range(len(truth)) if row not in gone and np.isfinite(truth[row])]
        expected = sorted(left, key=lambda row: (-truth[row], place[row]))[: len(rows)]
        assert rows.tolist() == expected + [-1] * (len(rows) - len(expected))
        assert values[: len(expected)] == pytest.approx(truth[expected], abs=1e-4)
        assert np.isneginf(values[len(expected) :]).all()


@given(
    st.lists(st.lists(st.integers(-2, 2), min_size=5, max_size=5), min_size=1, max_size=4),
    st.integers(1, 8),
    st.sets(st.integers(0, 4)),
    st.permutations(range(5)),
)
def test_the_best_come_by_score_then_in_the_order_of_ties(rows, depth, forbidden, ties):
    scores = np.array(rows, dtype=np.float32)
    scores[:, sorted(forbidden)] = -np.inf
    found = best(scores, depth, np.array(ties))
    _is_ranking_of(found, scores, [forbidden] * len(rows), ties)


@given(st.lists(st.lists(st.integers(0, 9), unique=True), min_size=1, max_size=4))
def test_popularity_recommends_the_most_popular_and_never_the_history(histories):
    counts = np.array([0, 9, 7, 5, 9, 5, 2, 1, 0, 5])
    ties = np.argsort(-counts, kind="stable")
    seen = [np.array(history, dtype=np.int64) for history in histories]
    found = Popularity(counts, ties).rank(Histories(seen), 4)
    _is_ranking_of(found, np.repeat(counts[None], len(seen), 0).astype(float), histories, ties)


@settings(deadline=None, max_examples=40)
@given(
    st.lists(st.lists(st.integers(0, 5), max_size=9), min_size=1, max_size=4),
    st.integers(1, 6),
    st.sampled_from([0.5, 0.9, 1.0]),
    st.permutations(range(6)),
)
def test_a_repurchase_is_what_was_had_most_and_latest_and_nothing_else(
    histories, last, decay, ties
):
    truth = np.full((len(histories), 6), -np.inf)
    for scores, history in zip(truth, histories, strict=True):
        for age, item in enumerate(reversed(history[-last:])):
            scores[item] = max(scores[item], 0) + np.float32(decay**age)
    asked = [np.array(history, dtype=np.int64) for history in histories]
    ranker = Repurchase(last, decay, np.array(ties))
    _is_ranking_of(ranker.rank(Histories(asked, True), 4), truth, [[]] * len(asked), ties)
    assert (ranker.rank(Histories(asked), 4).rows == -1).all()


@settings(deadline=None, max_examples=30)
@given(st.integers(0, 1000), st.integers(1, 8))
def test_dense_ranks_by_inner_product(seed, depth):
    draw = np.random.default_rng(seed)
    vectors = draw.normal(size=(6, 4)).astype(np.float32)
    asked = Queries(["a", "b"], draw.normal(size=(2, 4)).astype(np.float32))
    dense, truth = Dense(vectors, np.arange(6)), asked.vectors @ vectors.T
    _is_ranking_of(dense.rank(asked, depth), truth, [[], []], range(6))


def _queries(texts):
    return Queries(texts, np.zeros((len(texts), 1), np.float32))


@pytest.mark.parametrize("terms", ["words", "words_but_stopwords", "trigrams"])
def test_bm25_finds_an_obvious_title_and_nothing_where_nothing_is_shared(terms, tmp_path):
    ties = np.array([3, 2, 1, 0])
    fitted = BM25.fit(TITLES, ties, k1=0.9, b=0.4, terms=terms)
    asked = _queries(["alien horror", "bambi", "the running man", "sci", "zzz", ""])
    found = fitted.rank(asked, 3)
    assert found.rows[:3, 0].tolist() == [3, 1, 2]
    assert (found.rows[3] >= 0).all()
    assert (found.rows[4:] == -1).all()
    assert fitted.vocabulary == sorted(fitted.vocabulary)  # whatever the seed of hashes
    fitted.save(tmp_path, "bm25")
    again = BM25.load(tmp_path, "bm25", ties).rank(asked, 3)
    assert (again.rows == found.rows).all()
    assert (again.scores == found.scores).all()


@pytest.mark.parametrize(
    ("terms", "documents", "least"),
    [
        ("words", ["", "a 4 b", "!? ..."], "two letters"),
        ("words_but_stopwords", ["the of", "a 4 b"], "no stopword"),
        ("trigrams", ["", "!? ..."], "a letter"),
    ],
)
def test_documents_without_terms_make_no_index_and_one_with_a_term_does(terms, documents, least):
    def fit(texts):
        return BM25.fit(texts, np.arange(len(texts)), k1=0.9, b=0.4, terms=terms)

    with pytest.raises(UnfitError, match=f"no document holds .*{least}"):
        fit(documents)
    found = fit([*documents, "boat"]).rank(_queries(["boat", "car"]), 3)
    assert found.rows.tolist() == [[len(documents), -1, -1], [-1] * 3]


def test_trigrams_find_what_is_misspelt_cut_off_or_bent():
    fitted = BM25.fit(TITLES, np.arange(4), k1=0.9, b=0.4, terms="trigrams")
    words = BM25.fit(TITLES, np.arange(4), k1=0.9, b=0.4, terms="words")
    for text, title in TYPED.items():
        assert TITLES[fitted.rank(_queries([text]), 1).rows[0, 0]] == title
        assert (words.rank(_queries([text]), 1).rows == -1).all()


WORDS = st.lists(st.sampled_from(["red", "blue", "car", "boat", "sky"]), min_size=1, max_size=6)


@settings(deadline=None, max_examples=40)
@given(st.lists(WORDS, min_size=1, max_size=5), st.lists(WORDS, min_size=1, max_size=3))
def test_bm25_equals_the_formula_in_plain_loops(documents, queries):
    k1, b = 0.9, 0.4
    mean = sum(map(len, documents)) / len(documents)
    truth = np.full((len(queries), len(documents)), -np.inf)
    for at, query in enumerate(queries):
        for row, document in enumerate(documents):
            score = 0.0
            for word in query:
                holds = sum(word in other for other in documents)
                times = document.count(word)
                rarity = np.log(1 + (len(documents) - holds + 0.5) / (holds + 0.5))
                long = 1 - b + b * len(document) / mean
                score += rarity * times / (times + k1 * long)
            if score > 0:
                truth[at, row] = np.float32(score)
    ties = np.arange(len(documents))
    fitted = BM25.fit([" ".join(d) for d in documents], ties, k1=k1, b=b, terms="words")
    found = fitted.rank(_queries([" ".join(query) for query in queries]), 3)
    for rows, values, scores in zip(found.rows, found.scores, truth, strict=True):
        expected = np.sort(scores[np.isfinite(scores)])[::-1][:3]
        there = rows >= 0
        assert values[there] == pytest.approx(expected, abs=1e-4)
        assert values[there] == pytest.approx(scores[rows[there]], abs=1e-4)


def test_what_the_stage_saved_ranks_as_it_was_fitted(project):
    """Loaded rankers answer, and nobody who was in the history comes out."""
    from assets.embeddings.artifact import Embeddings
    from assets.interactions.artifact import Interactions
    from assets.interactions.catalogue import Catalogue
    from assets.rankers.artifact import Rankers

    folder = project.make("rankers")
    catalogue = Catalogue.of(Interactions.load(folder.parent / "interactions"))
    embeddings = Embeddings.load(folder.parent / "embeddings")
    rankers = Rankers.load(folder, catalogue, embeddings)
    assert list(rankers.search) == ["dense", "bm25", "trigrams", "popularity"]
    assert list(rankers.recommendation) == [
        "item_knn",
        "ease",
        "slit",
        "graph",
        "markov",
        "sasrec",
        "repurchase",
        "popularity",
    ]
    history = catalogue.by_popularity[:20]
    for name, ranker in rankers.recommendation.items():
        if name == "repurchase":
            continue
        rows = ranker.rank(Histories([history]), 50).rows[0]
        assert len(set(rows.tolist())) == 50
        assert not set(rows.tolist()) & set(history.tolist())
    again = rankers.repurchase.rank(Histories([history], True), 50).rows[0]
    assert again.tolist() == history[::-1].tolist() + [-1] * 30
    own = Queries([str(catalogue.documents[5])], embeddings.text[5:6])
    assert rankers.dense.rank(own, 1).rows[0, 0] == 5
    assert rankers.lexical["bm25"].rank(own, 1).rows[0, 0] == 5
    assert rankers.lexical["trigrams"].rank(own, 1).rows[0, 0] == 5


def test_rows_are_never_read_as_those_of_other_items(project, tmp_path):
    from assets.embeddings.artifact import Embeddings
    from assets.interactions.artifact import Interactions
    from assets.interactions.catalogue import Catalogue
    from assets.rankers.artifact import Rankers

    folder = project.make("rankers")
    catalogue = Catalogue.of(Interactions.load(folder.parent / "interactions"))
    embeddings = Embeddings.load(folder.parent / "embeddings")
    ids = catalogue.item_ids.copy()
    ids[7] = f"{ids[6]}a"  # one film gone, another come: as many as before
    other = replace(catalogue, item_ids=ids)
    with pytest.raises(
        UserError, match=f"{re.escape(str(folder))} was fitted on other.*`dvc repro rankers`"
    ):
        Rankers.load(folder, other, embeddings)
    counted = replace(catalogue, popularity=catalogue.popularity + 1)
    assert Rankers.load(folder, counted, embeddings).search  # the same items, met more often

    earlier = tmp_path / "rankers"
    shutil.copytree(folder, earlier)
    manifest = read_json(earlier / "manifest.json")
    del manifest["items_version"]
    write_json(earlier / "manifest.json", manifest)
    assert Rankers.load(earlier, catalogue, embeddings).search
