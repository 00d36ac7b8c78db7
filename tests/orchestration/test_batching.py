"""The queue in front of the model: who is answered with whom, and what becomes of failures."""

from __future__ import annotations

import asyncio
import threading

import pytest

from orchestration.web.batching import BATCH, MOST_WAITING, Batcher, BusyError


class Model:
    """Answers with squares, notes every batch, and can be held up."""

    def __init__(self) -> None:
        self.free = threading.Event()
        self.batches: list[list[int]] = []

    def answer_all(self, numbers):
        assert self.free.wait(timeout=30)
        self.batches.append(list(numbers))
        if -1 in numbers:
            raise ValueError("minus one")
        return [number**2 for number in numbers]


def _asked(batcher: Batcher, model: Model, key: str, number: int) -> asyncio.Task[int]:
    return asyncio.create_task(batcher.ask(key, model.answer_all, number))


async def _all_queued() -> None:
    """Let every task that was just made take its first step."""
    await asyncio.sleep(0)


def test_what_waits_together_is_answered_together_and_never_with_another_key():
    async def run() -> None:
        batcher, model = Batcher(), Model()
        first = _asked(batcher, model, "a", 0)
        await _all_queued()
        await _all_queued()  # the batch of one is on its way and held up
        evens = [_asked(batcher, model, "a", number) for number in range(2, 202, 2)]
        odds = [_asked(batcher, model, "b", number) for number in range(1, 101, 2)]
        await _all_queued()
        model.free.set()
        answers = await asyncio.gather(first, *evens, *odds)
        assert answers == [0, *(n**2 for n in range(2, 202, 2)), *(n**2 for n in range(1, 101, 2))]
        assert model.batches == [
            [0],
            list(range(2, 2 + 2 * BATCH, 2)),
            list(range(2 + 2 * BATCH, 202, 2)),
            list(range(1, 101, 2)),
        ]
        assert (batcher.batches, batcher.questions) == (4, 151)

    asyncio.run(run())


def test_a_failure_is_that_of_its_batch_alone():
    async def run() -> None:
        batcher, model = Batcher(), Model()
        model.free.set()
        bad = [_asked(batcher, model, "bad", number) for number in (-1, 2)]
        good = _asked(batcher, model, "good", 3)
        for task in bad:
            with pytest.raises(ValueError, match="minus one"):
                await task
        assert await good == 9
        assert await _asked(batcher, model, "bad", 4) == 16

    asyncio.run(run())


def test_who_leaves_is_not_worked_for():
    async def run() -> None:
        batcher, model = Batcher(), Model()
        first = _asked(batcher, model, "a", 0)
        await _all_queued()
        await _all_queued()
        leaver, stayer = _asked(batcher, model, "a", 1), _asked(batcher, model, "a", 2)
        await _all_queued()
        leaver.cancel()
        await _all_queued()
        model.free.set()
        assert await asyncio.gather(first, stayer) == [0, 4]
        assert model.batches == [[0], [2]]

    asyncio.run(run())


def test_a_full_queue_refuses_at_once():
    async def run() -> None:
        batcher, model = Batcher(), Model()
        first = _asked(batcher, model, "a", 0)
        await _all_queued()
        await _all_queued()
        waiting = [_asked(batcher, model, "a", number) for number in range(MOST_WAITING)]
        await _all_queued()
        with pytest.raises(BusyError):
            await batcher.ask("a", model.answer_all, 1)
        model.free.set()
        assert len(await asyncio.gather(first, *waiting)) == MOST_WAITING + 1

    asyncio.run(run())
