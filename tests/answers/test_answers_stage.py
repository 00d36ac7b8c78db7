"""What a user gets, on about 300 real items."""

from __future__ import annotations

import shutil
from dataclasses import replace
from pathlib import Path

import pandas as pd
import pytest
import yaml

from assets.answers.artifact import Answers
from assets.answers.choosing import worth_of
from assets.answers.fusion import Mixture
from assets.answers.guiding import guided
from assets.answers.params import AnswersParams
from assets.files import read_json, write_json
from assets.interactions.artifact import Interactions
from assets.ranking import Histories
from assets.semantic_ids.artifact import SemanticIds, sid_text
from assets.stage import UserError, load_params
from assets.synthetic_queries.artifact import SyntheticQueries


@pytest.fixture(scope="module")
def data(project) -> Path:
    return project.make("answers").parent


@pytest.fixture(scope="module")
def answers(data) -> Answers:
    return Answers.load(data, device="cpu")


@pytest.fixture(scope="module")
def joined(answers) -> Answers:
    """Answers in which every part has a say, whatever validation said."""
    return replace(
        answers,
        mixtures={
            "search": Mixture("z_score", {"dense": 0.5, "bm25": 1.0, "retriever": 0.25}),
            "recommendation": Mixture("reciprocal_rank", {"retriever": 1.0, "item_knn": 1.0}),
        },
    )


def _copied(data: Path, folder: Path) -> Path:
    shutil.copytree(data, folder / "data", ignore=shutil.ignore_patterns("cache", "logs", ".*"))
    return folder / "data"


def test_a_search_answers_with_items_of_the_catalogue_and_their_sids(data, answers, joined):
    ids = SemanticIds.load(data / "semantic_ids")
    sid_of = dict(zip(ids.item_ids, map(sid_text, ids.codes), strict=True))
    for by in (None, *answers.names("search")):
        found = joined.search("Space  opera with ROBOTS", k=10, by=by)
        assert len({result.item_id for result in found}) == len(found) <= 10
        assert all(sid_of[result.item_id] == result.sid and result.title for result in found)
        scores = [result.score for result in found]
        assert scores == sorted(scores, reverse=True)


def test_every_part_can_be_asked_alone(answers):
    assert answers.names("search") == [
        "retriever", "item_head", "dense", "bm25", "trigrams", "popularity",
    ]  # fmt: skip
    assert answers.names("recommendation") == [
        "retriever", "item_head", "item_knn", "ease", "slit", "graph", "markov", "sasrec",
        "popularity",
    ]  # fmt: skip
    title = str(answers.parts.catalogue.titles[0])
    assert answers.search(title, k=3, by="bm25") != answers.search(title, k=3, by="popularity")


@pytest.mark.parametrize(
    "param", ["search", "recommendation", "search_guide", "recommendation_guide"]
)
def test_a_name_that_no_part_has_is_refused_with_the_names_there_are(answers, tmp_path, param):
    task = param.removesuffix("_guide")
    everybody = replace(answers.parts, settings=replace(answers.parts.settings, repeats=True))
    names, file = everybody.names(task), tmp_path / "params.yaml"
    if task != param:  # the generator's beam does not guide itself
        names.remove("retriever")
    file.write_text(f"answers: {{{param}: {names}}}")
    assert getattr(load_params("answers", AnswersParams, file), param) == names
    file.write_text(f"answers: {{{param}: [popularity, denze]}}")
    with pytest.raises(UserError, match=rf"`answers\.{param}\.1`: .*got 'denze'") as refused:
        load_params("answers", AnswersParams, file)
    assert all(f"'{name}'" in str(refused.value) for name in names)


def test_without_a_list_a_search_is_guided_by_vectors_with_the_weight_that_finds_most(
    data, answers
):
    tasks = SyntheticQueries.load(data / "synthetic_queries").tasks("validation")
    asked = answers.parts.encode(tasks.queries)
    relevant = answers.parts.catalogue.row_lists(tasks.targets)
    params = AnswersParams(search_guide=[], search_node_guide_weights=[0.0, 40.0, 320.0])
    parts, found = guided("search", answers.parts, asked, relevant, {}, params)
    worths = {}
    for weight in params.search_node_guide_weights:
        one = params.model_copy(update={"search_node_guide_weights": [weight]})
        _, ranked = guided("search", answers.parts, asked, relevant, {}, one)
        worths[weight] = float(worth_of(ranked, relevant).mean())
    chosen = parts.settings.guides["search"]
    assert chosen.mixture.weights == {}
    assert worths[chosen.weight] == max(worths.values()) > worths[0.0]
    assert float(worth_of(found, relevant).mean()) == worths[chosen.weight]


def test_what_the_stage_chose_is_what_answers_and_its_report_says_so(data, answers):
    report = read_json(data / "answers" / "report.json")
    for task in ("search", "recommendation"):
        weights = {r["part"]: r["weight"] for r in report["parts"] if r["task"] == task}
        chosen = {part: weight for part, weight in weights.items() if weight}
        assert answers.mixtures[task].weights == chosen
        # Made queries alone decide over a search here, so some parts are given what they may cost;
        # each that is left out then costs a standard error at most.
        given = AnswersParams().allowances if task == "search" else {}
        least = -sum(given.values())
        if given:
            least -= report[f"{task}.gain_error"] * (len(weights) - len(chosen))
        assert report[f"{task}.gain"] >= least
        if len(chosen) == 1:
            alone = [r["recall@10"] for r in report["parts"] if r["part"] in chosen]
            assert report[f"{task}.recall@10"] in alone
    assert [sentence.split(":")[0] for sentence in report["sentences"]] == [
        "search",
        "recommendation",
    ]


def _of_validation(queries, change):
    """Change the validation queries alone."""
    there = queries.table["split"] == "validation"
    return SyntheticQueries(pd.concat([queries.table[~there], change(queries.table[there])]))


@pytest.mark.parametrize(("real", "alone"), [(60, True), (61, False)])
def test_real_queries_decide_alone_where_there_are_enough(data, tmp_path, run_in, real, alone):
    copied = _copied(data, tmp_path)
    queries = SyntheticQueries.load(copied / "synthetic_queries")
    typed = queries.tasks("validation").queries[:60]
    _of_validation(
        queries, lambda rows: rows.assign(kind=rows["kind"].mask(rows["query"].isin(typed), "real"))
    ).save(copied / "synthetic_queries")
    params = {"answers": {"least_real_queries": real, "recommendation": ["popularity"]}}
    (tmp_path / "params.yaml").write_text(yaml.safe_dump(params))
    done = run_in("answers", tmp_path)
    assert done.returncode == 0, done.stderr
    report = read_json(copied / "answers" / "report.json")
    said = report["sentences"][0]
    assert ("these queries were made" in said) == (not alone)
    # of 60 questions a recall is a whole number of sixtieths
    shares = [row["recall@10"] * 60 for row in report["parts"] if row["task"] == "search"]
    assert all(share == pytest.approx(round(share), abs=1e-3) for share in shares) == alone


def test_where_validation_asks_nothing_the_first_part_answers_and_the_beam_is_guided(
    data, tmp_path, run_in
):
    copied = _copied(data, tmp_path)
    queries = SyntheticQueries.load(copied / "synthetic_queries")
    _of_validation(queries, lambda rows: rows.iloc[:0]).save(copied / "synthetic_queries")
    params = {"answers": {"search": ["retriever"], "recommendation": ["popularity"]}}
    (tmp_path / "params.yaml").write_text(yaml.safe_dump(params))
    done = run_in("answers", tmp_path)
    assert done.returncode == 0, done.stderr
    answers = Answers.load(copied, device="cpu")
    assert answers.mixtures["search"].weights == {"retriever": 1.0}
    guide = answers.parts.settings.guides["search"]
    assert guide.mixture.weights == {"dense": 1.0, "bm25": 1.0, "trigrams": 1.0}
    assert guide.weight > 0
    # nor is a part that may not answer left without what it needs when it is asked alone
    assert answers.parts.settings.guides["recommendation"].mixture.weights == {"item_head": 1.0}
    sentence = "search: validation asks nothing, so retriever answers alone"
    assert read_json(copied / "answers" / "report.json")["sentences"][0] == sentence


def test_a_recommendation_never_holds_what_is_in_the_history(joined):
    item_ids = joined.parts.catalogue.item_ids.tolist()
    for by in (None, *joined.names("recommendation")):
        found = joined.recommend(item_ids[::2], k=len(item_ids), by=by)
        assert not {result.item_id for result in found} & set(item_ids[::2])
        assert len(found) > 100
    assert len(joined.recommend([], k=5)) == 5


def test_many_questions_at_once_are_answered_as_one_by_one(joined):
    queries = ["old western", "animated children film", "space robots", "old western"]
    items = joined.parts.catalogue.item_ids.tolist()
    histories = [items[:3], [], items[5:40], items[:-20]]
    for by in (None, "retriever"):
        _same(joined.search_many(queries, 15, by), [joined.search(q, 15, by) for q in queries])
        _same(
            joined.recommend_many(histories, 7, by),
            [joined.recommend(history, 7, by) for history in histories],
        )


def _same(many, single) -> None:
    """Equal but for rounding: neighbours whose scores differ by less may change places."""
    for row, alone in zip(many, single, strict=True):
        scores = {result.item_id: result.score for result in alone}
        assert [result.score for result in row] == pytest.approx(
            [result.score for result in alone], abs=1e-3
        )
        last = alone[-1].score
        assert all(
            scores.get(result.item_id, last) == pytest.approx(result.score, abs=1e-3)
            for result in row
        )


@pytest.mark.parametrize("by", [None, "bm25"])
def test_a_search_says_of_each_item_where_every_part_ranks_it(joined, by):
    plain, explained = joined.search("old western", 5, by), joined.explain("old western", 5, by)
    assert [replace(result, why=None) for result in explained] == plain
    for part in joined.names("search"):
        alone = [result.item_id for result in joined.search("old western", 100, part)]
        for result in explained:
            standing = result.why.parts[part]
            if standing.rank is not None and standing.rank <= 100:
                assert alone[standing.rank - 1] == result.item_id
            else:
                assert result.item_id not in alone
            assert (standing.score is None) == (standing.rank is None)
    assert all(result.why.goes_with == [] for result in explained)


def test_a_recommendation_says_which_items_of_the_history_it_goes_with(joined):
    history = joined.parts.catalogue.item_ids[joined.parts.catalogue.by_popularity[:8]].tolist()
    explained = joined.explain(history, 5)
    assert [replace(result, why=None) for result in explained] == joined.recommend(history, 5)
    knn = joined.parts.rankers.item_to_item["item_knn"]
    for result in explained:
        spoke = result.why.goes_with
        assert 0 < len(spoke) <= 3
        assert {other.item_id for other in spoke} <= set(history)
        assert [other.share for other in spoke] == sorted((o.share for o in spoke), reverse=True)
        assert sum(other.share for other in spoke) <= 1 + 1e-6
        loudest, row = joined.parts.catalogue.rows([spoke[0].item_id, result.item_id])
        assert knn.matrix[loudest, row] > 0


def test_what_was_had_before_comes_out_where_repeats_are_allowed(joined):
    catalogue, parts = joined.parts.catalogue, joined.parts
    history = catalogue.item_ids[catalogue.by_popularity[:5]].tolist()
    again = replace(joined, parts=replace(parts, settings=replace(parts.settings, repeats=True)))
    assert again.names("recommendation") == [
        *joined.names("recommendation")[:-1], "repurchase", "popularity",
    ]  # fmt: skip
    assert [r.item_id for r in again.recommend(history, 9, "repurchase")] == history[::-1]
    with pytest.raises(UserError, match="no part `repurchase`"):
        joined.recommend(history, 9, "repurchase")
    for by in joined.names("recommendation"):
        everything = len(catalogue.item_ids)
        allowed = {result.item_id for result in again.recommend(history, everything, by)}
        excluded = {result.item_id for result in joined.recommend(history, everything, by)}
        assert allowed - excluded <= set(history), by
        assert not excluded & set(history)
    assert set(history) <= {r.item_id for r in again.recommend(history, everything, "popularity")}


def test_more_is_answered_where_more_is_asked(joined):
    few = [result.item_id for result in joined.search("comedy", k=10)]
    many = [result.item_id for result in joined.search("comedy", k=60)]
    assert many[:10] == few
    assert len(joined.search("comedy", k=250)) == 250


def test_ranks_are_rows_in_the_order_of_item_ids(joined):
    history = joined.parts.catalogue.by_popularity[:5]
    ids = joined.parts.catalogue.item_ids
    rows = joined.rank(Histories([history]), 8).rows[0]
    shown = [result.item_id for result in joined.recommend(ids[history].tolist(), 8)]
    assert ids[rows].tolist() == shown
    assert sorted(ids) == ids.tolist()


@pytest.mark.parametrize(
    ("ask", "said"),
    [
        (lambda a: a.search("   "), "the query is empty"),
        (lambda a: a.search("x", by="nobody"), "no part `nobody`: there are retriever, "),
        (lambda a: a.recommend(["nobody"]), "unknown item `nobody`"),
        (lambda a: a.recommend([], by="bm25"), "no part `bm25`"),
        (lambda a: a.history("nobody"), "user nobody has no interactions"),
    ],
)
def test_what_cannot_be_answered_is_a_sentence(answers, ask, said):
    with pytest.raises(UserError, match=said):
        ask(answers)


def test_histories_are_kept_whole_and_only_where_that_was_asked_for(data, answers, tmp_path):
    expected = Interactions.load(data / "interactions").histories()
    assert answers.histories == expected.to_dict()
    (_copied(data, tmp_path) / "answers" / "histories.parquet").unlink()
    without = Answers.load(tmp_path / "data", device="cpu")
    with pytest.raises(UserError, match="no histories of users are kept"):
        without.history(next(iter(answers.histories)))


def test_assets_that_speak_of_other_items_are_refused(data, tmp_path):
    copied = _copied(data, tmp_path)
    ids = SemanticIds.load(copied / "semantic_ids")
    fewer = {name: getattr(ids, name)[1:] for name in ("item_ids", "codes", "raw_codes",
             "moved_level", "distances")}  # fmt: skip
    replace(ids, **fewer).save(copied / "semantic_ids")
    with pytest.raises(UserError, match="semantic_ids holds other items"):
        Answers.load(copied)


def test_ids_that_only_add_items_are_answered_by_an_older_generator(data, tmp_path):
    """What `extends` promises: the model writes the new items' IDs too, if no code is new."""
    copied = _copied(data, tmp_path)
    ids = SemanticIds.load(copied / "semantic_ids")
    moved = ids.codes.copy()
    moved[[0, 1]] = moved[[1, 0]]
    later = replace(ids, codes=moved)
    later.save(copied / "semantic_ids")
    with pytest.raises(UserError, match="trained on SID version"):
        Answers.load(copied)
    replace(later, extends=ids.version).save(copied / "semantic_ids")
    assert Answers.load(copied, device="cpu").search("comedy", k=3)


@pytest.mark.parametrize("stage", ["answers", "rankers", "retriever"])
def test_what_another_version_made_is_refused_with_what_to_do(data, tmp_path, stage):
    copied = _copied(data, tmp_path)
    manifest = read_json(copied / stage / "manifest.json")
    older = {"answers": {"settings": {"beams": 60}}, "rankers": {"lexical": None},
             "retriever": {"shape": None}}[stage]  # fmt: skip
    changed = {key: value for key, value in (manifest | older).items() if value is not None}
    write_json(copied / stage / "manifest.json", changed)
    with pytest.raises(UserError, match="another version of Sidmill.*run `dvc repro " + stage):
        Answers.load(copied)


def test_a_beam_width_is_no_business_of_training(data, tmp_path):
    """`answers.beams` changes what answers, with the model that there is."""
    copied = _copied(data, tmp_path)
    manifest = copied / "answers" / "manifest.json"
    write_json(
        manifest,
        read_json(manifest) | {"settings": {**read_json(manifest)["settings"], "beams": 3}},
    )
    narrow = Answers.load(copied, device="cpu")
    assert len(narrow.search("comedy", k=3, by="retriever")) == 3
    assert narrow.parts.settings.beams == 3
