"""The histories that cornac's models learn from are ours, and so is what they may rank."""

from __future__ import annotations

import importlib.util
import sys
from pathlib import Path

import numpy as np
import pyarrow.parquet as pq
import pytest

from assets.interactions.catalogue import Catalogue
from assets.metrics.questions import Answered, Questions
from assets.metrics.summary import per_question
from assets.ranking import Histories

SCRIPT = Path(__file__).parents[2] / "benchmarks" / "referees.py"


@pytest.fixture(scope="module")
def referees():
    spec = importlib.util.spec_from_file_location("referees", SCRIPT)
    module = importlib.util.module_from_spec(spec)
    with pytest.MonkeyPatch.context() as patch:  # a script says how many threads its process has
        patch.setenv("OMP_NUM_THREADS", "1")
        patch.setenv("OPENBLAS_NUM_THREADS", "1")
        patch.setitem(sys.modules, "referees", module)
        spec.loader.exec_module(module)
    return module


class Fixed:
    def __init__(self, scores):
        self.scores = scores

    def score(self, *_):
        return self.scores


def test_users_who_ask_the_same_question_are_a_row_each(referees, tmp_path, monkeypatch):
    names = np.array(["a", "b", "c"], dtype=object)
    catalogue = Catalogue(names, names, names, np.ones(3, np.int64))
    histories = [["a"], ["b"], ["a"]]  # the first and the last are asked the same
    questions = Questions.of(
        "recommendation",
        Histories(catalogue.row_lists(histories), False),
        ["\0".join(history) for history in histories],
        [["c"], ["a"], ["c"]],
        catalogue,
    )
    gains = np.zeros((3, 10), np.float32)
    gains[[0, 2], 0] = gains[1, 9] = 1
    answered = [
        Answered(name, np.zeros((3, 10), int), gains, gains) for name in ("answers", "ease")
    ]
    (tmp_path / "data" / "metrics").mkdir(parents=True)
    file = tmp_path / "data" / "metrics" / "per_query.parquet"
    pq.write_table(per_question(questions, answered), file)
    monkeypatch.chdir(tmp_path)
    rows = referees.our_rows(questions)
    assert [row.name for row in rows] == ["answers", "ease"]
    for row in rows:
        assert row.recall.tolist() == [1, 1, 1]
        assert row.ndcg == pytest.approx([1, 1 / np.log2(11), 1])


def test_items_keep_their_rows_and_histories_their_order(referees):
    pytest.importorskip("cornac")
    data = referees.sequences([np.array([3, 1, 2]), np.array([0, 3])], ["a", "b", "c", "d", "e"])
    sessions = [data.uir_tuple[1][places].tolist() for places in data.sessions.values()]
    assert sessions == [[3, 1, 2], [0, 3]]
    assert list(data.iid_map.items()) == [("a", 0), ("b", 1), ("c", 2), ("d", 3), ("e", 4)]
    assert data.num_items == 5


@pytest.mark.parametrize(("repeats", "expected"), [(False, [2, 0, -1]), (True, [1, 2, 0])])
def test_no_history_is_ranked_unless_repeats_are_allowed_nor_what_no_beam_holds(
    referees, repeats, expected
):
    model = Fixed(np.array([0.1, 0.9, 0.5, -1e10]))
    found = referees.rank(model, Histories([np.array([1])], repeats), np.arange(4))
    assert found.rows[0, :3].tolist() == expected
