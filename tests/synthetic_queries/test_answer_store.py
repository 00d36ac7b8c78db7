from __future__ import annotations

from collections.abc import Mapping

import pytest

from assets.synthetic_queries.answer_store import AnswerStore
from assets.synthetic_queries.language_model import Answer, LanguageModel, Request

REQUESTS = [Request(f"prompt {n}", 0, 3) for n in range(5)]
ANSWERS = {request: Answer(f"1. größe\n2. {request.prompt}", True, 3, 4) for request in REQUESTS}


class Silent(LanguageModel):
    name = "silent"

    def __init__(self, **settings) -> None:
        self.settings: Mapping[str, object] = settings

    def answers(self, _):
        yield from ()


def kept(folder, model, requests=REQUESTS):
    with AnswerStore(folder, model) as store:
        return store.find(requests)


def fill(folder, model):
    with AnswerStore(folder, model) as store:
        for request, answer in ANSWERS.items():
            store.keep(request, answer)


def test_answers_are_found_by_all_that_they_depend_on(tmp_path):
    model = Silent(model="a", top_p=0.9)
    assert kept(tmp_path, model) == {}
    fill(tmp_path, model)
    assert kept(tmp_path, Silent(top_p=0.9, model="a")) == ANSWERS
    assert kept(tmp_path, Silent(model="a", top_p=0.8)) == {}
    assert kept(tmp_path, model, [Request("prompt 0", 1, 3), Request("prompt 0", 0, 4)]) == {}


@pytest.mark.parametrize("cut", [2, 20, 90])
def test_an_answer_half_written_by_a_killed_run_is_absent_and_spoils_no_other(tmp_path, cut):
    model = Silent()
    fill(tmp_path, model)
    file = next(tmp_path.glob("answers/*"))
    file.write_bytes(file.read_bytes()[:-cut])
    assert kept(tmp_path, model) == {r: ANSWERS[r] for r in REQUESTS[:-1]}
    with AnswerStore(tmp_path, model) as store:
        store.keep(REQUESTS[-1], ANSWERS[REQUESTS[-1]])
    assert kept(tmp_path, model) == ANSWERS


def test_lines_that_are_no_answers_count_as_absent(tmp_path):
    model = Silent()
    fill(tmp_path, model)
    file = next(tmp_path.glob("answers/*"))
    lines = file.read_text().splitlines()
    junk = ["[]", "3", '{"key": []}', '{"no": 1}', "\\", lines[1].replace("whole", "half")]
    file.write_text("\n".join([*junk, lines[0], *lines[2:]]) + "\n")
    assert kept(tmp_path, model) == {r: ANSWERS[r] for r in REQUESTS if r is not REQUESTS[1]}


def test_two_runs_may_write_at_once_and_the_first_answer_counts(tmp_path):
    model = Silent()
    other = {request: Answer("1. later", True, 1, 1) for request in REQUESTS}
    with AnswerStore(tmp_path, model) as one, AnswerStore(tmp_path, model) as two:
        for request in REQUESTS:
            one.keep(request, ANSWERS[request])
            two.keep(request, other[request])
    assert kept(tmp_path, model) == ANSWERS
