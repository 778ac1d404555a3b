"""Timing in child processes: one for each side of a work, woken in turn, so that both see the same machine.

A child is this file run as a script; it builds its side, then answers each line it is sent with one line of JSON. While
one works the others wait, unless several are told to go at once.
"""

from __future__ import annotations

import functools
import json
import os
import resource
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

HERE = Path(__file__).parent
PEAK_SIZES = (512, 1024)
COUNTED = 4
"""Samples whose operations are counted."""
CHILDREN: list[Child] = []
"""All children that were not ended."""


class Child:
    """One side of a work in a process of its own.

    Args:
        work: name in `works.WORKS`.
        side: ``reference`` or ``ours``.
        batch: samples of a repetition.
        precision: of ours.
        threads: of the process.
        wait: until it is built; if not, the first answer to `receive` says that it is.
        options: further arguments of the builder.
    """

    def __init__(
        self, work: str, side: str, batch: int, precision: str = "32-true", threads: int = 1, *, wait: bool = True,
        **options: Any,
    ) -> None:  # fmt: skip
        self.batch = batch
        order = {"work": work, "side": side, "batch": batch, "precision": precision, "options": options}
        paths = os.pathsep.join([str(HERE), *sys.path])
        environment = os.environ | {"OMP_NUM_THREADS": str(threads), "PYTHONPATH": paths, "PYTHONWARNINGS": "ignore"}
        self._process = subprocess.Popen(
            [sys.executable, __file__, json.dumps(order)], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True,
            env=environment,
        )  # fmt: skip
        CHILDREN.append(self)
        if wait:
            self.receive()

    def send(self, word: str) -> None:
        """Send a word: ``go`` for a repetition, ``peak`` for the matmul peak, ``memory``, ``operations`` or ``end``."""
        assert self._process.stdin is not None
        self._process.stdin.write(word + "\n")
        self._process.stdin.flush()

    def receive(self) -> Any:
        """Wait for the answer."""
        assert self._process.stdout is not None
        line = self._process.stdout.readline()
        if not line:
            raise RuntimeError(f"a timed process ended with {self._process.wait()}")
        return json.loads(line)

    def ask(self, word: str) -> Any:
        """Send a word and wait for the answer."""
        self.send(word)
        return self.receive()

    def end(self) -> float:
        """Stop the process; return the most memory it held, in GB."""
        peak: float = self.ask("end")
        self.kill()
        return peak

    def kill(self) -> None:
        """End the process, whatever it does."""
        CHILDREN.remove(self)
        self._process.kill()
        self._process.wait()


def matmul_peak(precision: str, device: str = "cpu") -> float:
    """Return the most floating-point operations a second that a square matrix product reaches here."""
    import torch

    kind = torch.bfloat16 if precision == "bf16-mixed" else torch.float32
    best = 0.0
    for size in PEAK_SIZES:
        a, b = (torch.randn(size, size, device=device).to(kind) for _ in range(2))
        for _ in range(5):
            began = time.process_time()
            a @ b
            best = max(best, 2 * size**3 / (time.process_time() - began))
    return best


def operations(run: Any) -> float:
    """Return the floating-point operations of the matrix products and convolutions of one repetition.

    Of one in float32, where nothing is computed twice: products that are made anew in the backward pass are no work.
    """
    from torch.nn.attention import SDPBackend, sdpa_kernel
    from torch.utils.flop_counter import FlopCounterMode

    with FlopCounterMode(display=False) as counter, sdpa_kernel(SDPBackend.MATH):
        run()
    return float(counter.get_total_flops())


def repetition(run: Any) -> dict[str, float]:
    """Return the seconds of wall clock and of processor time that a repetition takes."""
    wall, own = time.perf_counter(), time.process_time()
    run()
    return {"wall": time.perf_counter() - wall, "own": time.process_time() - own}


def serve(order: dict[str, Any]) -> None:
    """Build a side and answer words."""
    import torch

    from works import WORKS

    torch.manual_seed(0)
    work, batch, precision = WORKS[order["work"]], order["batch"], order["precision"]
    ours = functools.partial(work.ours, **order["options"])
    run = work.reference(batch) if order["side"] == "reference" else ours(batch, precision)
    repetition(run)
    counted = min(batch, COUNTED)
    answers = {
        "go": lambda: repetition(run),
        "peak": lambda: matmul_peak(precision),
        "memory": lambda: resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1e6,
        "operations": lambda: operations(ours(counted, "32-true")) / counted,
    }
    print(json.dumps(torch.get_num_threads()), flush=True)
    for line in sys.stdin:
        word = line.strip()
        if word == "end":
            break
        print(json.dumps(answers[word]()), flush=True)
    print(json.dumps(answers["memory"]()), flush=True)


if __name__ == "__main__":
    serve(json.loads(sys.argv[1]))
