"""The routes of a server: the page, what the bundle is, predictions, health and metrics."""

from __future__ import annotations

import json
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from importlib import metadata, resources
from typing import Any

from fastapi import FastAPI, Request
from fastapi.responses import PlainTextResponse, Response
from starlette.exceptions import HTTPException

from cardiobind.inference import Predictor
from cardiobind.serve.bodies import FORM_SCHEMA, ErrorBody, PredictAnswer, json_schema
from cardiobind.serve.describing import describe
from cardiobind.serve.guarding import FORM_ROUTE, Guard
from cardiobind.serve.metrics import Metrics
from cardiobind.serve.predicting import Explain, Neighbours, Service
from cardiobind.serve.refusals import Refusal
from cardiobind.serve.settings import Settings

TYPES = {
    ".html": "text/html; charset=utf-8", ".js": "text/javascript; charset=utf-8", ".css": "text/css; charset=utf-8",
    ".svg": "image/svg+xml", ".png": "image/png", ".ico": "image/x-icon", ".woff2": "font/woff2",
}  # fmt: skip
REFUSED: dict[int | str, dict[str, Any]] = {
    status: {"model": ErrorBody} for status in (400, 401, 408, 413, 415, 421, 422, 429, 504)
}
PAGE = resources.files("cardiobind.serve") / "page"


def application(
    predictor: Predictor, settings: Settings, *, explain: Explain | None, neighbours: Neighbours | None
) -> FastAPI:
    """Return the server's application; see `cardiobind.serve.make_app`."""
    metrics = Metrics()
    service = Service(predictor, settings, metrics, explain=explain, neighbours=neighbours)
    about = describe(predictor, explains=explain is not None)

    @asynccontextmanager
    async def alive(app: FastAPI) -> AsyncIterator[None]:
        await service.start()
        yield
        await service.close()

    app = FastAPI(
        title="cardiobind", version=metadata.version("cardiobind"), description=about["notice"], docs_url=None,
        redoc_url=None, lifespan=alive,
    )  # fmt: skip
    _answer_questions(app, about, service)
    _predict(app, service)
    _show_page(app)
    app.add_exception_handler(HTTPException, _not_a_route)
    app.state.service = service
    app.add_middleware(Guard, settings=settings, metrics=metrics)
    return app


def _answer_questions(app: FastAPI, about: dict[str, Any], service: Service) -> None:
    @app.get("/v1/health", responses={421: {"model": ErrorBody}})
    async def health() -> dict[str, str]:
        """Say that the server is there."""
        return {"status": "ok"}

    @app.get("/v1/metrics", response_class=PlainTextResponse, responses={k: REFUSED[k] for k in (401, 421)})
    async def metrics() -> PlainTextResponse:
        """Say what was counted, in the text format of Prometheus."""
        restarts = sum(worker.restarts for worker in service.pool.workers)
        return PlainTextResponse(service.metrics.text(restarts), media_type="text/plain; version=0.0.4")

    @app.get("/v1/model", responses={k: REFUSED[k] for k in (401, 421)})
    async def model() -> dict[str, Any]:
        """Say what the bundle predicts, from what, and how well it knows its risk."""
        return about


def _predict(app: FastAPI, service: Service) -> None:
    form = {"requestBody": {"required": True, "content": {"multipart/form-data": {"schema": FORM_SCHEMA}}}}
    body = {
        "requestBody": {
            "required": True,
            "content": {"application/json": {"schema": json_schema(service.predictor.contract)}},
        }
    }

    @app.post(FORM_ROUTE, response_model=PredictAnswer, responses=REFUSED, openapi_extra=form)
    async def predict(request: Request) -> Response:
        """Predict from raw files and medical facts."""
        return Response(await service.form(request), media_type="application/json")

    @app.post(f"{FORM_ROUTE}/json", response_model=PredictAnswer, responses=REFUSED, openapi_extra=body)
    async def predict_json(request: Request) -> Response:
        """Predict from medical facts and the samples of an ECG."""
        return Response(await service.json(request), media_type="application/json")


def _show_page(app: FastAPI) -> None:
    @app.get("/", include_in_schema=False)
    async def page() -> Response:
        return _file("index.html")

    @app.get("/assets/{name}", include_in_schema=False)
    async def asset(name: str) -> Response:
        return _file(name)


def _file(name: str) -> Response:
    """Return a file of the page; only what the package brings is there to be asked for."""
    files = {file.name: file for file in PAGE.iterdir() if file.is_file()}
    kind = TYPES.get(name[name.rfind(".") :])
    if name not in files or kind is None:
        raise HTTPException(404)
    return Response(files[name].read_bytes(), headers={"Content-Type": kind})


async def _not_a_route(request: Request, error: Exception) -> Response:
    status = error.status_code if isinstance(error, HTTPException) else 500
    words = {404: ("not_found", "there is nothing at this path"), 405: ("wrong_method", "the path has another method")}
    code, message = words.get(status, ("bad_request", "the request cannot be understood"))
    headers = dict(getattr(error, "headers", None) or {})
    answer = json.dumps(Refusal(status, code, message).to_json(request.state.request))
    return Response(answer, status, headers, "application/json")
