"""The service over real HTTP: right answers, sentences for mistakes, no gap between releases."""

from __future__ import annotations

import asyncio
import http.client
import json
import shutil
import socket
import threading
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import quote, urlencode

import pytest
import uvicorn

from assets.interactions.artifact import Interactions
from assets.stage import UserError
from orchestration.releases.answering import current_release
from orchestration.web.app import MOST_BYTES, build_app
from orchestration.web.batching import BATCH
from orchestration.web.serving import Serving

QUERIES = ["old western", "animated children film", "space robots", "star wars", "1990s drama"]


@dataclass
class Service:
    """A running service and the project it serves."""

    root: Path
    port: int
    serving: Serving

    def ask(self, path: str, body: object = None, method: str | None = None, **parameters: object):
        """Ask on a connection of its own: status and answer."""
        connection = http.client.HTTPConnection("127.0.0.1", self.port, timeout=60)
        content = body if isinstance(body, bytes | None) else json.dumps(body).encode()
        if parameters:
            path += "?" + urlencode(parameters, doseq=True)
        try:
            kind = {} if body is None else {"Content-Type": "application/json"}
            connection.request(method or ("GET" if body is None else "POST"), path, content, kind)
            answer = connection.getresponse()
            text = answer.read().decode()
        finally:
            connection.close()
        return answer.status, json.loads(text) if text.startswith("{") else text


@pytest.fixture(scope="module")
def service(project, tmp_path_factory) -> Iterator[Service]:
    project.make("answers")
    root = tmp_path_factory.mktemp("served")
    _put(project.folder / "data", root, 1)
    _make_current(root, 1)
    serving = Serving(root)
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()  # whoever asks before the server is up waits
        config = uvicorn.Config(build_app(serving, every=0.05), log_level="warning")
        server = uvicorn.Server(config)
        thread = threading.Thread(target=server.run, args=([taken],))
        thread.start()
        try:
            yield Service(root, taken.getsockname()[1], serving)
        finally:
            server.should_exit = True
            thread.join(timeout=30)
    assert not thread.is_alive()


def _put(data: Path, root: Path, number: int) -> None:
    folder = root / "data" / "releases" / f"r{number}-00000000"
    shutil.copytree(data, folder, ignore=shutil.ignore_patterns("incoming", "cache", "logs", ".*"))
    entry = {"name": folder.name, "number": number, "created": "", "sid_version": "0" * 64}
    entry |= {"metrics": {}, "assets": {}, "params": {}}
    (folder / "release.json").write_text(json.dumps(entry))


def _make_current(root: Path, number: int) -> None:
    link = root / "data" / "releases" / ".next"
    link.symlink_to(f"r{number}-00000000")
    link.replace(link.with_name("current"))


def _same(rows, results) -> None:
    """Equal but for the rounding of batches."""
    assert [row["rank"] for row in rows] == list(range(1, len(rows) + 1))
    assert [row["score"] for row in rows] == pytest.approx(
        [result.score for result in results], abs=1e-4
    )


def test_a_search_answers_as_the_release_does_whole_and_by_part(service):
    answers = service.serving.loaded.answers
    for by in (None, *answers.names("search")):
        status, answer = service.ask("/search", {"query": "space robots", "k": 7, "by": by})
        assert status == 200
        assert answer["release"] == current_release(service.root).name
        _same(answer["results"], answers.search("space robots", 7, by))
    assert service.ask("/search", query="space robots", k=7, by=by) == (status, answer)
    status, problem = service.ask("/search", {"query": "space robots", "by": "nobody"})
    assert status == 400
    assert "no part `nobody`" in problem["error"]
    assert len(service.ask("/search", query="old", k=100)[1]["results"]) == 100


def test_an_answer_says_why_where_that_is_asked(service):
    """The same items; each with every part's rank, its ID's path and what it goes with."""
    answers = service.serving.loaded.answers
    ids = answers.parts.catalogue.item_ids[answers.parts.catalogue.by_popularity[:3]].tolist()
    for path, question in (
        ("/search", {"query": "space robots", "k": 4}),
        ("/recommend", {"items": ids, "k": 4}),
    ):
        plain = service.ask(path, question)[1]["results"]
        explained = service.ask(path, question | {"explain": True})[1]["results"]
        assert not any("why" in row for row in plain)
        assert [row["item_id"] for row in explained] == [row["item_id"] for row in plain]
        task = "search" if path == "/search" else "recommendation"
        for row in explained:
            assert list(row["why"]["parts"]) == answers.names(task)
            assert row["why"]["path"][-1]["prefix"] == row["sid"]
            assert {other["item_id"] for other in row["why"]["goes_with"]} <= set(ids)
    assert any(row["why"]["goes_with"] for row in explained)


def test_a_part_that_one_task_lacks_spoils_no_explanation_of_the_other(service):
    """Both wait side by side, in either order."""
    serving = Serving(service.root)
    items = serving.loaded.answers.parts.catalogue.item_ids[:2].tolist()

    async def ask(questions):
        asked = (serving.explain(serving.loaded, one, 3, "dense") for one in questions)
        return await asyncio.gather(*asked, return_exceptions=True)

    for first, second in (("star wars", items), (items, "star wars")):
        answers = dict(
            zip((type(first), type(second)), asyncio.run(ask((first, second))), strict=True)
        )
        assert len(answers[str]) == 3
        assert isinstance(answers[list], UserError)
        assert "recommendation knows no part `dense`" in str(answers[list])


def test_a_recommendation_after_items_or_a_user(service, project):
    loaded = service.serving.loaded
    items = loaded.answers.parts.catalogue.item_ids[:3].tolist()
    status, answer = service.ask("/recommend", {"items": items, "k": 4})
    assert status == 200
    _same(answer["results"], loaded.answers.recommend(items, 4))
    assert service.ask("/recommend", items=items, k=4) == (status, answer)
    data = Interactions.load(project.folder / "data" / "interactions")
    user = data.interactions("train")["user_id"].iloc[0]
    status, answer = service.ask("/recommend", user=user)
    assert status == 200
    assert len(answer["results"]) == 10


def test_an_item_is_shown_with_those_who_share_its_prefixes(service):
    item = service.serving.loaded.answers.parts.catalogue.item_ids[5]
    status, answer = service.ask(f"/items/{quote(item)}")
    assert status == 200
    assert answer["sid"] == answer["prefixes"][-1]["prefix"]
    shown = service.serving.loaded.catalogue.show(item)
    assert answer == {"release": answer["release"], **shown}


@pytest.mark.parametrize(
    ("path", "parameters", "status", "said"),
    [
        ("/search", {"query": " "}, 422, "query: is empty: give it a few words."),
        ("/search", {}, 422, "query: Field required."),
        ("/search", {"query": "x" * 1001}, 422, "at most 1000 characters"),
        ("/search", {"query": "x", "k": 0}, 422, "k: Input should be greater"),
        ("/search", {"query": "x", "k": 1001}, 422, "k: Input should be less"),
        ("/search", {"query": "x", "k": "many"}, 422, "k: Input should be a valid integer"),
        ("/search", {"query": "x", "page": 2}, 422, "page: Extra inputs"),
        ("/recommend", {"items": "nobody"}, 404, "no item has the id 'nobody' in r"),
        ("/recommend", {"user": "nobody"}, 404, "user nobody has no interactions in r"),
        ("/recommend", {}, 422, "give either a user or items."),
        ("/recommend", {"user": "1", "items": "1"}, 422, "give either a user or items."),
        ("/items/nobody", {}, 404, "no item has the id 'nobody' in r"),
        ("/items/%ff%00", {}, 404, "no item has the id"),
        ("/nothing", {}, 404, "there is no /nothing here: see /docs."),
    ],
)
def test_a_bad_question_is_answered_with_a_sentence(service, path, parameters, status, said):
    got, answer = service.ask(path, **parameters)
    assert got == status
    assert list(answer) == ["error"]
    assert said in answer["error"]


@pytest.mark.parametrize(
    ("body", "status"),
    [
        (b'{"query": ', 422),
        (b"[]", 422),
        (b'"x"', 422),
        (b'{"query": "caf\xe9"}', 400),
        (b"[" * 100_000, 400),
        (b'{"query": "\\ud800"}', 422),
        (b'{"query": 5}', 422),
        (b'{"query": "x", "k": NaN}', 422),
        (b'{"query": "x", "k": ' + b"9" * 5000 + b"}", 400),
        (b" " * (MOST_BYTES + 1), 413),
    ],
    ids=["cut", "list", "text", "latin", "deep", "surrogate", "number", "nan", "huge", "large"],
)
def test_a_bad_body_is_answered_with_a_sentence(service, body, status):
    got, answer = service.ask("/search", body)
    assert got == status
    assert list(answer) == ["error"]
    assert "Traceback" not in answer["error"]


def test_other_methods_and_other_hosts_are_refused(service):
    assert service.ask("/search", method="DELETE")[0] == 405
    connection = http.client.HTTPConnection("127.0.0.1", service.port, timeout=60)
    connection.request("GET", "/health", headers={"Host": "elsewhere.example"})
    assert connection.getresponse().status == 400
    connection.close()


def test_the_page_of_routes_needs_nothing_from_outside(service):
    status, page = service.ask("/docs")
    assert status == 200
    assert "<script" not in page
    assert "//cdn" not in page
    schema = service.ask("/openapi.json")[1]
    assert all(f"<code>{path}</code>" in page for path in schema["paths"])
    assert set(schema["paths"]) == {"/search", "/recommend", "/items/{item_id}", "/health"}


def test_200_clients_at_once_lose_no_question_and_share_batches(service):
    before = service.ask("/health")[1]
    answers = service.serving.loaded.answers
    single = {query: answers.search(query, 5) for query in QUERIES}
    items = answers.parts.catalogue.item_ids[:2].tolist()
    recommended = answers.recommend(items, 5)
    begin = threading.Barrier(200)

    def client(number: int) -> None:
        begin.wait(timeout=60)
        query = QUERIES[number % len(QUERIES)]
        status, answer = service.ask("/search", {"query": query, "k": 5})
        assert status == 200
        _same(answer["results"], single[query])
        status, answer = service.ask("/recommend", {"items": items, "k": 5})
        assert status == 200
        _same(answer["results"], recommended)

    with ThreadPoolExecutor(200) as clients:
        list(clients.map(client, range(200)))
    after = service.ask("/health")[1]
    assert after["questions"] - before["questions"] == 400
    assert 400 / BATCH <= after["batches"] - before["batches"] <= 200


def test_another_release_answers_without_a_restart_or_a_gap(service, project):
    data = project.folder / "data"
    _put(data, service.root, 2)
    names, asked = [], 0
    _make_current(service.root, 2)
    while "r2-00000000" not in names and asked < 2000:
        status, answer = service.ask("/search", {"query": "star wars"})
        assert status == 200
        names.append(answer["release"])
        asked += 1
    assert names == sorted(names)
    assert names[-1] == "r2-00000000"
    _make_current(service.root, 1)
    while service.ask("/health")[1]["release"] != "r1-00000000" and asked < 50_000:
        asked += 1
    assert service.ask("/search", {"query": "star wars"})[1]["release"] == "r1-00000000"


def test_a_release_that_cannot_be_loaded_leaves_the_last_one_answering(service, capfd):
    folder = service.root / "data" / "releases" / "r3-00000000"
    folder.mkdir()
    source = service.root / "data" / "releases" / "r1-00000000" / "release.json"
    entry = json.loads(source.read_text()) | {"name": folder.name, "number": 3}
    (folder / "release.json").write_text(json.dumps(entry))
    before = service.ask("/health")[1]["release"]
    _make_current(service.root, 3)
    said = ""
    for _ in range(50_000):
        assert service.ask("/health")[1]["release"] == before
        said += capfd.readouterr().err
        if "still answers" in said:
            break
    assert f"{before} still answers: " in said
    assert "holds no answers" in said
    assert service.ask("/search", {"query": "star wars"})[0] == 200
    _make_current(service.root, 1)
