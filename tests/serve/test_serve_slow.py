"""Who sends slowly holds no place, and is cut off with a code; those who send as usual are answered meanwhile."""

from __future__ import annotations

import asyncio
import json
import socket
import threading
import time
from collections.abc import AsyncIterator, Iterator
from contextlib import contextmanager
from types import SimpleNamespace
from typing import Any
from urllib.parse import urlsplit

import httpx
import pytest
import uvicorn

from cardiobind.inference.predictor import Predictor
from cardiobind.serve import Settings
from cardiobind.serve.connections import with_deadline
from cardiobind.serve.metrics import Metrics
from cardiobind.serve.predicting import Service
from cardiobind.serve.refusals import Refused
from cardiobind.serve.uploads import Pieces, Storage
from serving import listening

FACTS = {"facts": {"age_years": 61}}
PATIENT_S = 30.0


async def plain(scope: Any, receive: Any, send: Any) -> None:
    while (await receive()).get("more_body"):
        pass
    await send({"type": "http.response.start", "status": 200, "headers": [(b"content-length", b"2")]})
    await send({"type": "http.response.body", "body": b"ok"})


COUNTED = Metrics()


@pytest.fixture(scope="module")
def place() -> Iterator[int]:
    config = uvicorn.Config(plain, port=0, log_config=None, lifespan="off", ws="none", http=with_deadline(0.3, COUNTED))
    server = uvicorn.Server(config)
    thread = threading.Thread(target=server.run)
    thread.start()
    while not server.started:
        time.sleep(0.01)
    yield int(server.servers[0].sockets[0].getsockname()[1])
    server.should_exit = True
    thread.join()


@contextmanager
def connected(port: int) -> Iterator[socket.socket]:
    with socket.create_connection(("127.0.0.1", port), timeout=PATIENT_S) as one:
        yield one


def trickle(one: socket.socket, piece: bytes) -> None:
    """Send a piece twenty times a second until the server has had enough."""
    one.settimeout(0.05)
    until = time.monotonic() + PATIENT_S
    while time.monotonic() < until:
        try:
            one.sendall(piece)
            one.recv(1, socket.MSG_PEEK)
        except TimeoutError:
            continue
        except OSError:
            pass
        return
    raise AssertionError("the server waits for ever")


def answer(one: socket.socket) -> tuple[int, dict[str, Any]]:
    one.settimeout(PATIENT_S)
    said = b""
    while piece := one.recv(65536):
        said += piece
    head, _, body = said.partition(b"\r\n\r\n")
    return int(head.split()[1]), json.loads(body)["error"]


def whole(one: socket.socket) -> bytes:
    """Return an answer of `plain`, its head and its body."""
    said = b""
    while not said.endswith(b"ok"):
        said += one.recv(65536)
    return said


def test_a_silent_connection_is_closed(place: int) -> None:
    before = COUNTED.text(0)
    with connected(place) as one:
        assert one.recv(1) == b""
    assert COUNTED.text(0).split("resident")[0] == before.split("resident")[0]


@pytest.mark.parametrize("first", [False, True], ids=["first", "second"])
def test_headers_that_trickle_are_refused_counted_and_logged(
    place: int, first: bool, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level("INFO", "cardiobind.serve")
    before = COUNTED.refusals["slow_request"]
    with connected(place) as one:
        if first:
            one.sendall(b"GET / HTTP/1.1\r\nHost: 127.0.0.1\r\n\r\n")
            assert whole(one).startswith(b"HTTP/1.1 200")
        one.sendall(b"GET / HTTP/1.1\r\nHost: ")
        trickle(one, b"a")
        status, error = answer(one)
    assert (status, error["code"]) == (408, "slow_request")
    assert error["expected"] == "headers within 0.3 s"
    assert COUNTED.refusals["slow_request"] == before + 1 == COUNTED.requests["other", 408]
    assert caplog.messages == [f"request {error['request']} other other: 408 in 300 ms"]


def test_a_request_as_usual_outlives_the_deadline_of_its_headers(place: int) -> None:
    with connected(place) as one:
        for _ in range(2):
            one.sendall(b"POST / HTTP/1.1\r\nHost: 127.0.0.1\r\nContent-Length: 3\r\n\r\n")
            time.sleep(0.5)
            one.sendall(b"abc")
            assert whole(one).startswith(b"HTTP/1.1 200")


def service(**limits: Any) -> Service:
    made: Any = Service.__new__(Service)
    made.settings, made.metrics = Settings(**limits), Metrics()
    return made  # type: ignore[no-any-return]


def request(*pieces: bytes, pause_s: float = 0.0, ends: bool = True) -> Any:
    async def stream() -> AsyncIterator[bytes]:
        for piece in pieces:
            yield piece
            await asyncio.sleep(pause_s)
        if not ends:
            await asyncio.Event().wait()

    return SimpleNamespace(stream=stream)


async def received(at: Service, sent: Any) -> str:
    got: list[bytes] = []
    try:
        await at._receive(sent, got.append)
    except Refused as refused:
        return refused.refusal.code
    return b"".join(got).decode()


def test_a_body_needs_to_keep_coming() -> None:
    at = service(patience_seconds=0.05, slowest_bytes_per_s=1000.0, receive_seconds=0.4)
    assert asyncio.run(received(at, request(b"ab", b"cd"))) == "abcd"
    assert asyncio.run(received(at, request(b"ab", ends=False))) == "slow_request"
    assert asyncio.run(received(at, request(*[b"x"] * 40, pause_s=0.02))) == "slow_request"
    assert asyncio.run(received(at, request(b"y" * 250, ends=True, pause_s=0.1))) == "y" * 250  # 0.25 s are earned
    assert asyncio.run(received(at, request(b"z" * 10**6, ends=False))) == "slow_request"  # and 0.4 s at most
    assert at.metrics.receiving == 0


def test_a_body_that_comes_slowly_holds_no_place() -> None:
    at = service(most_requests=1, most_receiving=2)

    async def all_at_once() -> tuple[list[str], int]:
        slow = [asyncio.ensure_future(received(at, request(b"a", ends=False))) for _ in range(2)]
        await asyncio.sleep(0)
        with at._place():
            in_work = at.metrics.working
        full = await received(at, request(b"b"))
        slow[0].cancel()
        await asyncio.sleep(0)
        again = await received(at, request(b"c"))
        with at._place():
            busy = await received(at, request(b"d"))
        slow[1].cancel()
        return [full, again, busy], in_work

    assert asyncio.run(all_at_once()) == (["busy", "c", "busy"], 1)


def test_bodies_in_memory_count_with_the_files() -> None:
    storage = Storage(10)
    one, other = Pieces(storage), Pieces(storage)
    one.write(b"123456")
    with pytest.raises(Refused):
        other.write(b"78901")
    one.close()
    other.write(b"78901")
    assert (other.joined(), storage.held_bytes) == (b"78901", 5)
    other.close()
    assert storage.held_bytes == 0


@pytest.mark.slow
def test_a_served_bundle_cuts_slow_bodies_off_and_answers_others(predictor: Predictor) -> None:
    settings = Settings(workers=1, most_requests=1, patience_seconds=3.0)
    head = b"POST /v1/predict/json HTTP/1.1\r\nHost: 127.0.0.1\r\nContent-Length: 40000\r\n\r\n{"
    with listening(predictor, settings) as url, connected(int(urlsplit(url).port or 0)) as slow:
        slow.sendall(head)
        assert httpx.post(f"{url}/v1/predict/json", json=FACTS, timeout=PATIENT_S).status_code == 200
        trickle(slow, b" ")
        status, error = answer(slow)
        assert (status, error["code"]) == (408, "slow_request")
        assert "1000 bytes a second after 3 s" in error["expected"]
        shown = httpx.get(f"{url}/v1/metrics", timeout=PATIENT_S).text
        assert "cardiobind_requests_receiving 0" in shown
        assert "cardiobind_predictions_working 0" in shown
