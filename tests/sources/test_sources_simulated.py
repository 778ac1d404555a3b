"""The simulated cohort in memory equals what the reader gets from its written files, to the last bit."""

from __future__ import annotations

import pickle
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from cardiobind.errors import ConfigError, RecordError
from cardiobind.modalities.records import CineRecord, EcgRecord
from cardiobind.simulate import SimulationSettings, write_raw
from cardiobind.sources import SOURCES, RecordRef, SimulatedSource, UkbSource

OPTIONS = dict(subjects=12, seed=3, mi_prevalence=0.3, slices=3, phases=6, image_px=48, ecg_fraction=0.7)


@pytest.fixture(scope="module")
def raw(tmp_path_factory: pytest.TempPathFactory) -> Path:
    out = tmp_path_factory.mktemp("simulated")
    write_raw(SimulationSettings(**OPTIONS), out)
    return out


def test_records_read_from_files_equal_those_in_memory(raw: Path) -> None:
    files, memory = UkbSource(raw), SimulatedSource(**OPTIONS)
    assert [r.modality for r in files.records()] == [r.modality for r in memory.records()]
    for on_disk, simulated in zip(files.records(), memory.records(), strict=True):
        assert (on_disk.subject, on_disk.visit) == (simulated.subject, simulated.visit)
        a, b = files.read(on_disk), memory.read(simulated)
        if isinstance(a, EcgRecord) and isinstance(b, EcgRecord):
            np.testing.assert_array_equal(a.amplitude_mv, b.amplitude_mv)
            assert a.rate_hz == b.rate_hz
        else:
            assert isinstance(a, CineRecord)
            assert isinstance(b, CineRecord)
            np.testing.assert_array_equal(a.frames, b.frames)
            assert a.pixel_spacing_mm == b.pixel_spacing_mm
            np.testing.assert_allclose(a.slice_positions_mm, b.slice_positions_mm, atol=1e-9)
            np.testing.assert_array_equal(a.trigger_times_ms, b.trigger_times_ms)


def test_table_events_and_visits_read_from_files_equal_those_in_memory(raw: Path) -> None:
    files, memory = UkbSource(raw, end_of_records="2024-03-31"), SimulatedSource(**OPTIONS)
    told = files.events()["system"].isin(["touchscreen", "self_report_operation"])  # answers are facts of the table
    for ours, theirs in (
        (files.table()[memory.table().columns], memory.table()),  # the answers hold more facts than were simulated
        (files.events()[~told].reset_index(drop=True), memory.events()),
        (files.visits(), memory.visits()),
    ):
        pd.testing.assert_frame_equal(ours, theirs, check_dtype=False, check_exact=True, check_column_type=False)


def test_the_source_is_registered_picklable_and_says_what_it_refuses() -> None:
    source = pickle.loads(pickle.dumps(SOURCES.get("simulated")(**OPTIONS)))  # noqa: S301
    assert source.records() == SimulatedSource(**OPTIONS).records()
    assert source.issues() == []
    with pytest.raises(ConfigError, match="options"):
        SimulatedSource(people=3)
    with pytest.raises(RecordError):
        source.read(RecordRef("9000001", "2", "ecg", "12"))
