"""A small server that speaks OpenAI's protocol on 127.0.0.1, with faults on demand."""

from __future__ import annotations

import hashlib
import json
import re
import threading
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from time import monotonic

Reply = tuple[int, dict[str, str], bytes] | str  # status, headers, body; or `hang`, `cut`


@dataclass
class ChatServer:
    """What the server did.

    Attributes:
        url: Its base URL.
        fault: Called with the number of each request, from 0, and its prompt: what to do instead
            of answering, or None.
        prompts: How often each prompt was answered, 0 where it only failed.
        bodies: The JSON of each request, in order of arrival.
        times: When each arrived.
        keys: The Authorization headers.
        most_at_once: Most requests that were open at the same time.
        together: Answers wait until so many requests are open, the first time.
    """

    url: str = ""
    fault: Callable[[int, str], Reply | None] = lambda *_: None
    prompts: Counter[str] = field(default_factory=Counter)
    bodies: list[dict] = field(default_factory=list)
    times: list[float] = field(default_factory=list)
    keys: set[str] = field(default_factory=set)
    most_at_once: int = 0
    together: int = 1
    usage: bool = True
    _open: int = 0
    _lock: threading.Lock = field(default_factory=threading.Lock)
    _met: threading.Event = field(default_factory=threading.Event)
    _ended: threading.Event = field(default_factory=threading.Event)

    def reply(self, body: dict, key: str) -> Reply:
        prompt = body["messages"][0]["content"]
        with self._lock:
            number = len(self.bodies)
            self.bodies.append(body)
            self.times.append(monotonic())
            self.keys.add(key)
            self._open += 1
            self.most_at_once = max(self.most_at_once, self._open)
            if self._open >= self.together:
                self._met.set()
        self._met.wait(10)
        fault = self.fault(number, prompt)
        with self._lock:
            self._open -= 1
            self.prompts[prompt] += fault is None
        if fault == "hang":
            self._ended.wait(10)
        return fault or (200, {}, json.dumps(self.completion(prompt)).encode())

    def completion(self, prompt: str) -> dict:
        text = answer_to(prompt)
        usage = {"prompt_tokens": len(prompt.split()), "completion_tokens": len(text.split())}
        message = {"role": "assistant", "content": text}
        choice = {"index": 0, "message": message, "finish_reason": "stop"}
        return {"id": "x", "object": "chat.completion", "choices": [choice]} | (
            {"usage": usage} if self.usage else {}
        )


def answer_to(prompt: str) -> str:
    """Well-formed queries that tell items apart; paraphrases that tell queries apart."""
    given = re.findall(r"^\d+\. (.+)$", prompt, re.MULTILINE)
    if given:
        return "\n".join(f"{place}. other {text}" for place, text in enumerate(given, 1))
    count = int(re.search(r"list of (\d+) lines", prompt)[1])
    title = re.search(r"^Title: (.*)$", prompt, re.MULTILINE)[1]
    return "\n".join(f"{n}. {word_for(title)} number {n}" for n in range(1, count + 1))


def word_for(title: str) -> str:
    """A word that stands for a title and for no other."""
    return hashlib.sha256(title.encode()).hexdigest()[:8]


@contextmanager
def serving(**settings) -> Iterator[ChatServer]:
    """Serve on a free port until the block ends."""
    state = ChatServer(**settings)

    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def do_POST(self):
            assert self.path == "/v1/chat/completions"
            body = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
            reply = state.reply(body, self.headers["Authorization"])
            if reply == "hang":
                self.close_connection = True
                return
            if reply == "cut":
                self.send_response(200)
                self.send_header("Content-Type", "application/json")
                self.send_header("Content-Length", "1000")
                self.end_headers()
                self.wfile.write(b'{"choices": [{"mess')
                self.close_connection = True
                return
            status, headers, content = reply
            self.send_response(status)
            for name, value in {"Content-Type": "application/json", **headers}.items():
                self.send_header(name, value)
            self.send_header("Content-Length", str(len(content)))
            self.end_headers()
            self.wfile.write(content)

        def log_message(self, *_):
            pass

        def handle(self):
            with suppress(ConnectionError):
                super().handle()

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    server.daemon_threads = True
    state.url = f"http://127.0.0.1:{server.server_address[1]}/v1"
    thread = threading.Thread(target=server.serve_forever, args=(0.01,))
    thread.start()
    try:
        yield state
    finally:
        state._ended.set()
        server.shutdown()
        thread.join()
        server.server_close()
