"""Answers of language models kept between runs, so that none is paid for twice.

``<folder>/answers/<version of the model>.jsonl`` has a line for every answer, appended with a
single write as it comes. What a kill left half-written is no valid line and counts as absent.
"""

from __future__ import annotations

import dataclasses
import json
import os
from collections.abc import Collection
from pathlib import Path
from types import TracebackType
from typing import Self

from assets.synthetic_queries.language_model import Answer, LanguageModel, Request


class AnswerStore:
    """The answers of one model; a context manager.

    Args:
        folder: ``data/cache``.
        model: Whose answers.
    """

    def __init__(self, folder: Path, model: LanguageModel) -> None:
        self._model = model
        self._file = folder / "answers" / f"{model.version}.jsonl"
        self._file.parent.mkdir(parents=True, exist_ok=True)
        self._handle = os.open(self._file, os.O_RDWR | os.O_APPEND | os.O_CREAT, 0o644)
        if not self._ends_with_a_line():
            os.write(self._handle, b"\n")

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        os.close(self._handle)

    def find(self, requests: Collection[Request]) -> dict[Request, Answer]:
        """Return the kept answers of some requests; of several answers to one, the first."""
        wanted = {self._model.key(request): request for request in requests}
        found: dict[Request, Answer] = {}
        with self._file.open("rb") as lines:
            for line in lines:
                try:
                    entry = json.loads(line)
                    request = wanted.get(entry.pop("key"))
                    if request is not None:
                        found.setdefault(request, Answer(**entry))
                except (ValueError, TypeError, AttributeError, KeyError):
                    continue
        return found

    def keep(self, request: Request, answer: Answer) -> None:
        """Append an answer."""
        entry = {"key": self._model.key(request), **dataclasses.asdict(answer)}
        line = memoryview(json.dumps(entry).encode() + b"\n")
        while line:
            line = line[os.write(self._handle, line) :]

    def _ends_with_a_line(self) -> bool:
        size = os.fstat(self._handle).st_size
        return not size or os.pread(self._handle, 1, size - 1) == b"\n"
