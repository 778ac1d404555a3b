"""Raw file to store: records per second and core, memory, scaling and cost: `python benchmarks/ingest.py --help`.

Each format is prepared by 1 and by 2 processes of a pool in one run, each time under a process of its own so that the
peak of memory is its own; start-up is measured with two records and taken off. Prints Markdown, then one JSON line.
"""

from __future__ import annotations

import argparse
import json
import multiprocessing
import resource
import sys
import tempfile
import time
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from cardiobind.cohort import build_cohort
from cardiobind.formats import ECG_FORMATS, read_cine, read_ecg
from cardiobind.modalities.cmr import CmrPreparation
from cardiobind.modalities.ecg import EcgPreparation
from cardiobind.modalities.records import LEADS
from cardiobind.simulate import SimulationSettings, draw_hearts, simulate_ecg
from cardiobind.simulate.writers import dicom_zip
from cardiobind.sources import RecordRef

sys.path.insert(0, str(Path(__file__).parents[1] / "tests"))
from format_samples import ECG_SAMPLES

PARTICIPANTS = 60_000
CORES = (2, 64, 1000)
SETTINGS = SimulationSettings(subjects=4, ecg_fraction=1.0, cmr_fraction=1.0, slices=10, phases=50, image_px=208)


@dataclass(frozen=True)
class Copies:
    """Records that are `count` readings of a few files of one modality; no table."""

    modality: str
    locations: tuple[str, ...]
    count: int

    def records(self) -> list[RecordRef]:
        places = [self.locations[i % len(self.locations)] for i in range(self.count)]
        return [RecordRef(f"SIM-{i:06d}", "2", self.modality, place) for i, place in enumerate(places)]

    def read(self, ref: RecordRef) -> Any:
        return read_ecg(ref.location) if ref.modality == "ecg" else read_cine(ref.location)

    def table(self) -> pd.DataFrame:
        return pd.DataFrame({"subject": [], "visit": []}, dtype="str")

    def events(self) -> pd.DataFrame:
        frame = pd.DataFrame({name: [] for name in ("subject", "visit", "system", "code")}, dtype="str")
        return frame.assign(date=pd.Series([], dtype="datetime64[ns]"))

    def visits(self) -> pd.DataFrame:
        return self.table().assign(date=pd.Series([], dtype="datetime64[ns]"))

    def issues(self) -> list[dict[str, Any]]:
        return []


def write_cine(folder: Path, index: int) -> Path:
    heart = next(draw_hearts(SETTINGS, index, 1).itertuples(index=False))
    path = folder / f"{index}.zip"
    path.write_bytes(dicom_zip(heart, SETTINGS))
    return path


def counts(index: int) -> dict[str, np.ndarray]:
    """Return the leads of one simulated ECG in steps of 5 microvolts."""
    signal = np.round(200 * simulate_ecg(draw_hearts(SETTINGS, index, 1), SETTINGS)[0]).astype(np.int64)
    return dict(zip(LEADS, signal, strict=True))


def timed(source: Copies, workers: int, folder: Path) -> dict[str, float]:
    """Return seconds and memory of one build; runs in a process of its own."""
    ecg = EcgPreparation() if source.modality == "ecg" else None
    cmr = CmrPreparation() if source.modality == "cmr" else None
    began = time.perf_counter()
    cohort = build_cohort(
        source, folder / "cohort", work=folder / "work", ecg=ecg, cmr=cmr, workers=workers,
        chunk=max(2, source.count // 8), config={}, fingerprint="benchmark",
    )  # fmt: skip
    seconds = time.perf_counter() - began
    kept = cohort.json("counts.json")[source.modality]["kept"]
    if kept != source.count:
        raise SystemExit(f"{source.count - kept} records of the benchmark were quarantined")
    peak = max(resource.getrusage(who).ru_maxrss for who in (resource.RUSAGE_SELF, resource.RUSAGE_CHILDREN))
    return {"seconds": seconds, "peak_mib": peak / 1024}


def in_own_process(source: Copies, workers: int) -> dict[str, float]:
    context = multiprocessing.get_context("spawn")
    receiver, sender = context.Pipe(duplex=False)
    with tempfile.TemporaryDirectory() as folder:
        process = context.Process(target=_send, args=(sender, source, workers, Path(folder)))
        process.start()
        sender.close()
        try:
            found: dict[str, float] = receiver.recv()
        except EOFError:
            raise SystemExit("a run of the benchmark failed") from None
        process.join()
    return found


def _send(sender: Any, source: Copies, workers: int, folder: Path) -> None:
    sender.send(timed(source, workers, folder))


def measure(name: str, modality: str, locations: tuple[str, ...], count: int) -> dict[str, Any]:
    """Return rates, memory, scaling and cost of one format."""
    size_mb = sum(file_bytes(place) for place in locations) / len(locations) / 1e6
    runs = {}
    for workers in (1, 2):
        start = in_own_process(Copies(modality, locations, 2), workers)["seconds"]
        full = in_own_process(Copies(modality, locations, count + 2), workers)
        runs[workers] = {"rate": count / max(full["seconds"] - start, 1e-9), "peak_mib": full["peak_mib"]}
    rate = runs[1]["rate"]
    return {
        "format": name, "records": count, "records_per_s_core": rate, "mb_per_s": rate * size_mb, "file_mb": size_mb,
        "peak_mib": runs[2]["peak_mib"], "scaling_2_over_1": runs[2]["rate"] / rate,
        "hours": {str(cores): PARTICIPANTS / rate / cores / 3600 for cores in CORES},
        "core_hours": PARTICIPANTS / rate / 3600,
    }  # fmt: skip


def file_bytes(location: str) -> int:
    """Return the size of a recording: its file and what belongs to it, which bears the same stem."""
    path = Path(location)
    return sum(file.stat().st_size for file in path.parent.glob(f"{path.stem}.*"))


def markdown(rows: list[dict[str, Any]]) -> str:
    head = ["format", "records/s/core", "MB/s", "MB a record", "peak MiB a process", "2 processes over 1"]
    lines = [[*head, *(f"{PARTICIPANTS:,} on {c} cores" for c in CORES)]]
    for row in rows:
        hours = [_duration(row["hours"][str(c)]) for c in CORES]
        numbers = ("records_per_s_core", "mb_per_s", "file_mb", "peak_mib", "scaling_2_over_1")
        lines.append([row["format"], *(f"{row[n]:.3g}" for n in numbers), *hours])
    lines.insert(1, ["---"] * len(lines[0]))
    return "\n".join("| " + " | ".join(line) + " |" for line in lines)


def _duration(hours: float) -> str:
    return f"{hours:.1f} h" if hours >= 1 else f"{60 * hours:.1f} min" if hours >= 1 / 60 else f"{3600 * hours:.0f} s"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--quick", action="store_true", help="few records: to see that it runs")
    parser.add_argument("--only", nargs="+", choices=[*ECG_FORMATS, "cine"], help="formats; all if none is named")
    given = parser.parse_args()
    quick, only = given.quick, given.only or [*ECG_FORMATS, "cine"]
    rows = []
    with tempfile.TemporaryDirectory() as folder:
        for name in [name for name in ECG_FORMATS if name in only]:
            places = tuple(ECG_SAMPLES[name](Path(folder, name, str(i)), counts(i)) for i in range(SETTINGS.subjects))
            rows.append(measure(name, "ecg", places, 16 if quick else 400))
        if "cine" in only:
            cines = tuple(str(write_cine(Path(folder), i)) for i in range(1 if quick else SETTINGS.subjects))
            rows.append(measure("cine zip of 500 DICOM files", "cmr", cines, 4 if quick else 24))
    print(markdown(rows))
    print(json.dumps(rows))


if __name__ == "__main__":
    main()
