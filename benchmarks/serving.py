"""Throughput and latency of `sidmill serve` on the current release, with 1 and with 200 clients.

Run: python benchmarks/serving.py [--seconds 5] [--clients 1 200]. First it says how long loading
the release takes. Each client asks its next question when it has the answer to the last; a single
one (--clients 1) tells how long one question takes. The clients take a share of the same cores.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import socket
import subprocess
import sys
import time
from itertools import cycle
from pathlib import Path
from typing import Self

import numpy as np

from assets.interactions.artifact import Interactions
from assets.synthetic_queries.artifact import SyntheticQueries
from orchestration.releases.store import Release, current

PATIENCE = 120
# A program that loads a release, a first search included, and then once more.
LOADING = """
import sys, time
times = [time.perf_counter()]
from pathlib import Path
from orchestration.releases.answering import load_answers
for _ in range(2):
    load_answers(Path(sys.argv[1]), searches=True)
    times.append(time.perf_counter())
print(times[1] - times[0], times[2] - times[1])
"""


class Client:
    """One connection that is kept open."""

    def __init__(self, port: int) -> None:
        self.port = port

    async def __aenter__(self) -> Self:
        self.reader, self.writer = await asyncio.open_connection("127.0.0.1", self.port)
        return self

    async def __aexit__(self, *_: object) -> None:
        self.writer.close()
        await self.writer.wait_closed()

    async def ask(self, path: str, question: object = None) -> tuple[int, bytes]:
        """Return status and body."""
        body = b"" if question is None else json.dumps(question).encode()
        head = (
            f"{'POST' if body else 'GET'} {path} HTTP/1.1\r\nHost: localhost\r\n"
            f"Content-Type: application/json\r\nContent-Length: {len(body)}\r\n\r\n"
        )
        self.writer.write(head.encode() + body)
        await self.writer.drain()
        answer = (await self.reader.readuntil(b"\r\n\r\n")).decode().lower()
        length = int(answer.split("content-length:")[1].split("\r\n")[0])
        return int(answer.split()[1]), await self.reader.readexactly(length)


async def measure(
    port: int, path: str, questions: list[object], clients: int, seconds: float
) -> str:
    took: list[float] = []
    lost = 0
    stop = time.perf_counter() + seconds
    waiting = cycle(questions)

    async def ask_on() -> None:
        nonlocal lost
        async with Client(port) as client:
            while time.perf_counter() < stop:
                started = time.perf_counter()
                status, body = await client.ask(path, next(waiting))
                if status == 200 and json.loads(body)["results"]:
                    took.append(time.perf_counter() - started)
                else:
                    lost += 1

    started = time.perf_counter()
    ends = await asyncio.gather(*(ask_on() for _ in range(clients)), return_exceptions=True)
    passed = time.perf_counter() - started
    lost += sum(isinstance(end, BaseException) for end in ends)
    middle, high, highest = np.percentile(took, [50, 95, 99]) * 1000
    return (
        f"{path[1:]:<10} {clients:>4} clients {passed:>6.1f} s  {len(took) / passed:>7.1f} a second"
        f"  p50 {middle:>7.0f}  p95 {high:>7.0f}  p99 {highest:>7.0f} ms"
        f"  {len(took):>6} answered, {lost} lost"
    )


def loading(folder: Path) -> str:
    command = [sys.executable, "-c", LOADING, str(folder.resolve())]
    done = subprocess.run(command, stdout=subprocess.PIPE, text=True, check=True)  # noqa: S603  ours
    first, again = map(float, done.stdout.split())
    return f"loading    {first:.1f} s with the imports, {again:.1f} s without"


async def ready(port: int, server: subprocess.Popen[bytes]) -> None:
    give_up = time.monotonic() + PATIENCE
    while time.monotonic() < give_up and server.poll() is None:
        try:
            async with Client(port) as client:
                if (await client.ask("/health"))[0] == 200:
                    return
        except OSError:
            await asyncio.sleep(0.2)
    raise SystemExit("the server did not start")


async def measure_all(release: Release, numbers: list[int], seconds: float) -> None:
    queries = (
        SyntheticQueries.load(release.folder / "synthetic_queries").tasks("validation").queries
    )
    sessions = Interactions.load(Path("data") / "interactions").sessions("validation")
    questions: dict[str, list[object]] = {
        "/search": [{"query": query} for query in queries],
        "/recommend": [{"items": history[-20:]} for history in sessions.histories],
    }
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    command = [Path(sys.executable).with_name("sidmill"), "serve", "--port", str(port)]
    with subprocess.Popen(command, stdout=subprocess.DEVNULL) as server:  # noqa: S603  ours
        try:
            await ready(port, server)
            for path, asked in questions.items():
                for clients in numbers if asked else ():
                    print(await measure(port, path, asked, clients, seconds), flush=True)
        finally:
            server.terminate()


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("--seconds", type=float, default=5.0, help="of each measurement")
    parser.add_argument("--clients", type=int, nargs="+", default=[1, 200])
    arguments = parser.parse_args()
    release = current(Path())
    if release is None:
        print("nothing is released here, so there is nothing to serve: `make run` first.")
        return
    print(loading(release.folder), flush=True)
    asyncio.run(measure_all(release, arguments.clients, arguments.seconds))


if __name__ == "__main__":
    main()
