import numpy as np
import pytest

from assets.evaluation import bootstrap, gains_of
from assets.metrics.answering import Generated
from assets.metrics.figures import draw_groups, draw_methods
from assets.metrics.params import MetricsParams
from assets.metrics.questions import Answered, Questions
from assets.metrics.summary import TABLES, coverage, measure, per_question
from assets.ranking import Queries

PARAMS = MetricsParams(cut_offs=[1, 10], bootstrap_samples=200)
QUERIES = 40
ITEMS = 25


@pytest.fixture(scope="module")
def measured():
    """Forty queries with one answer each; the better method has it first more often."""
    draw = np.random.default_rng(0)
    right = draw.integers(0, ITEMS, QUERIES)
    texts = [f"query {n}" for n in range(QUERIES)]
    questions = Questions(
        task="search",
        asked=Queries(texts, np.zeros((QUERIES, 1), np.float32)),
        ids=texts,
        relevant=[np.array([answer]) for answer in right],
        items=[f"i{answer}" for answer in right],
        kinds=["navigational", "descriptive"] * (QUERIES // 2),
        slices=draw.integers(0, 2, QUERIES),
    )
    methods = []
    skills = {"answers": 0.9, "retriever": 0.4, "item_head": 0.6, "dense": 0.8}
    for name, skill in skills.items():
        ranked = np.array([draw.permutation(ITEMS)[:10] for _ in range(QUERIES)])
        for row, right in zip(ranked, questions.relevant, strict=True):
            row[row == right[0]] = row[0]
            row[0] = right[0] if draw.random() < skill else (right[0] + 1) % ITEMS
        gains = gains_of(ranked, questions.relevant)
        methods.append(Answered(name, ranked, gains, gains))
    generated = Generated(methods[1].gains, np.ones(QUERIES, int), 1.0)
    report = {"items": ITEMS} | {name: [] for name in TABLES}
    measure(report, questions, methods, generated, PARAMS)
    return questions, methods, report


def test_the_table_repeats_the_flat_numbers(measured):
    _, methods, report = measured
    rows = report["table"]
    assert [row["method"] for row in rows] == [m.method for m in methods]
    for row in rows:
        for name in ("recall@1", "recall@10", "ndcg@10", "mrr"):
            assert row[name] == report[f"search.{row['method']}.{name}"]
        assert row["low"] <= row["recall@10"] <= row["high"]


def test_slices_and_kinds_add_up_to_the_whole(measured):
    questions, _, report = measured
    for table in ("slices", "kinds"):
        rows = [row for row in report[table] if row["method"] == "dense"]
        assert sum(row["questions"] for row in rows) == QUERIES
        total = sum(row["questions"] * row["recall@10"] for row in rows)
        assert total / QUERIES == pytest.approx(report["search.dense.recall@10"])
    assert "search.dense.recall@10.cold" not in report  # nobody asked for a cold item
    assert {row["group"] for row in report["slices"]} == {"head", "torso"}
    assert questions.slices.max() == 1


def test_differences_are_paired_and_resample_items(measured):
    questions, methods, report = measured
    pairs = [(row["method"], row["baseline"]) for row in report["differences"]]
    assert pairs == [
        ("answers", "retriever"),
        ("answers", "item_head"),
        ("answers", "dense"),
        ("retriever", "dense"),
        ("item_head", "dense"),
    ]
    each = [m.gains.sum(axis=1) for m in methods]
    expected = bootstrap(each[1] - each[3], seed=0, samples=200, groups=questions.items)
    row = report["differences"][3]
    assert (row["difference"], row["low"], row["high"]) == pytest.approx(
        (expected.mean, expected.low, expected.high)
    )
    assert report["search.retriever.recall@10.minus_dense"] == row["difference"]
    assert report["search.retriever.recall@10.ratio_to_dense"] == pytest.approx(
        each[1].mean() / each[3].mean()
    )
    assert len(questions.ids) == report["search.questions"]


def test_values_per_question_average_to_the_report(measured):
    questions, methods, report = measured
    values = per_question(questions, methods).to_pandas()
    assert len(values) == QUERIES * len(methods)
    for method, mean in values.groupby("method")[["recall@10", "ndcg@10", "mrr"]].mean().iterrows():
        for name, value in mean.items():
            assert value == pytest.approx(report[f"search.{method}.{name}"], abs=1e-5)


def test_coverage_counts_each_shown_item_once():
    assert coverage(np.array([[0, 1], [1, -1]]), 8) == 0.25


def test_figures_are_the_same_bytes_each_time(measured, tmp_path):
    *_, report = measured
    for draw, rows in ((draw_methods, report["table"]), (draw_groups, report["slices"])):
        files = [tmp_path / "one.png", tmp_path / "two.png"]
        for file in files:
            draw(rows, file)
        one, two = (file.read_bytes() for file in files)
        assert one.startswith(b"\x89PNG")
        assert one == two


@pytest.mark.parametrize("cut_offs", [[5, 30], [10, 5], [0, 10], [10, 10]])
def test_cut_offs_that_make_no_sense_are_refused(cut_offs):
    with pytest.raises(ValueError, match="cut_offs"):
        MetricsParams(cut_offs=cut_offs)
