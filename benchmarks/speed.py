"""Speed of the package against plain float32 steps: python benchmarks/speed.py [--quick] [--write PAGE.md].

Every work runs twice, each side in a process of its own with one thread; repetitions alternate, and what counts is the
smallest processor time of each side, so that other work of the machine counts little. The share of peak is that of
the machine's matrix product in the same precision, measured in turn with the repetitions. Then: how cost grows, and
what fewer operations bring. Prints JSON lines; with --write also a page and, beside it, the figures as JSON, written
after each part: what fails is named on the page and the rest goes on, and --resume takes over what is there.
"""

from __future__ import annotations

import argparse
import json
import platform
import subprocess
import time
import traceback
from collections.abc import Callable, Iterator
from datetime import UTC, datetime
from functools import partial
from pathlib import Path
from typing import Any

from cardiobind.training import choose_precision
from page import page
from sweeps import SECTIONS
from timing import CHILDREN, Child
from works import WORKS, Work

RECORDED = (RuntimeError, ValueError, TypeError, LookupError, AttributeError, OSError)
Part = Callable[[], Any]


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
    found |= {"reference_gb": plain.end(), "ours_gb": ours.ask("memory")}
    if work.products:
        operations = ours.ask("operations")
        found |= {"share_of_peak": batch * operations / fast / max(peaks), "operations": operations}
        found["peak_gflops"] = max(peaks) / 1e9
    ours.end()
    return found


def parts(*, quick: bool, only: list[str] | None) -> Iterator[tuple[str, str, Part]]:
    """Yield section, name and measurement of each part: lines of the table, then the sweeps."""
    precision, repetitions = choose_precision(accelerator="cpu").name, 3 if quick else 5
    for name, work in WORKS.items():
        if work.goal and (not only or name in only):
            yield "rows", name, partial(row, name, work, precision, repetitions, quick=quick)
    for name, section in SECTIONS.items():
        if not only or name in only:
            yield name, name, partial(section, precision, quick=quick)


def machine(*, quick: bool) -> dict[str, Any]:
    """Return what is measured on, and how."""
    today, precision = datetime.now(UTC).strftime("%Y-%m-%d"), str(choose_precision(accelerator="cpu"))
    about = {"cpu": _cpu(), "precision": precision, "date": today, "code": _commit(), "quick": quick}
    return about | {"rows": [], "failed": {}}


def measure(found: dict[str, Any], section: str, name: str, part: Part, *, again: bool = False) -> None:
    """Measure a part into the figures, or `again`; a failure is recorded and ends what it had started."""
    began = time.monotonic()
    found["failed"].pop(name, None)
    try:
        value = part()
    except RECORDED as error:
        traceback.print_exc()
        found["failed"][name] = f"{type(error).__name__}: {error}"
        for child in list(CHILDREN):
            child.kill()
    else:
        if section == "rows":
            place = next((i for i, line in enumerate(found["rows"]) if line["work"] == name), len(found["rows"]))
            found["rows"][place : place + 1] = [value]
        else:
            found[section] = value
        if again:
            found.setdefault("again", {})[name] = datetime.now(UTC).strftime("%Y-%m-%d %H:%M")
        print(json.dumps({name: value}), flush=True)
    found["seconds"] = found.get("seconds", 0.0) + time.monotonic() - began


def _commit() -> str:
    command = ["git", "-C", str(Path(__file__).parent), "rev-parse", "--short", "HEAD"]
    return subprocess.run(command, capture_output=True, text=True, check=False).stdout.strip() or "unknown"


def _cpu() -> str:
    lines = Path("/proc/cpuinfo").read_text().splitlines() if Path("/proc/cpuinfo").exists() else []
    names = [line.partition(":")[2].strip() for line in lines if line.startswith("model name")]
    return f"{len(names)} x {names[0]}" if names else platform.processor()


def main() -> None:
    """Measure, print and write."""
    parser = argparse.ArgumentParser(description=__doc__.split("\n", 1)[0])
    parser.add_argument("--quick", action="store_true", help="small batches, fewer repetitions: four minutes")
    parser.add_argument("--only", nargs="*", choices=sorted([*WORKS, *SECTIONS]), help="these parts alone")
    parser.add_argument("--write", type=Path, help="page to write, for instance docs/results/speed.md")
    parser.add_argument(
        "--resume", action="store_true", help="go on with the figures beside the page; those of --only are made anew"
    )
    chosen = parser.parse_args()
    found, file = machine(quick=chosen.quick), chosen.write and chosen.write.with_suffix(".json")
    if chosen.resume and file is not None and file.exists():
        found = json.loads(file.read_text())
        now = machine(quick=chosen.quick)
        for name in ("quick", "cpu", "precision"):
            if found[name] != now[name]:
                parser.error(f"{file} holds another run: {name} is {found[name]}, here {now[name]}; write another page")
    known = {line["work"] for line in found["rows"]} | set(found)
    waiting = [part for part in parts(quick=chosen.quick, only=chosen.only) if chosen.only or part[1] not in known]
    for number, (section, name, part) in enumerate(waiting, start=1):
        print(f"{time.strftime('%H:%M:%S')} {number}/{len(waiting)} {name}", flush=True)
        measure(found, section, name, part, again=name in known)
        if file is not None:
            file.write_text(json.dumps(found, indent=1) + "\n")
            chosen.write.write_text(page(found, chosen.write.stem))
    print(page(found, chosen.write.stem if chosen.write else "speed"))


if __name__ == "__main__":
    main()
