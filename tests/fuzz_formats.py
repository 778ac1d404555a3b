"""The longer fuzz of every reader: ``python tests/fuzz_formats.py --examples 2000`` (hypothesis runs short ones in CI).

Files of every registered format are damaged at random and read in a process of their own. What counts as a failure: an
exception that is no RecordError, a reason that is not in the table, an identifier in an error or a header, more than 5
seconds, more than 512 MB above what the process held before. The table printed goes into the closing notes.
"""

from __future__ import annotations

import argparse
import contextlib
import json
import multiprocessing
import resource
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pandas as pd

from cardiobind.errors import RecordError
from cardiobind.formats import read_cine, read_ecg
from cardiobind.formats.reasons import REASONS
from cardiobind.formats.tables.table_file import read_table
from damage import KINDS, PAYLOADS, edit
from format_samples import CANARIES, CINE_SAMPLES, ECG_SAMPLES, Volume, cine, counts

LONGEST_S = 5.0
MOST_MEMORY_MB = 512.0
CASES = (*ECG_SAMPLES, *CINE_SAMPLES, "csv_table", "xlsx_table", "parquet_table")


def damaged(data: bytes, rng: np.random.Generator) -> bytes:
    """Return the bytes after one to three random edits, half of them in the first kilobyte."""
    for _ in range(int(rng.integers(1, 4))):
        reach = min(len(data), 1024) if rng.random() < 0.5 else len(data)
        data = edited(data, int(rng.integers(0, reach + 1)), int(rng.integers(8)), rng)
    return data


def edited(data: bytes, at: int, kind: int, rng: np.random.Generator) -> bytes:
    """Return the bytes cut, filled, repeated, overwritten, or with another digit at a place."""
    payload, noise = PAYLOADS[rng.integers(len(PAYLOADS))], rng.bytes(int(rng.integers(1, 9)))
    if kind >= 6:
        return another_digit(data, at, rng)
    return edit(data, at, (*KINDS, "set")[kind], noise if kind == 5 else payload)


def another_digit(data: bytes, at: int, rng: np.random.Generator) -> bytes:
    """Return the bytes with the next digit changed: a number that still is one."""
    place = next((k for k in range(at, min(at + 200, len(data))) if data[k : k + 1].isdigit()), None)
    return data if place is None else edit(data, place, "set", b"%d" % rng.integers(10))


def sample(case: str, folder: Path) -> str:
    """Write a small good file of a case and return its location."""
    if case in ECG_SAMPLES:
        return ECG_SAMPLES[case](folder, {lead: values[:200] for lead, values in counts().items()})
    if case in CINE_SAMPLES:
        whole = cine()
        small = Volume(
            whole.pixels[:2, :8, ::8, ::8],
            whole.row,
            whole.column,
            whole.origins_mm[:2],
            trigger_ms=whole.trigger_ms[:8],
        )
        return CINE_SAMPLES[case](folder, small)
    folder.mkdir()
    frame = pd.DataFrame({"eid": ["9000001", "9000002"], "p31": ["1", "0"], "p41270": ["I10|I21", None]})
    place = folder / f"9000001.{case.removesuffix('_table')}"
    {"csv": frame.to_csv, "xlsx": frame.to_excel, "parquet": frame.to_parquet}[place.suffix[1:]](place, index=False)
    return str(place)


def reader(case: str) -> Callable[[str], object]:
    if case in ECG_SAMPLES:
        return read_ecg
    return read_cine if case in CINE_SAMPLES else lambda place: read_table(place, ["eid", "p31"])


def fault(told: str, reason: str | None, seconds: float, grown_mb: float) -> str | None:
    """Return what is wrong with an outcome, or None."""
    if reason is not None and reason not in REASONS:
        return f"unknown reason {reason}"
    if any(canary in told for canary in CANARIES):
        return "an identifier is told"
    if seconds > LONGEST_S:
        return f"{seconds:.1f} s"
    return f"{grown_mb:.0f} MB" if grown_mb > MOST_MEMORY_MB else None


def one(read: Callable[[str], object], place: str) -> tuple[str, str | None, float]:
    """Return what became of one damaged file: outcome, fault, seconds."""
    before, start = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss, time.perf_counter()
    outcome, told, reason = "read", "", None
    try:
        told = repr(getattr(read(place), "header", ""))
    except RecordError as error:
        outcome = reason = error.reason
        told = f"{error} {error!r}"
    except Exception as error:  # noqa: BLE001 - this is what is looked for
        return "crash", f"{type(error).__name__}: {error}", time.perf_counter() - start
    seconds = time.perf_counter() - start
    grown_mb = (resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before) / 1024
    return outcome, fault(told, reason, seconds, grown_mb), seconds


def fuzz(case: str, examples: int, seed: int, results: multiprocessing.Queue) -> None:
    rng = np.random.default_rng([seed, CASES.index(case)])
    outcomes: Counter[str] = Counter()
    faults: list[str] = []
    slowest = 0.0
    with tempfile.TemporaryDirectory() as name:
        good = Path(sample(case, Path(name, "good")))
        parts = {path.name: path.read_bytes() for path in good.parent.iterdir()}
        with contextlib.suppress(RecordError):
            reader(case)(str(good))
        start_mb = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
        for number in range(examples):
            folder = Path(name, "bad")
            folder.mkdir(exist_ok=True)
            victim = sorted(parts)[rng.integers(len(parts))]
            for part, data in parts.items():
                (folder / part).write_bytes(damaged(data, rng) if part == victim else data)
            outcome, wrong, seconds = one(reader(case), str(folder / good.name))
            outcomes[outcome] += 1
            slowest = max(slowest, seconds)
            if wrong:
                faults.append(f"example {number}: {wrong}")
        grown_mb = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024 - start_mb
    found = {"outcomes": dict(outcomes), "slowest_s": round(slowest, 3), "grown_mb": round(grown_mb, 1)}
    results.put({"case": case, "examples": examples, "faults": faults, **found})


def run(case: str, examples: int, seed: int) -> dict[str, object]:
    """Fuzz one case in a process of its own; a process that dies is a fault."""
    context = multiprocessing.get_context("spawn")
    results = context.Queue()
    process = context.Process(target=fuzz, args=(case, examples, seed, results))
    process.start()
    while process.is_alive() and results.empty():
        process.join(0.2)
    if results.empty() and process.exitcode:
        return {"case": case, "examples": examples, "faults": [f"the process died with code {process.exitcode}"]}
    found: dict[str, object] = results.get()
    process.join()
    return found


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--examples", type=int, default=500, help="damaged files a format")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--only", nargs="*", choices=CASES, default=CASES)
    options = parser.parse_args()
    print("| format | damaged files | read | refused | slowest (s) | memory grown (MB) | faults |")
    print("| --- | --- | --- | --- | --- | --- | --- |")
    everything = []
    for case in options.only:
        found = run(case, options.examples, options.seed)
        everything.append(found)
        outcomes: dict[str, int] = found.get("outcomes", {})  # type: ignore[assignment]
        read = outcomes.get("read", 0)
        cells = (case, options.examples, read, sum(outcomes.values()) - read, found.get("slowest_s"))
        print("|", *(f"{cell} |" for cell in (*cells, found.get("grown_mb"), len(found["faults"]))), flush=True)  # type: ignore[arg-type]
    broken = {found["case"]: found["faults"] for found in everything if found["faults"]}
    if broken:
        sys.exit("faults: " + json.dumps(broken, indent=1))


if __name__ == "__main__":
    main()
