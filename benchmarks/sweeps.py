"""How the cost of the package's steps grows, and what steps of fewer operations bring: sections of `speed.py`."""

from __future__ import annotations

import tempfile
import time
from pathlib import Path
from typing import Any

from timing import Child

BATCHES = (1, 4, 16, 64)
SAMPLES = (600, 1200, 2500, 5000)
BATCHES_OF_AN_EPOCH = (1, 2, 4, 8)
CHEAPER: dict[str, tuple[str, dict[str, Any]]] = {
    "as the paper: two views, all tokens decoded": ("ecg_mae", {}),
    "one view": ("ecg_mae", {"similarity_weight": 0.0}),
    "one view, a third of the hidden tokens decoded": ("ecg_mae", {"similarity_weight": 0.0, "decode_ratio": 1 / 3}),
    "250 Hz instead of 500: 144 tokens of 0.4 s": ("ecg_mae", {"rate_hz": 250.0, "samples": 2400}),
    "as `fast`: one view at 250 Hz": (
        "ecg_mae", {"similarity_weight": 0.0, "rate_hz": 250.0, "samples": 2400},
    ),
    "SimCLR at 210 px": ("cmr_simclr", {"size": 210}),
    "SimCLR at 112 px": ("cmr_simclr", {"size": 112}),
}  # fmt: skip


def smallest(child: Child, repetitions: int) -> float:
    """Return the fewest seconds of processor time of some repetitions."""
    return min(child.ask("go")["own"] for _ in range(repetitions))


def processes(precision: str, *, quick: bool) -> list[dict[str, Any]]:
    """Return samples a second by wall clock: one process with one and with two threads, two with one each.

    Two processes once with a training of their own each, and once with one training whose gradients they share.
    """
    batch, repetitions = (4, 3) if quick else (16, 5)
    found = []
    for count, threads, shared in ((1, 1, False), (1, 2, False), (2, 1, False), (2, 1, True)):
        with tempfile.TemporaryDirectory() as folder:
            children = _started("ecg_mae", precision, batch, count, threads, Path(folder) / "store" if shared else None)
            seconds = min(_together(children) for _ in range(repetitions))
            for child in children:
                child.end()
        found.append(
            {"processes": count, "threads": threads, "shared": shared, "batch": batch, "per_s": count * batch / seconds}
        )
    return found


def _started(
    name: str, precision: str, batch: int, count: int, threads: int, store: Path | None
) -> list[Child]:  # fmt: skip
    """Start children at once, as those of one training wait for one another."""
    options = [{} if store is None else {"rank": rank, "count": count, "store": str(store)} for rank in range(count)]
    work = name if store is None else f"{name}_shared"
    children = [Child(work, "ours", batch, precision, threads, wait=False, **given) for given in options]
    for child in children:
        child.receive()
    return children


def _together(children: list[Child]) -> float:
    began = time.perf_counter()
    for child in children:
        child.send("go")
    for child in children:
        child.receive()
    return time.perf_counter() - began


def batches(precision: str, *, quick: bool) -> list[dict[str, Any]]:
    """Return rate and memory over the batch size."""
    found = []
    for batch in BATCHES[:3] if quick else BATCHES:
        child = Child("ecg_mae", "ours", batch, precision)
        found.append({"batch": batch, "per_s": batch / smallest(child, 3), "gb": child.end()})
    return found


def tokens(precision: str, *, quick: bool) -> list[dict[str, Any]]:
    """Return the rate over the number of tokens: stretches of 1.2 to 10 s, 12 tokens each 0.2 s."""
    batch, found = 4 if quick else 16, []
    for samples in SAMPLES:
        child = Child("ecg_mae", "ours", batch, precision, samples=samples)
        found.append({"tokens": 12 * samples // 100, "per_s": batch / smallest(child, 3), "gb": child.end()})
    return found


def samples(precision: str, *, quick: bool) -> list[dict[str, Any]]:
    """Return the seconds of epochs over more and more subjects."""
    batch, found = 4 if quick else 16, []
    child = Child("ecg_mae", "ours", batch, precision)
    for count in BATCHES_OF_AN_EPOCH:
        own = min(sum(child.ask("go")["own"] for _ in range(count)) for _ in range(2))
        found.append({"samples": count * batch, "seconds": own})
    child.end()
    return found


def cheaper(precision: str, *, quick: bool) -> list[dict[str, Any]]:
    """Return the rates of changes of the mathematics, which owe a check of accuracy."""
    batch, found = 4 if quick else 16, []
    for title, (name, options) in CHEAPER.items():
        child = Child(name, "ours", batch, precision, **options)
        seconds, gb, operations = smallest(child, 3), child.ask("memory"), child.ask("operations")
        child.end()
        line = {"work": name, "title": title, "per_s": batch / seconds, "operations": operations, "gb": gb}
        first = next((other for other in found if other["work"] == name), line)
        found.append(line | {"ratio": line["per_s"] / first["per_s"]})
    return found


SECTIONS = {"processes": processes, "batch": batches, "tokens": tokens, "samples": samples, "cheaper": cheaper}
