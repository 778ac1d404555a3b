"""A small source with real arrays and every kind of trouble, for the tests of the store."""

from __future__ import annotations

import asyncio
import ctypes
import os
import signal
import sys
import time
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
import pandas as pd

from cardiobind import rng
from cardiobind.cohort import build_cohort, tables
from cardiobind.cohort.store import Cohort
from cardiobind.errors import RecordError
from cardiobind.modalities.cmr import CmrPreparation
from cardiobind.modalities.ecg import EcgPreparation
from cardiobind.modalities.records import CineRecord, EcgRecord
from cardiobind.sources import RecordRef
from cardiobind.tasks import TASKS

ECG = EcgPreparation(rate_hz=100, duration_s=2.0, baseline_iterations=1)
CMR = CmrPreparation(size_px=32, crop_mm=60.0)


@dataclass(frozen=True)
class FakeSource:
    """`subjects` people with one visit each; `trouble` maps a subject to what happens when its ECG is read."""

    subjects: int = 12
    cmr: bool = False
    trouble: Mapping[str, str] = field(default_factory=dict)
    extra: tuple[RecordRef, ...] = ()
    slow_s: float = 0.0
    read_log: str = ""
    shift: float = 0.0
    flag: str = ""
    withdrawn: tuple[str, ...] = ()
    mounted: str = ""

    def records(self) -> list[RecordRef]:
        refs = [RecordRef(s, "2", "ecg", f"{s}.xml") for s in self._names() if int(s[4:]) % 4 != 3]
        if self.cmr:
            refs += [RecordRef(s, "2", "cmr", f"{s}.zip") for s in self._names() if int(s[4:]) % 3 == 0]
        extra = [ref for ref in self.extra if ref.subject not in self.withdrawn]
        return sorted([*refs, *extra], key=lambda r: (r.subject, r.visit, r.modality, r.location))

    def read(self, ref: RecordRef) -> EcgRecord | CineRecord:
        if self.read_log:
            with Path(self.read_log).open("a") as stream:
                stream.write(f"{ref.modality} {ref.location}\n")
        time.sleep(self.slow_s)
        if self.mounted and not Path(self.mounted).exists():
            raise RecordError("unreadable", "the file cannot be read", got="Stale file handle")
        if ref.modality == "cmr":
            return _cine(ref.subject)
        trouble = self.trouble.get(ref.subject, "none")
        if trouble == "crash_once":
            _crash_once(Path(self.flag))
        return _TROUBLES.get(trouble, _ecg)(ref.subject)

    def table(self) -> pd.DataFrame:
        names = [s for s in self._names() if int(s[4:]) % 5 != 4]
        draws = [rng.generator(1, "table", s) for s in names]
        return pd.DataFrame(
            {
                "subject": names,
                "visit": "2",
                "age_years": [60 + 8 * d.standard_normal() + self.shift for d in draws],
                "sex": [("female", "male")[int(d.integers(2))] for d in draws],
                "sbp_mmhg": [np.nan if d.random() < 0.2 else 130 + 15 * d.standard_normal() for d in draws],
                "diabetes": [float(d.random() < 0.3) for d in draws],
                "heart_attack_by_doctor": [float(_ill(s)) for s in names],
            }
        )

    def events(self) -> pd.DataFrame:
        ill = [s for s in self._names() if _ill(s)]
        date = pd.Timestamp("2012-05-01")
        return pd.DataFrame({"subject": ill, "visit": "", "system": "icd10", "code": "I219", "date": [date] * len(ill)})

    def visits(self) -> pd.DataFrame:
        return pd.DataFrame({"subject": self._names(), "visit": "2", "date": pd.Timestamp("2015-01-01")})

    def issues(self) -> list[dict[str, object]]:
        return [{"reason": "unknown_code", "column": "sex", "count": 1}]

    def _names(self) -> list[str]:
        return [name for i in range(self.subjects) if (name := f"SIM-{i:05d}") not in self.withdrawn]


def _ill(subject: str) -> bool:
    return rng.uniform(0, "ill", subject) < 0.3


def _ecg(subject: str) -> EcgRecord:
    noise = rng.generator(0, "ecg", subject).standard_normal((12, 250))
    return EcgRecord(noise.astype(np.float32), 100.0)


def _cine(subject: str) -> CineRecord:
    generator = rng.generator(0, "cine", subject)
    y, x = np.mgrid[:48, :48]
    phases = np.arange(10)
    radius = 8 + 3 * np.cos(2 * np.pi * phases / 10)[:, None, None]
    disc = 100.0 * (np.hypot(y - 24, x - 24)[None] < radius) + 10
    frames = np.stack([disc + generator.normal(0, 2, disc.shape) for _ in range(3)]).astype(np.float32)
    return CineRecord(frames, (2.0, 2.0), np.array([0.0, 10.0, 20.0]), np.full((3, 10), np.nan))


def _refuse(subject: str) -> EcgRecord:
    raise RecordError("truncated", "the file ends early", where=f"/secret/{subject}.xml", expected=10, got=3)


def _fail(subject: str) -> EcgRecord:
    raise ZeroDivisionError(f"message that names {subject}")


def _leave(subject: str) -> EcgRecord:
    sys.exit(3)


def _crash(subject: str) -> EcgRecord:
    os._exit(9)


def _crash_once(flag: Path) -> None:
    if not flag.exists():
        flag.touch()
        os._exit(9)


def _hang(subject: str) -> EcgRecord:
    while True:
        try:
            time.sleep(60)
        except Exception:  # noqa: BLE001, S112 - a reader that swallows every error it knows of
            continue


def _hang_deaf(subject: str) -> EcgRecord:
    """Hang as code outside Python does: no signal comes through, and no other thread runs."""
    signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGALRM})
    ctypes.PyDLL(None).sleep(60)
    raise AssertionError("nobody stopped it")


def _eat(subject: str) -> EcgRecord:
    np.ones(3 << 30, dtype=np.uint8)
    raise AssertionError("there was memory")


def _recurse(subject: str) -> EcgRecord:
    return _recurse(subject)


def _abort(subject: str) -> EcgRecord:
    os.abort()


def _cancel(subject: str) -> EcgRecord:
    raise asyncio.CancelledError(f"for {subject}")


def _absent(subject: str) -> EcgRecord:
    raise FileNotFoundError(2, "no such file", f"/secret/{subject}.xml")


_TROUBLES = {
    "hang": _hang,
    "deaf": _hang_deaf,
    "eat": _eat,
    "recurse": _recurse,
    "abort": _abort,
    "cancel": _cancel,
    "absent": _absent,
    "refuse": _refuse,
    "fail": _fail,
    "leave": _leave,
    "crash": _crash,
    "flat": lambda s: EcgRecord(np.zeros((12, 250), dtype=np.float32), 100.0),
}


def few_endpoints() -> None:
    """Label one endpoint alone: labelling all takes longer than everything else of a small cohort."""
    tables.TASKS = {"mi": TASKS.get("mi")}  # type: ignore[assignment]


def fake_cohort(folder: Path, source: FakeSource, name: str = "cohort", **options: object) -> Cohort:
    """Build the source's cohort in this process and open it."""
    settings = {
        "work": folder / f"{name}-work", "ecg": ECG, "cmr": CMR if source.cmr else None, "workers": 0, "chunk": 100,
        "config": {}, "fingerprint": "f",
    }  # fmt: skip
    build_cohort(source, folder / name, **{**settings, **options})  # type: ignore[arg-type]
    return Cohort.open(folder / name)


def all_bytes(folder: Path) -> dict[str, bytes]:
    """Return the content of every file below a folder by its relative path."""
    return {f.relative_to(folder).as_posix(): f.read_bytes() for f in sorted(folder.rglob("*")) if f.is_file()}
