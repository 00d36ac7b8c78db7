"""The routes of the service: each checks its question, asks, and answers in JSON."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncIterator, MutableMapping
from typing import Annotated, Any

from fastapi import FastAPI, Query, Request
from fastapi.exceptions import RequestValidationError
from fastapi.responses import HTMLResponse, JSONResponse
from starlette.exceptions import HTTPException
from starlette.middleware.trustedhost import TrustedHostMiddleware
from starlette.types import ASGIApp, Receive, Scope, Send

from assets.stage import UserError
from orchestration.releases.answering import UnknownError, history_of
from orchestration.web.batching import BusyError
from orchestration.web.docs_page import docs_page
from orchestration.web.questions import (
    Answer,
    Health,
    Item,
    Problem,
    RecommendQuestion,
    SearchQuestion,
)
from orchestration.web.serving import Serving

MOST_BYTES = 1_000_000  # of a request's body
PROBLEMS: dict[int | str, dict[str, Any]] = {
    code: {"model": Problem, "description": text}
    for code, text in {
        400: "What the release cannot do.",
        404: "Unknown item or user.",
        422: "A bad question.",
        503: "Too many questions wait.",
    }.items()
}


def build_app(serving: Serving, every: float = 1.0) -> FastAPI:
    """Build the service.

    Args:
        serving: The release that answers.
        every: Seconds between two looks at which release is current.
    """

    @contextlib.asynccontextmanager
    async def following(_: FastAPI) -> AsyncIterator[None]:
        task = asyncio.create_task(serving.follow(every))
        yield
        task.cancel()

    app = FastAPI(
        title="Sidmill",
        summary="Search and recommendation by Semantic IDs, from the current release.",
        version="1",
        lifespan=following,
        docs_url=None,  # these two would load their scripts from elsewhere
        redoc_url=None,
        responses=PROBLEMS,
    )
    app.add_middleware(SmallBodies)
    # A page from elsewhere may not read answers by giving its own name this machine's address.
    app.add_middleware(TrustedHostMiddleware, allowed_hosts=["localhost", "127.0.0.1"])
    _add_problems(app)

    @app.get("/search", tags=["ask"], response_model_exclude_unset=True)
    async def search(question: Annotated[SearchQuestion, Query()]) -> Answer:
        """Find items for a query."""
        return await _searched(serving, question)

    @app.post("/search", tags=["ask"], response_model_exclude_unset=True)
    async def search_by_body(question: SearchQuestion) -> Answer:
        """Find items for a query."""
        return await _searched(serving, question)

    @app.get("/recommend", tags=["ask"], response_model_exclude_unset=True)
    async def recommend(question: Annotated[RecommendQuestion, Query()]) -> Answer:
        """Recommend what comes next; `items` may stand several times, the oldest first."""
        return await _recommended(serving, question)

    @app.post("/recommend", tags=["ask"], response_model_exclude_unset=True)
    async def recommend_by_body(question: RecommendQuestion) -> Answer:
        """Recommend what comes next, after a user's history or after some items."""
        return await _recommended(serving, question)

    @app.get("/items/{item_id:path}", tags=["look"])
    async def item(item_id: str) -> Item:
        """Show an item's Semantic ID and the items that share each prefix of it."""
        loaded = serving.loaded
        found = await asyncio.to_thread(loaded.catalogue.show, item_id)
        return Item(release=loaded.release.name, **found)

    @app.get("/health", tags=["look"])
    async def health() -> Health:
        """Say which release answers."""
        loaded, batcher = serving.loaded, serving.batcher
        return Health(
            status="ok",
            release=loaded.release.name,
            tasks=list(loaded.answers.tasks),
            items=len(loaded.answers.parts.catalogue.item_ids),
            questions=batcher.questions,
            batches=batcher.batches,
        )

    @app.get("/docs", include_in_schema=False)
    @app.get("/", include_in_schema=False)
    async def docs(request: Request) -> HTMLResponse:
        return HTMLResponse(docs_page(app.openapi(), str(request.base_url)))

    return app


async def _searched(serving: Serving, question: SearchQuestion) -> Answer:
    loaded = serving.loaded
    _require_learnt(loaded.answers.tasks, "search")
    if question.explain:
        rows = await serving.explain(loaded, question.query, question.k, question.by)
    else:
        rows = await serving.search(loaded, question.query, question.k, question.by)
    return Answer.model_validate({"release": loaded.release.name, "results": rows})


async def _recommended(serving: Serving, question: RecommendQuestion) -> Answer:
    loaded = serving.loaded
    _require_learnt(loaded.answers.tasks, "recommendation")
    if question.user is not None:
        history = history_of(loaded.release, loaded.answers, question.user)
    else:
        history = question.items or []
        loaded.catalogue.require(history)
    if question.explain:
        rows = await serving.explain(loaded, history, question.k, question.by)
    else:
        rows = await serving.recommend(loaded, history, question.k, question.by)
    return Answer.model_validate({"release": loaded.release.name, "results": rows})


def _require_learnt(tasks: tuple[str, ...], task: str) -> None:
    if task not in tasks:
        raise UserError(f"this release knows no {task}: its data held nothing to learn it from.")


def _add_problems(app: FastAPI) -> None:
    """Answer every mistake with its status and one sentence."""

    @app.exception_handler(RequestValidationError)
    async def bad_question(_: Request, error: RequestValidationError) -> JSONResponse:
        return _problem(422, "; ".join(map(_sentence, error.errors())) + ".")

    @app.exception_handler(UnknownError)
    async def unknown(_: Request, error: UnknownError) -> JSONResponse:
        return _problem(404, str(error))

    @app.exception_handler(UserError)
    async def impossible(_: Request, error: UserError) -> JSONResponse:
        return _problem(400, str(error))

    @app.exception_handler(BusyError)
    async def busy(_: Request, __: BusyError) -> JSONResponse:
        return _problem(503, "too many questions wait: ask again in some seconds.")

    @app.exception_handler(HTTPException)
    async def other(request: Request, error: HTTPException) -> JSONResponse:
        texts = {
            404: f"there is no {request.url.path} here: see /docs.",
            405: f"{request.url.path} does not take {request.method}: see /docs.",
        }
        return _problem(error.status_code, texts.get(error.status_code, str(error.detail)))


def _problem(status: int, text: str) -> JSONResponse:
    # What was asked may hold characters that UTF-8 cannot write.
    return JSONResponse({"error": text.encode(errors="replace").decode()}, status)


def _sentence(problem: MutableMapping[str, Any]) -> str:
    """Say what is wrong with one value of a question, without repeating the value."""
    if problem["type"] == "json_invalid":
        return f"the body is no valid JSON: {problem['ctx']['error']}"
    place = ".".join(str(part) for part in problem["loc"][1:])
    text = problem["msg"].removeprefix("Value error, ")
    return f"{place}: {text}" if place else text


class SmallBodies:
    """Refuses bodies that no question needs, before they are read."""

    def __init__(self, app: ASGIApp) -> None:
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Hand on a request and count what it brings."""
        taken = 0

        async def counted() -> MutableMapping[str, Any]:
            nonlocal taken
            message = await receive()
            taken += len(message.get("body", b""))
            if taken > MOST_BYTES:
                raise HTTPException(413, f"the body is larger than {MOST_BYTES:,} bytes.")
            return message

        await self._app(scope, counted, send)


def run(app: FastAPI, port: int) -> None:
    """Serve on this machine, and to this machine alone, until somebody ends it."""
    import uvicorn

    uvicorn.run(app, host="127.0.0.1", port=port, log_level="warning", access_log=False)
