from __future__ import annotations

import json
import random

import pandas as pd
import pytest
from pydantic import ValidationError
from synthetic_queries.chat_server import answer_to, serving, word_for

from assets.machine import Machine
from assets.stage import UserError
from assets.synthetic_queries.answer_store import AnswerStore
from assets.synthetic_queries.endpoint import Endpoint
from assets.synthetic_queries.language_model import Answer, NoAnswer, Request
from assets.synthetic_queries.params import ModelParams, OpenAIParams, SyntheticQueriesParams
from assets.synthetic_queries.written import WrittenGenerator

PROMPTS = [f"Title: Film {n}\nlist of 2 lines" for n in range(30)]
REQUESTS = [Request(prompt, 0, 2) for prompt in PROMPTS]
ERROR = json.dumps({"error": {"message": "not now", "code": None}}).encode()
PASSING = [
    (429, {}, ERROR),
    (429, {"Retry-After": "0.01"}, ERROR),
    (429, {"Retry-After": "Thu, 01 Jan 2026 00:00:00 GMT"}, ERROR),
    (500, {}, b"oops"),
    (503, {"Content-Type": "text/html"}, b"<html>"),
    (200, {}, b'{"choices": [{"message"'),
    (200, {}, b"[]"),
    (200, {}, b'{"choices": []}'),
    (200, {}, b'{"choices": [{"message": {"content": 3}}]}'),
    (200, {"Content-Type": "text/plain"}, b"hello"),
    "cut",
    "hang",
]


def params(server, **openai) -> SyntheticQueriesParams:
    quick = {"model": "m", "base_url": server.url, "backoff": 0.0, "timeout": 5.0}
    return SyntheticQueriesParams(
        generator="openai",
        llm=ModelParams(queries=2, answer_tokens=20),
        openai=OpenAIParams(**(quick | openai)),
    )


def ask(server, requests=REQUESTS, *, concurrency=4, key="", **openai):
    machine = Machine(openai_concurrency=concurrency, openai_key=key)
    endpoint = Endpoint(params(server, **openai), machine)
    return {
        request: answer for answered in endpoint.answers(requests) for request, answer in answered
    }


def test_every_request_is_answered_once_and_as_many_at_a_time_as_allowed():
    with serving(together=4) as server:
        answers = ask(server, key="secret")
    assert {r.prompt: a.text for r, a in answers.items()} == {p: answer_to(p) for p in PROMPTS}
    assert set(server.prompts.values()) == {1}
    assert len(server.bodies) == len(PROMPTS)
    assert server.most_at_once == 4
    assert server.keys == {"Bearer secret"}


@pytest.mark.parametrize("fault", PASSING, ids=str)
def test_what_fails_for_the_moment_is_asked_again(fault):
    def first_two(number, prompt):
        return fault if number < 2 else None

    with serving(fault=first_two) as server:
        answers = ask(server, concurrency=2, timeout=1.0 if fault == "hang" else 5.0)
    assert {r.prompt: a.text for r, a in answers.items()} == {p: answer_to(p) for p in PROMPTS}
    assert len(server.bodies) == len(PROMPTS) + 2
    assert server.most_at_once <= 2


def test_under_a_storm_of_faults_the_result_is_complete_and_requests_and_concurrency_are_bounded():
    draw = random.Random(0)  # noqa: S311  no secret
    failed = 0

    def storm(number, prompt):
        nonlocal failed
        if draw.random() < 0.4:
            failed += 1
            return draw.choice([fault for fault in PASSING if fault != "hang"])
        return None

    with serving(fault=storm) as server:
        answers = ask(server, concurrency=3, retries=20)
    assert {r.prompt: a.text for r, a in answers.items()} == {p: answer_to(p) for p in PROMPTS}
    assert failed > 5
    assert len(server.bodies) == len(PROMPTS) + failed
    assert server.most_at_once <= 3


def test_a_request_is_sent_no_oftener_than_its_retries_allow():
    def one_always_fails(number, prompt):
        return (500, {}, ERROR) if prompt == PROMPTS[3] else None

    with serving(fault=one_always_fails) as server:
        answers = ask(server, retries=2)
    assert answers[REQUESTS[3]] == NoAnswer("failed")
    assert sum(isinstance(answer, Answer) for answer in answers.values()) == len(PROMPTS) - 1
    assert len(server.bodies) == len(PROMPTS) + 2


def test_retry_after_is_waited_for_by_all_up_to_the_longest_wait():
    def busy(number, prompt):
        return (429, {"Retry-After": "0.2"}, ERROR) if number == 0 else None

    with serving(fault=busy) as server:
        ask(server, REQUESTS[:3], concurrency=1)
    assert server.times[1] - server.times[0] >= 0.2
    with serving(fault=busy) as server:
        ask(server, REQUESTS[:3], concurrency=1, longest_wait=0.0)
    assert len(server.times) == 4


def test_an_endpoint_that_is_down_ends_the_work_with_a_sentence_before_all_is_tried():
    with (
        serving(fault=lambda *_: (503, {}, ERROR)) as server,
        pytest.raises(UserError, match="503, not now"),
    ):
        ask(server, retries=1, concurrency=2)
    assert len(server.bodies) <= 2 * 11
    with pytest.raises(UserError, match="gave no answer to 10 requests"):
        ask(server, retries=0)  # nobody listens there any more


@pytest.mark.parametrize(
    ("status", "code"),
    [(401, None), (403, None), (404, "model_not_found"), (429, "insufficient_quota")],
)
def test_a_wrong_key_or_model_or_no_credit_ends_the_work_at_once(status, code):
    error = json.dumps({"error": {"message": "no way", "code": code}}).encode()
    with (
        serving(fault=lambda *_: (status, {}, error)) as server,
        pytest.raises(UserError, match=f"{status}, no way.*SIDMILL_OPENAI_KEY"),
    ):
        ask(server, concurrency=1)
    assert len(server.bodies) == 1


def test_a_refused_item_is_set_aside_but_refused_settings_end_the_work():
    def filtered(number, prompt):
        return (400, {}, ERROR) if prompt == PROMPTS[5] else None

    with serving(fault=filtered) as server:
        answers = ask(server)
    assert answers[REQUESTS[5]] == NoAnswer("refused")
    assert len(server.bodies) == len(PROMPTS)
    with (
        serving(fault=lambda *_: (400, {}, ERROR)) as server,
        pytest.raises(UserError, match="400, not now"),
    ):
        ask(server, concurrency=1)
    assert len(server.bodies) == 10


def test_params_fill_the_request_and_can_take_fields_out():
    with serving() as server:
        ask(server, REQUESTS[:1], request={"max_tokens": None, "max_completion_tokens": 9, "n": 1})
    assert server.bodies == [
        {
            "model": "m",
            "messages": [{"role": "user", "content": PROMPTS[0]}],
            "temperature": 0.7,
            "top_p": 0.9,
            "max_completion_tokens": 9,
            "n": 1,
        }
    ]


@pytest.mark.parametrize("limit", [0, 7])
def test_no_more_requests_are_sent_than_the_limit_allows_retries_included(limit):
    def every_third_fails(number, prompt):
        return (500, {}, ERROR) if number % 3 == 0 else None

    with serving(fault=every_third_fails) as server:
        answers = ask(server, max_requests=limit)
    assert len(server.bodies) == limit
    told = [answer for answer in answers.values() if isinstance(answer, NoAnswer)]
    assert set(told) == {NoAnswer("spending limit")}
    assert len(answers) == len(PROMPTS)


@pytest.mark.parametrize("usage", [True, False])
def test_no_more_tokens_are_spent_than_the_limit_allows(usage):
    with serving(usage=usage) as server:
        answers = ask(server, max_tokens=400)
    given = [answer for answer in answers.values() if isinstance(answer, Answer)]
    assert 0 < len(given) < len(PROMPTS)
    assert sum(answer.prompt_tokens + answer.answer_tokens for answer in given) <= 400


def catalogue(count: int) -> pd.DataFrame:
    rows = [
        {"item_id": f"{n:02}", "title": f"Film {n}", "category": "Drama", "attributes": "{}"}
        for n in range(count)
    ]
    return pd.DataFrame(rows).assign(text=None, brand=None)


def write(server, folder, items, said=None, **openai):
    chosen = params(server, **openai)
    endpoint = Endpoint(chosen, Machine(openai_concurrency=4))
    with AnswerStore(folder, endpoint) as store:
        generator = WrittenGenerator(
            chosen, endpoint, store, None, said.append if said is not None else print
        )
        return list(generator.generate(items)), dict(generator.report())


def test_a_run_ended_by_its_limit_says_so_and_goes_on_without_asking_again(tmp_path):
    said: list[str] = []
    with serving() as server:
        some, report = write(server, tmp_path, catalogue(20), said, max_requests=12)
        assert len(server.bodies) == 12
        assert report["left_out"][0] == {"kind": "written", "reason": "spending limit", "items": 8}
        assert any("8 items get no made query (spending limit: 8)" in line for line in said)
        assert any("12 items get fewer paraphrases" in line for line in said)
        assert len({one.item_id for one in some}) == 12

        again, _ = write(server, tmp_path, catalogue(20), max_requests=12)
        assert again == some
        assert len(server.bodies) == 12  # kept answers count for the limit

        whole, report = write(server, tmp_path, catalogue(20))
        assert len({one.item_id for one in whole}) == 20
        assert report["items_without_written_queries"] == 0
        assert len(server.bodies) == 40
        assert set(server.prompts.values()) == {1}


def test_a_changed_item_is_asked_again_alone(tmp_path):
    items = catalogue(20)
    with serving() as server:
        before, _ = write(server, tmp_path, items)
        items.loc[items["item_id"] == "07", "title"] = "Renamed"
        after, _ = write(server, tmp_path, items.sample(frac=1, random_state=1))
        assert len(server.bodies) == 40 + 2
    assert [one for one in before if one.item_id != "07"] == sorted(
        (one for one in after if one.item_id != "07"), key=before.index
    )
    queries = [f"{word_for('Renamed')} number {n}" for n in (1, 2)]
    assert [one.query for one in after if one.item_id == "07"] == [
        *queries,
        *(f"other {query}" for query in queries),
    ]


def test_items_that_are_always_refused_do_not_stop_a_run_whose_other_answers_are_kept(tmp_path):
    refused = [f"Film {n}\n" for n in range(8, 20)]

    def filtered(number, prompt):
        return (400, {}, ERROR) if any(title in prompt for title in refused) else None

    with serving(fault=filtered) as server:
        made, report = write(server, tmp_path, catalogue(20))
        assert report["left_out"] == [{"kind": "written", "reason": "refused", "items": 12}]
        assert write(server, tmp_path, catalogue(20)) == (made, report)
        assert len(server.bodies) == 20 + 8 + 12


def test_another_model_prompt_or_setting_is_asked_anew_and_the_way_back_is_free(tmp_path):
    with serving() as server:
        first = write(server, tmp_path, catalogue(3))
        write(server, tmp_path, catalogue(3), model="other")
        assert len(server.bodies) == 12
        write(server, tmp_path, catalogue(3), request={"n": 1})
        assert len(server.bodies) == 18
        assert write(server, tmp_path, catalogue(3), retries=9) == first
        assert len(server.bodies) == 18


@pytest.mark.parametrize("wrong", [{"model": None}, {"base_url": "localhost:8000"}])
def test_an_endpoint_without_a_model_or_with_a_silly_address_is_refused(wrong):
    with serving() as server, pytest.raises(ValidationError, match=next(iter(wrong))):
        params(server, **wrong)
