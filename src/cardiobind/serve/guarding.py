"""What stands before every route: who may ask, how much may be sent, what every answer carries, one line of log."""

from __future__ import annotations

import hmac
import json
import logging
import secrets
import time
from collections.abc import Awaitable, Callable, MutableMapping
from hashlib import sha256
from typing import Any

from cardiobind.serve.metrics import Metrics
from cardiobind.serve.refusals import Refusal, Refused, place_of
from cardiobind.serve.settings import Settings
from cardiobind.serve.uploads import too_large

Message = MutableMapping[str, Any]
Receive = Callable[[], Awaitable[Message]]
Send = Callable[[Message], Awaitable[None]]
App = Callable[[Message, Receive, Send], Awaitable[None]]

METHODS = ("GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS")
FORM_ROUTE = "/v1/predict"
OPEN_ROUTES = ("/v1/health",)
HEADERS = {
    "Content-Security-Policy": "default-src 'self'; img-src 'self' data: blob:; object-src 'none'; base-uri 'none'; "
    "form-action 'self'; frame-ancestors 'none'",
    "X-Content-Type-Options": "nosniff",
    "X-Frame-Options": "DENY",
    "Referrer-Policy": "no-referrer",
    "Permissions-Policy": "camera=(), geolocation=(), microphone=()",
    "Cross-Origin-Opener-Policy": "same-origin",
    "Cross-Origin-Resource-Policy": "same-origin",
}
_log = logging.getLogger("cardiobind.serve")


class Guard:
    """An application within its limits.

    Args:
        app: the application.
        settings: limits, key and hosts.
        metrics: told of every answer.
    """

    def __init__(self, app: App, *, settings: Settings, metrics: Metrics) -> None:
        self._app, self._settings, self._metrics = app, settings, metrics
        self._key = sha256(settings.api_key.encode()).digest() if settings.api_key else None

    async def __call__(self, scope: Message, receive: Receive, send: Send) -> None:
        """Answer one request, or pass on what is none."""
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        request, began, status = secrets.token_hex(8), time.perf_counter(), [0]
        scope.setdefault("state", {})["request"] = request

        async def answer(message: Message) -> None:
            if message["type"] == "http.response.start":
                status[0] = message["status"]
                message["headers"] = [*message.get("headers", ()), *_headers(scope["path"], request)]
            await send(message)

        try:
            self._check(scope)
            await self._app(scope, self._counted(scope, receive), answer)
        except Refused as refused:
            await _refuse(refused.refusal, request, answer)
            self._metrics.refusals[refused.refusal.code] += 1
        except Exception as error:  # noqa: BLE001 - no stack trace leaves the server, nor enters its log: both may hold names
            _log.error("request %s failed: %s", request, place_of(error))
            if not status[0]:
                await _refuse(Refusal(500, "failed", "the server failed to answer this request"), request, answer)
        method = scope["method"] if scope["method"] in METHODS else "other"
        note_answer(self._metrics, request, method, _route(scope), status[0], time.perf_counter() - began)

    def _check(self, scope: Message) -> None:
        headers = {name.lower(): value for name, value in scope["headers"]}
        hosts = self._settings.hosts
        if hosts and _host_name(headers.get(b"host", b"").decode("latin-1")) not in hosts:
            raise Refused(Refusal(421, "unknown_host", "the server does not go by this name", "Host"))
        if self._key is not None and scope["path"].startswith("/v1/") and scope["path"] not in OPEN_ROUTES:
            given = headers.get(b"x-api-key") or headers.get(b"authorization", b"").removeprefix(b"Bearer ")
            if not hmac.compare_digest(sha256(given).digest(), self._key):
                raise Refused(Refusal(401, "unauthorized", "an API key is needed", "X-API-Key"))
        length = headers.get(b"content-length", b"")
        if length.isdigit() and int(length) > self._largest(scope):
            raise too_large(self._largest(scope))

    def _largest(self, scope: Message) -> int:
        form = scope["path"] == FORM_ROUTE
        return self._settings.largest_request_bytes if form else self._settings.largest_json_bytes

    def _counted(self, scope: Message, receive: Receive) -> Receive:
        largest, got = self._largest(scope), [0]

        async def counted() -> Message:
            message = await receive()
            got[0] += len(message.get("body", b""))
            if got[0] > largest:
                raise too_large(largest)
            return message

        return counted


def note_answer(metrics: Metrics, request: str, method: str, route: str, status: int, seconds: float) -> None:
    """Count an answer and log it, by its random id."""
    metrics.answered(route, status, seconds)
    _log.info("request %s %s %s: %d in %.0f ms", request, method, route, status, 1000 * seconds)


async def _refuse(refusal: Refusal, request: str, send: Send) -> None:
    body = json.dumps(refusal.to_json(request)).encode()
    headers = {"Content-Type": "application/json", "Content-Length": str(len(body)), **refusal.headers}
    await send({"type": "http.response.start", "status": refusal.status, "headers": _encoded(headers)})
    await send({"type": "http.response.body", "body": body})


def _headers(path: str, request: str) -> list[tuple[bytes, bytes]]:
    kept = {"Cache-Control": "no-store"} if path.startswith("/v1/") else {"Cache-Control": "no-cache"}
    return _encoded({**HEADERS, **kept, "X-Request-Id": request})


def _encoded(headers: dict[str, str]) -> list[tuple[bytes, bytes]]:
    return [(name.lower().encode(), value.encode()) for name, value in headers.items()]


def _route(scope: Message) -> str:
    """Return the path as it is declared: one that was made up may hold anything."""
    return str(getattr(scope.get("route"), "path", "other"))


def _host_name(host: str) -> str:
    return (host[: host.index("]") + 1] if host.startswith("[") and "]" in host else host.partition(":")[0]).lower()
