"""Speed of the package against plain float32 steps: python benchmarks/speed.py [--quick] [--write PAGE.md].

Every work runs twice, each side in a process of its own with one thread; repetitions alternate, and what counts is the
smallest processor time of each side, so that other work of the machine counts little. The share of peak is that of
the machine's matrix product in the same precision, measured in turn with the repetitions. Prints JSON lines; with
--write also a page and, beside it, `speed.json`.
"""

from __future__ import annotations

import argparse
import json
import platform
import time
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from cardiobind.training import choose_precision
from page import page
from timing import Child
from works import WORKS, Work

PROCESSES = ("ecg_mae",)
BATCHES = (1, 4, 16, 64)
CHEAPER = {
    "as the paper: two views, all tokens decoded": {},
    "one view": {"similarity_weight": 0.0},
    "one view, a third of the hidden tokens decoded": {"similarity_weight": 0.0, "decode_ratio": 1 / 3},
}


def smallest(child: Child, repetitions: int, clock: str = "own") -> float:
    """Return the fewest seconds of some repetitions."""
    return min(child.ask("go")[clock] for _ in range(repetitions))


def row(name: str, work: Work, precision: str, repetitions: int, *, quick: bool) -> dict[str, Any]:
    """Return one line of the table."""
    batch = work.quick if quick else work.batch
    plain, ours = Child(name, "reference", batch), Child(name, "ours", batch, precision)
    times: dict[str, list[float]] = {"reference": [], "ours": []}
    peaks = []
    for _ in range(repetitions if work.products and batch > 1 else 10 * repetitions):
        times["reference"].append(plain.ask("go")["own"])
        times["ours"].append(ours.ask("go")["own"])
        if work.products and len(peaks) < repetitions:
            peaks.append(ours.ask("peak"))
    slow, fast = min(times["reference"]), min(times["ours"])
    found = {
        "work": name, "title": work.title, "batch": batch, "goal": work.goal, "precision": precision,
        "reference_per_s": batch / slow, "ours_per_s": batch / fast, "ratio": slow / fast,
    }  # fmt: skip
    if work.products:
        found["share_of_peak"] = ours.ask("operations") / fast / max(peaks)
        found["peak_gflops"] = max(peaks) / 1e9
    return found | {"reference_gb": plain.end(), "ours_gb": ours.end()}


def scaling(name: str, precision: str, batch: int) -> list[dict[str, Any]]:
    """Return samples a second by wall clock of one and two processes, on one and two threads, all else equal."""
    found = []
    for processes, threads in ((1, 1), (1, 2), (2, 1)):
        children = [Child(name, "ours", batch, precision, threads) for _ in range(processes)]
        seconds = []
        for _ in range(3):
            began = time.perf_counter()
            for child in children:
                child.send("go")
            for child in children:
                child.receive()
            seconds.append(time.perf_counter() - began)
        for child in children:
            child.end()
        rate = processes * batch / min(seconds)
        found.append({"work": name, "processes": processes, "threads": threads, "per_s": rate})
    return found


def growth(name: str, precision: str, batches: tuple[int, ...]) -> list[dict[str, Any]]:
    """Return rate and memory over the batch size."""
    found = []
    for batch in batches:
        child = Child(name, "ours", batch, precision)
        found.append({"work": name, "batch": batch, "per_s": batch / smallest(child, 3), "gb": child.end()})
    return found


def lengths(precision: str, batch: int) -> list[dict[str, Any]]:
    """Return the rate over the number of tokens: stretches of 1.25 to 10 s, 12 tokens each 0.2 s."""
    found = []
    for samples in (600, 1200, 2500, 5000):
        child = Child("ecg_mae", "ours", batch, precision, samples=samples)
        found.append({"tokens": 12 * samples // 100, "per_s": batch / smallest(child, 3), "gb": child.end()})
    return found


def cheaper(precision: str, batch: int) -> list[dict[str, Any]]:
    """Return the rates of changes of the mathematics, which owe a check of accuracy."""
    works = [("ecg_mae", title, options) for title, options in CHEAPER.items()]
    works += [("ecg_mae", "250 Hz instead of 500: 144 tokens of 0.4 s", {"rate_hz": 250.0, "samples": 2400})]
    works += [("cmr_simclr", f"SimCLR at {size} px", {"size": size}) for size in (210, 112)]
    children = [(title, name, Child(name, "ours", batch, precision, **options)) for name, title, options in works]
    found = []
    for title, name, child in children:
        found.append({"work": name, "title": title, "per_s": batch / smallest(child, 3), "gb": child.end()})
    for line in found:
        line["ratio"] = line["per_s"] / next(first["per_s"] for first in found if first["work"] == line["work"])
    return found


def measure(*, quick: bool, only: list[str] | None = None) -> dict[str, Any]:
    """Return all figures."""
    precision, repetitions = choose_precision(accelerator="cpu"), 3
    chosen = {name: work for name, work in WORKS.items() if work.goal and (not only or name in only)}
    rows = []
    for name, work in chosen.items():
        rows.append(row(name, work, precision.name, repetitions, quick=quick))
        print(json.dumps(rows[-1]), flush=True)
    small = 4 if quick else 16
    sections = {"rows": rows}
    if not only:
        sections["processes"] = scaling("ecg_mae", precision.name, small)
        sections["batch"] = growth("ecg_mae", precision.name, BATCHES[: 3 if quick else None])
        sections["tokens"] = lengths(precision.name, small)
        sections["cheaper"] = cheaper(precision.name, small)
    machine = {"cpu": _cpu(), "precision": str(precision), "date": datetime.now(UTC).strftime("%Y-%m-%d")}
    return machine | {"quick": quick} | sections


def _cpu() -> str:
    lines = Path("/proc/cpuinfo").read_text().splitlines() if Path("/proc/cpuinfo").exists() else []
    names = [line.partition(":")[2].strip() for line in lines if line.startswith("model name")]
    return f"{len(names)} x {names[0]}" if names else platform.processor()


def main() -> None:
    """Measure, print and write."""
    parser = argparse.ArgumentParser(description=__doc__.split("\n", 1)[0])
    parser.add_argument("--quick", action="store_true", help="small batches, under two minutes")
    parser.add_argument("--only", nargs="*", choices=sorted(WORKS), help="these lines of the table alone")
    parser.add_argument("--write", type=Path, help="page to write, for instance docs/results/speed.md")
    chosen = parser.parse_args()
    began = time.monotonic()
    found = measure(quick=chosen.quick, only=chosen.only)
    found["seconds"] = time.monotonic() - began
    text = page(found)
    print(text)
    if chosen.write:
        chosen.write.write_text(text)
        chosen.write.with_suffix(".json").write_text(json.dumps(found, indent=1) + "\n")


if __name__ == "__main__":
    main()
