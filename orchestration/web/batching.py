"""Questions that wait at the same time are answered together.

A model answers 64 questions at once in far less time than one after the other. Nothing waits for
company: as soon as the model is free, it takes what has come in meanwhile, up to a full batch.
"""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Callable, Hashable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from typing import Any

BATCH = 64
MOST_WAITING = 2000


class BusyError(Exception):
    """So many questions wait that one more would wait for minutes."""


@dataclass(frozen=True)
class Waiting:
    """A question on its way.

    Attributes:
        key: Only questions of one key are answered together.
        answer_all: Answers many questions of this key, in their order.
        question: The question.
        answer: Where its answer will be.
    """

    key: Hashable
    answer_all: Callable[[Sequence[Any]], Sequence[Any]]
    question: Any
    answer: asyncio.Future[Any]


@dataclass
class Batcher:
    """The queue in front of the model.

    Attributes:
        batches: Number of batches answered.
        questions: Number of questions in them.
    """

    batches: int = 0
    questions: int = 0
    _queue: deque[Waiting] = field(default_factory=deque)
    _thread: ThreadPoolExecutor = field(default_factory=lambda: ThreadPoolExecutor(1))
    _work: asyncio.Task[None] | None = None

    async def ask(
        self,
        key: Hashable,
        answer_all: Callable[[Sequence[Any]], Sequence[Any]],
        question: Any,
    ) -> Any:
        """Return the answer to a question.

        Args:
            key: Only questions of one key are answered together.
            answer_all: Answers many questions of this key, in their order; it runs in the one
                thread that works on batches.
            question: The question. It must be sound: what `answer_all` raises, all get.

        Raises:
            BusyError: Too many wait already.
        """
        if len(self._queue) >= MOST_WAITING:
            raise BusyError
        answer = asyncio.get_running_loop().create_future()
        self._queue.append(Waiting(key, answer_all, question, answer))
        if self._work is None or self._work.done():
            self._work = asyncio.create_task(self._empty_queue())
        return await answer

    async def _empty_queue(self) -> None:
        loop = asyncio.get_running_loop()
        while batch := self._next():
            self.batches += 1
            self.questions += len(batch)
            questions = [waiting.question for waiting in batch]
            try:
                answers = await loop.run_in_executor(self._thread, batch[0].answer_all, questions)
            except Exception as error:  # noqa: BLE001  belongs to who asked
                for waiting in batch:
                    if not waiting.answer.done():
                        waiting.answer.set_exception(error)
                continue
            for waiting, answer in zip(batch, answers, strict=True):
                if not waiting.answer.done():
                    waiting.answer.set_result(answer)

    def _next(self) -> list[Waiting]:
        """Take the oldest question and what can be answered with it; who left is forgotten."""
        waiting = [one for one in self._queue if not one.answer.done()]
        batch = [one for one in waiting if one.key == waiting[0].key][:BATCH]
        taken = set(map(id, batch))
        self._queue = deque(one for one in waiting if id(one) not in taken)
        return batch
