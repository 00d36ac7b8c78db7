"""A language model behind an endpoint that speaks OpenAI's protocol (chat completions)."""

from __future__ import annotations

import contextlib
import random
import threading
import time
from collections.abc import Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor, as_completed
from email.utils import parsedate_to_datetime
from typing import TYPE_CHECKING, Any

from assets.machine import Machine
from assets.stage import UserError
from assets.synthetic_queries.budget import Budget
from assets.synthetic_queries.language_model import (
    Answer,
    Answered,
    LanguageModel,
    NoAnswer,
    Request,
)
from assets.synthetic_queries.params import SyntheticQueriesParams

if TYPE_CHECKING:
    from openai import APIStatusError

WRONG_SETTINGS = {401, 402, 403, 404, 405}
PASSING = {408, 409, 425, 429}  # and all from 500
PATIENCE = 10  # requests in a row, each after all its retries, before the endpoint counts as down


class Endpoint(LanguageModel):
    """Asks for answers over HTTP, several at a time, within a spending limit.

    A request that fails for the moment (429, 5xx, no answer in time, a cut connection, an answer
    that is no JSON) is sent again after ``backoff`` · 2ⁿ seconds, shortened by up to half at
    random, or after what the server's Retry-After says if that is longer. While one waits for a
    Retry-After, no other request is sent. A request that the server refuses (another 4xx) is not
    sent again.

    Args:
        params: The stage's params; read are ``llm`` and ``openai``.
        machine: Holds the key and how many requests may run at once.
    """

    def __init__(self, params: SyntheticQueriesParams, machine: Machine) -> None:
        try:
            from openai import OpenAI
        except ModuleNotFoundError as error:
            raise UserError(
                "params.yaml, synthetic_queries.generator: `openai` needs the package openai: run "
                "`.venv/bin/pip install 'openai>=3.54'`."
            ) from error
        self._params = params.openai
        self._concurrency = machine.openai_concurrency
        self._budget = Budget(params.openai.max_requests, params.openai.max_tokens)
        self.name = f"{params.openai.model} at {params.openai.base_url}"
        wanted = {
            "model": params.openai.model,
            "temperature": params.llm.temperature,
            "top_p": params.llm.top_p,
            "max_tokens": params.llm.answer_tokens,
            **params.openai.request,
        }
        self._fields = {name: value for name, value in wanted.items() if value is not None}
        limits = [self._fields.get(name) for name in ("max_tokens", "max_completion_tokens")]
        self._longest_answer = max([limit for limit in limits if isinstance(limit, int)], default=0)
        self.settings = {
            "generator": "openai",
            "base_url": params.openai.base_url,
            "seed": params.seed,
            **self._fields,
        }
        self._client = OpenAI(
            base_url=params.openai.base_url,
            api_key=machine.openai_key.get_secret_value().strip() or "none",
            timeout=params.openai.timeout,
            max_retries=0,
        )
        self._lock = threading.Lock()
        self._over = threading.Event()
        self._quiet_until = 0.0
        self._answered = 0
        self._refusals = 0
        self._in_vain = 0

    def answers(self, requests: Sequence[Request]) -> Iterator[list[Answered]]:
        """Yield answers as they come; see the base class.

        Raises:
            UserError: The key, the address or the model is wrong, or the endpoint is down.
        """
        pool = ThreadPoolExecutor(self._concurrency, thread_name_prefix="endpoint")
        try:
            futures = {pool.submit(self._answer, request): request for request in requests}
            for future in as_completed(futures):
                yield [(futures[future], future.result())]
        finally:
            self._over.set()  # whoever waits for a retry, stops
            pool.shutdown(cancel_futures=True)
            self._over.clear()

    def reused(self, answer: Answer) -> None:
        """Count a kept answer's cost."""
        self._answered += 1
        self._budget.charge(answer.prompt_tokens + answer.answer_tokens)

    def _answer(self, request: Request) -> Answer | NoAnswer:
        from openai import APIConnectionError, APIStatusError, APITimeoutError

        # A token has a byte at least; the chat around the prompt is not longer than 100 tokens.
        most = len(request.prompt.encode()) + 100 + self._longest_answer
        problem = ""
        for attempt in range(self._params.retries + 1):
            self._wait_for_quiet()
            if self._over.is_set() or not self._budget.reserve(most):
                return NoAnswer("spending limit")
            asked_to_wait = 0.0
            try:
                answer = self._send(request, most)
            except APIStatusError as error:
                self._budget.settle(most, 0)
                problem = _said(error)
                if not _passing(error):
                    return self._refused(error, problem)
                asked_to_wait = _retry_after(error.response.headers)
            except APITimeoutError:  # what it cost is unknown: the reservation stays
                problem = f"no answer within {self._params.timeout:g} s"
            except (APIConnectionError, ValueError) as error:
                problem = str(error.__cause__ or error) or type(error).__name__
            else:
                self._budget.settle(most, answer.prompt_tokens + answer.answer_tokens)
                with self._lock:
                    self._answered += 1
                    self._in_vain = 0
                return answer
            if attempt < self._params.retries:
                self._pause(attempt, asked_to_wait)
        return self._failed(problem)

    def _send(self, request: Request, most: int) -> Answer:
        """Send a request once.

        Raises:
            openai.APIError: No connection, no answer in time, or an HTTP error.
            ValueError: What came is no chat completion.
        """
        response = self._client.chat.completions.with_raw_response.create(
            model=str(self._params.model),
            messages=[{"role": "user", "content": request.prompt}],
            extra_body=self._fields,
        )
        body = response.http_response.json()
        try:
            choice = body["choices"][0]
            text = choice["message"]["content"] or ""
            usage = body.get("usage") or {}
            prompt = int(usage.get("prompt_tokens", len(request.prompt.encode())))
            written = int(usage.get("completion_tokens", most - len(request.prompt.encode())))
        except (AttributeError, IndexError, KeyError, TypeError) as error:
            raise ValueError("the answer is no chat completion") from error
        if not isinstance(text, str):
            raise ValueError("the answer's content is no text")  # noqa: TRY004  as a bad body
        return Answer(text, choice.get("finish_reason") != "length", prompt, written)

    def _pause(self, attempt: int, asked: float) -> None:
        own = self._params.backoff * 2**attempt * random.uniform(0.5, 1)  # noqa: S311  no secret
        if asked:
            with self._lock:
                until = time.monotonic() + min(asked, self._params.longest_wait)
                self._quiet_until = max(self._quiet_until, until)
        self._over.wait(min(max(own, asked), self._params.longest_wait))

    def _wait_for_quiet(self) -> None:
        with self._lock:
            left = self._quiet_until - time.monotonic()
        if left > 0:
            self._over.wait(left)

    def _refused(self, error: APIStatusError, problem: str) -> NoAnswer:
        """Set one item aside, or end all where the settings must be wrong."""
        with self._lock:
            self._refusals += 1
            hopeless = not self._answered and self._refusals >= PATIENCE
        if error.status_code in WRONG_SETTINGS or error.code == "insufficient_quota" or hopeless:
            self._over.set()  # nobody else need find out
            raise UserError(
                f"params.yaml, synthetic_queries.openai: {self._params.base_url} refuses the model "
                f"`{self._params.model}`: {problem} Set base_url, model and request there and the "
                "key in SIDMILL_OPENAI_KEY; answers so far are kept."
            )
        return NoAnswer("refused")

    def _failed(self, problem: str) -> NoAnswer:
        """Set one item aside, or end all where the endpoint is down."""
        with self._lock:
            self._in_vain += 1
            down = self._in_vain >= PATIENCE
        if down:
            self._over.set()
            raise UserError(
                f"{self._params.base_url} gave no answer to {PATIENCE} requests in a row, each "
                f"sent {self._params.retries + 1} times ({problem}): run again later, answers so "
                "far are kept and not asked for again."
            )
        return NoAnswer("failed")


def _passing(error: APIStatusError) -> bool:
    """Tell whether the same request may succeed later."""
    return error.code != "insufficient_quota" and (
        error.status_code in PASSING or error.status_code >= 500
    )


def _said(error: APIStatusError) -> str:
    body: Any = error.body
    said = body.get("message") if isinstance(body, Mapping) else None
    text = " ".join(str(said or error.response.reason_phrase).split())[:300].rstrip(".")
    return f"{error.status_code}, {text}."


def _retry_after(headers: Mapping[str, str]) -> float:
    """Return the seconds that a server asks to wait, told as a number or as a date; else 0."""
    told = headers.get("retry-after", "0")
    with contextlib.suppress(ValueError):
        return max(0.0, float(told))
    with contextlib.suppress(ValueError):
        return max(0.0, parsedate_to_datetime(told).timestamp() - time.time())
    return 0.0
