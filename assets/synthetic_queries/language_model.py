"""What a language model is to a generator: something that answers prompts, or says why not."""

from __future__ import annotations

import hashlib
import json
from abc import ABC, abstractmethod
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Literal

Reason = Literal["spending limit", "failed", "refused"]


@dataclass(frozen=True)
class Request:
    """One question to a model.

    Attributes:
        prompt: The whole question.
        attempt: How often it was asked before; another attempt is another answer.
        lines: Lines of a whole answer.
    """

    prompt: str
    attempt: int
    lines: int


@dataclass(frozen=True)
class Answer:
    """What a model wrote.

    Attributes:
        text: The answer.
        whole: False if it was cut off by its length.
        prompt_tokens: Length of the question.
        answer_tokens: Length of the answer.
    """

    text: str
    whole: bool
    prompt_tokens: int
    answer_tokens: int


@dataclass(frozen=True)
class NoAnswer:
    """Why a model did not answer."""

    reason: Reason


Answered = tuple[Request, Answer | NoAnswer]


class LanguageModel(ABC):
    """Answers prompts.

    Attributes:
        name: The model, for people.
        settings: All that an answer depends on beside the request: model, version, sampling.
        at_once: Requests whose answers come together.
    """

    name: str
    settings: Mapping[str, Any]
    at_once: int = 1

    @abstractmethod
    def answers(self, requests: Sequence[Request]) -> Iterator[list[Answered]]:
        """Yield every request once with what became of it, ``at_once`` together, in any order.

        Raises:
            UserError: The model cannot work at all.
        """

    def reused(self, answer: Answer) -> None:  # noqa: B027  most models have no limit
        """Hear of a kept answer that is used again: it counts for spending limits."""

    @property
    def version(self) -> str:
        """sha256 of the settings."""
        return _digest(self.settings)

    def key(self, request: Request) -> str:
        """Return what tells a request to this model from every other: sha256 of all it holds."""
        return _digest([self.version, request.prompt, request.attempt, request.lines])


def _digest(content: Any) -> str:
    return hashlib.sha256(json.dumps(content, sort_keys=True).encode()).hexdigest()
