"""A synthetic cohort on disk, as a biobank would hand it over, with the truth beside it."""

from __future__ import annotations

import json
import os
import uuid
from collections.abc import Callable, Iterator
from concurrent.futures import FIRST_COMPLETED, Future, ProcessPoolExecutor, wait
from functools import partial
from itertools import islice
from multiprocessing import get_context
from pathlib import Path

import pandas as pd

from cardiobind.errors import ConfigError
from cardiobind.simulate.heart import draw_hearts
from cardiobind.simulate.rap import table_csv
from cardiobind.simulate.settings import COHORT_VERSION, VISIT, SimulationSettings
from cardiobind.simulate.table import availability, simulate_events, simulate_visits
from cardiobind.simulate.writers import cardiosoft_xml, dicom_zip

ECG_FIELD, CMR_FIELD = 20205, 20209
_CHUNK = 16
Progress = Callable[[int, int], None]


def write_raw(settings: SimulationSettings, out: Path, workers: int = 1, progress: Progress | None = None) -> None:
    """Write the raw files of a cohort: ``bulk/``, ``table.csv`` and, apart from them, ``truth/``.

    Files are written whole or not at all and those there are kept, so that a killed run goes on where it stopped and
    ends with the same bytes. Truth holds the latent state, events and visits of all subjects and the settings.

    Args:
        settings: of the cohort.
        out: folder; made if absent.
        workers: processes; 1 works in this one.
        progress: called with (subjects done, subjects) after every few subjects.

    Raises:
        ConfigError: the folder holds a cohort of other settings, or of another version of the simulator.
    """
    (out / "bulk").mkdir(parents=True, exist_ok=True)
    (out / "truth").mkdir(exist_ok=True)
    _claim(out / "truth" / "settings.json", settings)
    done = 0
    for count in _run(partial(_write_chunk, settings, out), settings.subjects, workers):
        done += count
        if progress is not None:
            progress(done, settings.subjects)
    hearts = draw_hearts(settings)
    _write_truth(hearts, out / "truth")
    _write(out / "table.csv", table_csv(hearts))


def bulk_path(out: Path, subject: str, field: int) -> Path:
    """Return the place of a subject's bulk file, named as UK Biobank names it."""
    return out / "bulk" / f"{subject}_{field}_{VISIT}_0.{'xml' if field == ECG_FIELD else 'zip'}"


def _run(work: Callable[[int], int], subjects: int, workers: int) -> Iterator[int]:
    starts = iter(range(0, subjects, _CHUNK))
    if workers <= 1:
        yield from map(work, starts)
        return
    with ProcessPoolExecutor(workers, mp_context=get_context("spawn")) as pool:
        waiting: set[Future[int]] = {pool.submit(work, start) for start in islice(starts, 2 * workers)}
        while waiting:
            finished, waiting = wait(waiting, return_when=FIRST_COMPLETED)
            waiting |= {pool.submit(work, start) for start in islice(starts, len(finished))}
            yield from (future.result() for future in finished)


def _write_chunk(settings: SimulationSettings, out: Path, first: int) -> int:
    count = min(_CHUNK, settings.subjects - first)
    hearts = draw_hearts(settings, first, count)
    present = availability(hearts, settings)
    for heart, ecg, cmr in zip(hearts.itertuples(index=False), present["ecg"], present["cmr"], strict=True):
        for there, field, content in ((ecg, ECG_FIELD, cardiosoft_xml), (cmr, CMR_FIELD, dicom_zip)):
            path = bulk_path(out, str(heart.subject), field)
            if there and not path.exists():
                _write(path, content(heart, settings))
    return count


def _claim(path: Path, settings: SimulationSettings) -> None:
    text = json.dumps({"cohort_version": COHORT_VERSION, **settings.to_json()}, indent=1, sort_keys=True) + "\n"
    there = path.read_text() if path.exists() else text
    version = _version(there)
    if version != COHORT_VERSION:
        raise ConfigError(
            "the folder holds raw files of another version of the simulator", where=path.parents[1],
            expected=COHORT_VERSION, got=version or "none stated",
            hint="delete the folder, or choose another, to have them written anew",
        )  # fmt: skip
    if there != text:
        raise ConfigError(
            "the folder holds a cohort of other settings", where=path.parents[1], expected=there.strip(),
            got=text.strip(), hint="choose another folder, or the same settings to go on with it",
        )  # fmt: skip
    _write(path, text.encode())


def _version(text: str) -> int | None:
    try:
        found = json.loads(text).get("cohort_version")
    except (ValueError, AttributeError):
        return None
    return found if isinstance(found, int) else None


def _write_truth(hearts: pd.DataFrame, folder: Path) -> None:
    for name, frame in (
        ("hearts", hearts), ("events", simulate_events(hearts)), ("visits", simulate_visits(hearts)),
    ):  # fmt: skip
        _write(folder / f"{name}.parquet", frame.to_parquet(index=False))


def _write(path: Path, content: bytes) -> None:
    if path.is_file() and path.read_bytes() == content:
        return  # its time stays: by it a run tells whether the raw files have changed
    partial_path = path.with_name(f".{path.name}.partial-{uuid.uuid4().hex}")
    try:
        partial_path.write_bytes(content)
        os.replace(partial_path, path)
    finally:
        partial_path.unlink(missing_ok=True)
