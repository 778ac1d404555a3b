"""A deadline for the head of a request: uvicorn has none and would wait for ever for a byte now and then."""

from __future__ import annotations

import asyncio
import json
import secrets
from typing import Any

from uvicorn.protocols.http.auto import AutoHTTPProtocol

from cardiobind.serve.guarding import note_answer
from cardiobind.serve.metrics import Metrics
from cardiobind.serve.refusals import Refusal

_BASE: Any = AutoHTTPProtocol
CODE, STATUS = "slow_request", 408


def with_deadline(seconds: float, metrics: Metrics) -> type[asyncio.Protocol]:
    """Return uvicorn's HTTP protocol with a time limit for the headers of a request.

    It runs from the connection, or from the first byte of a further request on it. Who is too slow gets 408 with the
    code ``slow_request``, if anything was sent, and the connection is closed; that is counted and logged as any answer
    is, without method and route, which are not known yet. The body has limits of its own
    (`cardiobind.serve.predicting`), which begin where the route is known.

    Args:
        seconds: from the first byte, or from the connection.
        metrics: told of who was too slow.
    """

    class Deadline(_BASE):  # type: ignore[misc]
        waiting: asyncio.TimerHandle | None = None
        began = False

        def connection_made(self, transport: Any) -> None:
            super().connection_made(transport)
            self._wait()

        def data_received(self, data: bytes) -> None:
            self.began = True
            if self.waiting is None and self._between_requests():
                self._wait()
            super().data_received(data)
            if not self._between_requests():
                self._stop()

        def connection_lost(self, exc: Exception | None) -> None:
            self._stop()
            super().connection_lost(exc)

        def _between_requests(self) -> bool:
            return self.cycle is None or bool(self.cycle.response_complete)

        def _wait(self) -> None:
            self.waiting = asyncio.get_running_loop().call_later(seconds, self._too_slow)

        def _stop(self) -> None:
            if self.waiting is not None:
                self.waiting.cancel()
            self.waiting, self.began = None, False

        def _too_slow(self) -> None:
            if not self.transport.is_closing():
                if self.began:
                    request = secrets.token_hex(8)
                    self.transport.write(_refusal(seconds, request))
                    metrics.refusals[CODE] += 1
                    note_answer(metrics, request, "other", "other", STATUS, seconds)
                self.transport.close()

    return Deadline


def _refusal(seconds: float, request: str) -> bytes:
    words = Refusal(STATUS, CODE, "the request came too slowly", None, f"headers within {seconds:g} s")
    body = json.dumps(words.to_json(request)).encode()
    head = ("HTTP/1.1 408 Request Timeout", "Content-Type: application/json", f"Content-Length: {len(body)}",
            "Connection: close", "Cache-Control: no-store")  # fmt: skip
    return "\r\n".join((*head, "", "")).encode() + body
