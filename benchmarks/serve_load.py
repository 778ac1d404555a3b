"""Load on a served bundle: requests a second and waiting times against the bare model, and memory over many requests.

    python benchmarks/serve_load.py BUNDLE [--requests 200] [--memory-requests 10000] [--workers 2]

The server is a process of its own; the bare model prepares and scores the same requests one by one in this process,
between the server's turns.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import os
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from cardiobind import inference
from cardiobind.modalities.records import LEADS
from cardiobind.serve.bodies import PredictBody
from cardiobind.serve.metrics import resident_bytes
from cardiobind.simulate import SimulationSettings, draw_hearts
from cardiobind.simulate.ecg import UV_PER_COUNT, ecg_counts

CONCURRENCY = (1, 8, 32)
FACTS = {"age_years": 61.0, "sex": "male", "sbp_mmhg": 141.0}
RATE_HZ, SECONDS = 100, 10


def bodies() -> dict[str, bytes]:
    """Return the JSON bodies by name: facts alone, and with 10 s of an ECG at 100 Hz."""
    settings = SimulationSettings(subjects=1, seed=5)
    counts = ecg_counts(next(draw_hearts(settings).itertuples()), settings)[:, :: 500 // RATE_HZ]
    leads = {lead: (row[: RATE_HZ * SECONDS] * UV_PER_COUNT).tolist() for lead, row in zip(LEADS, counts, strict=True)}
    ecg = {"rate_hz": RATE_HZ, "unit": "uV", "leads": leads}
    return {
        "facts": json.dumps({"facts": FACTS}).encode(),
        "facts and ECG": json.dumps({"facts": FACTS, "ecg": ecg}).encode(),
    }


def bare(predictor: inference.Predictor, body: bytes, count: int) -> tuple[float, float]:
    """Return requests a second of preparing and scoring in a loop, and of scoring alone."""
    asked = PredictBody.model_validate_json(body)
    record = None if asked.ecg is None else asked.ecg.record()

    def prepare() -> inference.PreparedSubject:
        return inference.prepare_subject(predictor.contract, ecg=record, table=asked.facts)

    prepared = prepare()
    return rate(lambda: predictor.score(prepare()), count), rate(lambda: predictor.score(prepared), count)


def rate(work: Callable[[], Any], count: int) -> float:
    work()
    began = time.perf_counter()
    for _ in range(count):
        work()
    return count / (time.perf_counter() - began)


async def load(port: int, given: Sequence[bytes], count: int, concurrency: int) -> tuple[float, list[float]]:
    """Return requests a second, and the seconds of each; the bodies take turns."""
    seconds: list[float] = []
    left = [count]

    async def client() -> None:
        reader, writer = await asyncio.open_connection("127.0.0.1", port)
        while left[0] > 0:
            left[0] -= 1
            body = given[left[0] % len(given)]
            head = f"POST /v1/predict/json HTTP/1.1\r\nHost: localhost\r\nContent-Length: {len(body)}\r\n\r\n".encode()
            began = time.perf_counter()
            writer.write(head + body)
            answer = await reader.readuntil(b"\r\n\r\n")
            assert answer.startswith(b"HTTP/1.1 200"), answer
            length = int(answer.lower().split(b"content-length: ")[1].split(b"\r\n")[0])
            await reader.readexactly(length)
            seconds.append(time.perf_counter() - began)
        writer.close()

    began = time.perf_counter()
    await asyncio.gather(*(client() for _ in range(concurrency)))
    return count / (time.perf_counter() - began), seconds


def start(bundle: Path, workers: int) -> tuple[subprocess.Popen[bytes], int]:
    """Start a server and wait until it answers."""
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    code = "import sys; from cardiobind.cli import main; sys.argv[0] = 'cardiobind'; main()"
    words = ["serve", "--bundle", str(bundle), "--port", str(port), "--workers", str(workers), "--most-requests", "64"]
    server = subprocess.Popen([sys.executable, "-c", code, *words], stderr=subprocess.DEVNULL)
    while True:
        try:
            socket.create_connection(("127.0.0.1", port)).close()
            return server, port
        except ConnectionRefusedError:
            assert server.poll() is None
            time.sleep(0.2)


def family(process: int) -> list[int]:
    """Return a process and all that descend from it."""
    children = [int(c) for t in Path(f"/proc/{process}/task").iterdir() for c in (t / "children").read_text().split()]
    return [process, *(one for child in children for one in family(child))]


def memory_mb(server: int) -> tuple[float, float]:
    """Return the resident memory of the server and, summed, of the processes below it, in MB."""
    first, *others = (resident_bytes(str(one)) / 1e6 for one in family(server))
    return first, sum(others)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("bundle", type=Path)
    parser.add_argument("--requests", type=int, default=200, help="at each concurrency")
    parser.add_argument("--memory-requests", type=int, default=10_000)
    parser.add_argument("--workers", type=int, default=2)
    options = parser.parse_args()
    predictor = inference.load(options.bundle)
    server, port = start(options.bundle, options.workers)
    try:
        print(f"cores {sorted(os.sched_getaffinity(0))}, workers {options.workers}")
        for name, body in bodies().items():
            asyncio.run(load(port, [body], 20, 4))
            for concurrency in CONCURRENCY:
                whole, score = bare(predictor, body, options.requests // 4)
                served, seconds = asyncio.run(load(port, [body], options.requests, concurrency))
                p50, p95 = (1000 * float(np.quantile(seconds, q)) for q in (0.5, 0.95))
                print(f"{name} | {concurrency} | {served:.1f}/s | {p50:.0f} ms | {p95:.0f} ms | bare {whole:.1f}/s, "
                      f"score alone {score:.1f}/s | ratio {served / whole:.2f}", flush=True)  # fmt: skip
        mixed = [bodies()["facts and ECG"], *[bodies()["facts"]] * 9]
        for done in range(0, options.memory_requests, options.memory_requests // 10 or 1):
            print(f"after {done}: server {{:.1f}} MB, workers {{:.1f}} MB".format(*memory_mb(server.pid)), flush=True)
            step, _ = asyncio.run(load(port, mixed, options.memory_requests // 10, 8))
        print(f"after {options.memory_requests}: server {{:.1f}} MB, workers {{:.1f}} MB; {step:.1f}/s".format(
            *memory_mb(server.pid)))  # fmt: skip
    finally:
        server.send_signal(signal.SIGTERM)
        server.wait(60)


if __name__ == "__main__":
    main()
