"""How often a bundle's verdict tells what it should and what it should not: python benchmarks/verdicts.py RUN [PTBXL].

RUN is the folder of a finished run on simulated raw files (its cohort, protocol and bundle are read); PTBXL, if given,
a folder of PTB-XL, which the network was not trained on and should call unfamiliar.
"""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterator, Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from cardiobind import inference
from cardiobind.errors import CardiobindError
from cardiobind.formats import read_cine, read_ecg
from cardiobind.inference.predictor import Predictor
from cardiobind.modalities.records import CineRecord, EcgRecord
from cardiobind.sources import SOURCES

SUBJECTS = 40
Floats = NDArray[np.floating[Any]]


def told(predictor: Predictor, **given: Any) -> str:
    """Return ``refused``, ``unlike``, ``code`` or ``fine`` for one subject."""
    try:
        (one,) = predictor.predict(**given).verdicts.values()
    except CardiobindError:
        return "refused"
    return "unlike" if one.like_training is False else "fine" if one.usable else "code"


def line(name: str, found: list[str]) -> str:
    """Return a row of the table: shares of each answer."""
    shares = {word: sum(one == word for one in found) / max(len(found), 1) for word in ("refused", "code", "unlike")}
    stopped = sum(shares.values())
    return f"| {name} | {len(found)} | " + " | ".join(f"{100 * s:.0f} %" for s in (*shares.values(), stopped)) + " |"


def ecg_corruptions(rng: np.random.Generator) -> Mapping[str, Callable[[EcgRecord], EcgRecord]]:
    """Return what is done to an ECG, by name."""

    def changed(change: Callable[[Floats], Floats]) -> Callable[[EcgRecord], EcgRecord]:
        return lambda record: replace(record, amplitude_mv=change(np.array(record.amplitude_mv)).astype(np.float32))

    def noise(x: Floats) -> Floats:
        return np.asarray(rng.normal(0, 0.3, x.shape))

    return {
        "as it is": lambda record: record,
        "flat": changed(lambda x: 0 * x),
        "white noise": changed(noise),
        "random walk": changed(lambda x: np.cumsum(noise(x), axis=1) / 20),
        "leads shuffled": changed(lambda x: x[rng.permutation(12)]),
        "chest leads reversed": changed(lambda x: np.concatenate([x[:6], x[:5:-1]])),
        "arms swapped": changed(lambda x: x[[0, 2, 1, 4, 3, 5, *range(6, 12)]] * np.array([-1] + [1] * 11)[:, None]),
        "upside down": changed(lambda x: -x),
        "one lead in all": changed(lambda x: np.repeat(x[1:2], 12, axis=0)),
        "uV for mV": changed(lambda x: 1000 * x),
        "mV for V": changed(lambda x: x / 1000),
        "times 10": changed(lambda x: 10 * x),
        "rate stated twice": lambda record: replace(
            record, amplitude_mv=np.tile(record.amplitude_mv, (1, 2)), rate_hz=2 * record.rate_hz
        ),
        "sine of 1.2 Hz": changed(lambda x: np.linspace(0.3, 1, 12)[:, None] * np.sin(np.arange(x.shape[1]) / 66)),
    }


def cmr_corruptions(rng: np.random.Generator) -> Mapping[str, Callable[[CineRecord], CineRecord]]:
    """Return what is done to a cine, by name."""

    def changed(change: Callable[[Floats], Floats]) -> Callable[[CineRecord], CineRecord]:
        return lambda record: replace(record, frames=change(np.array(record.frames, dtype=np.float32)))

    return {
        "as it is": lambda record: record,
        "noise": changed(lambda x: rng.normal(100, 30, x.shape).clip(0)),
        "smooth noise": changed(lambda x: np.cumsum(np.cumsum(rng.normal(size=x.shape), axis=2), axis=3) + 500),
        "moving bars": changed(lambda x: _bars(x.shape)),
        "frames shuffled": changed(lambda x: x[:, rng.permutation(x.shape[1])]),
        "negative": changed(lambda x: x.max() - x),
        "corner of the field": changed(lambda x: np.roll(x, (x.shape[2] // 2, x.shape[3] // 2), (2, 3))),
    }


def _bars(shape: tuple[int, ...]) -> Floats:
    phase, column = np.arange(shape[1])[:, None, None], np.arange(shape[3])[None, None, :]
    one = 100 + 80 * np.sin(column / 4 + 2 * np.pi * phase / shape[1])
    return np.broadcast_to(one[None], (shape[0], shape[1], shape[2], shape[3])).astype(np.float32)


TABLE_CHANGES: Mapping[str, Mapping[str, Any]] = {
    "as it is": {},
    "systolic below diastolic": {"sbp_mmhg": 80.0, "dbp_mmhg": 115.0},
    "body mass index of another body": {"height_cm": 195.0, "weight_kg": 60.0, "bmi_kg_m2": 35.0},
    "LDL above cholesterol": {"cholesterol_mmol_l": 3.0, "ldl_mmol_l": 6.5},
    "waist without hip": {"waist_cm": 140.0, "hip_cm": 80.0, "weight_kg": 60.0},
}


def main(run: Path, ptbxl: Path | None) -> None:
    """Print the table."""
    predictor = inference.load(run / "bundle")
    subjects, rng = list(_test_subjects(run)), np.random.default_rng(0)
    print("| what | n | refused | fatal code | unlike | no answer |\n| --- | ---: | ---: | ---: | ---: | ---: |")
    ecgs = _read(run, subjects, "20205_2_0.xml", read_ecg)
    for name, change in ecg_corruptions(rng).items():
        print(line(f"ECG {name}", [told(predictor, ecg=change(one)) for one in ecgs]), flush=True)
    if ptbxl is not None:
        source = SOURCES.get("ptbxl")(root=ptbxl)
        found = [told(predictor, ecg=source.read(ref)) for ref in source.records()[:SUBJECTS]]
        print(line("ECG of PTB-XL", found), flush=True)
    table = SOURCES.get("ukb")(root=run / "raw").table().set_index("subject")
    for name, change in TABLE_CHANGES.items():
        rows = [table.loc[s].dropna().to_dict() | dict(change) for s in subjects[: 2 * SUBJECTS]]
        facts = [{k: v for k, v in row.items() if k in predictor.contract.inputs["tabular"].names} for row in rows]
        print(line(f"table {name}", [told(predictor, table=row) for row in facts]), flush=True)
    cines = _read(run, subjects, "20209_2_0.zip", read_cine)[: SUBJECTS // 2]
    for name, alter in cmr_corruptions(rng).items():
        print(line(f"cine {name}", [told(predictor, cmr=alter(one)) for one in cines]), flush=True)


def _test_subjects(run: Path) -> Iterator[str]:
    from cardiobind.artifact import verify
    from cardiobind.cohort import Cohort, Protocol

    family = {one.kind: one for one in verify(run / "bundle")}
    cohort = Cohort(family["cohort"])
    protocol = Protocol.open(family["protocol"].path, cohort)
    yield from cohort.samples["subject"].iloc[protocol.rows("test")].astype(str)


def _read(run: Path, subjects: list[str], field: str, read: Callable[[Path], Any]) -> list[Any]:
    files = [run / "raw" / "bulk" / f"{subject}_{field}" for subject in subjects]
    return [read(file) for file in files if file.is_file()][:SUBJECTS]


if __name__ == "__main__":
    main(Path(sys.argv[1]), Path(sys.argv[2]) if len(sys.argv) > 2 else None)
