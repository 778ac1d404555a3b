"""One good file of every registered format, all of the same simulated heart, with canaries wherever a person is named.

A format that has no sample here fails `tests/formats/test_formats_samples.py`: none can be added and not tested.
"""

from __future__ import annotations

import functools
import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np

from cardiobind.modalities.records import LEADS
from cardiobind.simulate import SimulationSettings, draw_hearts
from cardiobind.simulate.cine import cine_counts
from cardiobind.simulate.ecg import UV_PER_COUNT, ecg_counts
from cine_fixtures import Volume, gz, nifti, short_axis_plane, siemens
from ecg_binary_fixtures import dicom_ecg_bytes, dicom_group, edf_bytes, scp_bytes, wfdb_header, wfdb_signal
from ecg_xml_fixtures import aecg_series, aecg_set, hl7_aecg, muse_waveform, muse_xml, sierra_plain, sierra_xml
from ingest_fixtures import cardiosoft_xml, write_zip

Counts = dict[str, np.ndarray]
Writer = Callable[[Path, Any], str]

CANARIES = ("SECRETNAME", "9000001", "19530508", "08-MAY-1953", "19500101")
"""Name, participant number and dates of birth that the fixtures plant."""
SETTINGS = SimulationSettings(subjects=2, seed=11, slices=6, phases=20)
_STORED = ("I", "II", "V1", "V2", "V3", "V4", "V5", "V6")
_EDF_RANGE_UV = (-32768.0 * UV_PER_COUNT, 32767.0 * UV_PER_COUNT)


@functools.cache
def heart() -> Any:
    return next(draw_hearts(SETTINGS).itertuples())


@functools.cache
def counts() -> Counts:
    """Return the leads of the simulated ECG as whole counts of `UV_PER_COUNT` microvolts, 10 s at 500 Hz."""
    return dict(zip(LEADS, ecg_counts(heart(), SETTINGS).astype(int), strict=True))


@functools.cache
def cine() -> Volume:
    """Return the cine of the simulated heart in patient coordinates, base first."""
    pixels = cine_counts(heart(), SETTINGS).astype(np.uint16)
    row, column = short_axis_plane()
    normal = np.cross(row, column)
    down = normal * np.sign(normal @ (0.5, -0.5, -0.5))
    origins = np.array([-100.0, -150.0, 90.0]) + SETTINGS.slice_distance_mm * np.arange(len(pixels))[:, None] * down
    spacing = (SETTINGS.pixel_spacing_mm, SETTINGS.pixel_spacing_mm)
    times = 40.0 * np.arange(pixels.shape[1])
    return Volume(pixels, row, column, origins, spacing, SETTINGS.slice_distance_mm, 8.0, times)


def _file(folder: Path, name: str, data: bytes) -> str:
    folder.mkdir(parents=True, exist_ok=True)
    (folder / name).write_bytes(data)
    return str(folder / name)


def _cardiosoft(folder: Path, leads: Counts) -> str:
    return _file(folder, "9000001_20205_2_0.xml", cardiosoft_xml(leads, resolution=str(UV_PER_COUNT)))


def _muse(folder: Path, leads: Counts) -> str:
    stored = {lead: leads[lead] for lead in _STORED}
    return _file(folder, "9000001_muse.xml", muse_xml(muse_waveform(stored, per_bit=str(UV_PER_COUNT))))


def _aecg(folder: Path, leads: Counts) -> str:
    return _file(folder, "9000001_aecg.xml", hl7_aecg(aecg_series(aecg_set(leads, scale=str(UV_PER_COUNT)))))


def _sierra(folder: Path, leads: Counts) -> str:
    data = sierra_xml(sierra_plain(leads), tuple(leads), len(leads["I"]), resolution=str(UV_PER_COUNT))
    return _file(folder, "9000001_sierra.xml", data)


def _scp(folder: Path, leads: Counts) -> str:
    return _file(folder, "9000001.scp", scp_bytes(leads, avm=1000 * UV_PER_COUNT))


def _dicom_ecg(folder: Path, leads: Counts) -> str:
    return _file(folder, "9000001_ecg.dcm", dicom_ecg_bytes([dicom_group(leads, sensitivity=UV_PER_COUNT)]))


def _edf(folder: Path, leads: Counts) -> str:
    labelled = {f"ECG {lead}": values for lead, values in leads.items()}
    return _file(folder, "9000001.edf", edf_bytes(labelled, physical=_EDF_RANGE_UV, per_record=50))


def _array(folder: Path, leads: Counts) -> str:
    layout = {"leads": list(leads), "rate_hz": 500, "unit": "uV", "scale": UV_PER_COUNT, "axis": "samples_first"}
    _file(folder, "9000001.layout.json", json.dumps(layout).encode())
    rows = np.stack(list(leads.values()), axis=1)
    return _file(folder, "9000001.csv", "\n".join(",".join(map(str, row)) for row in rows.tolist()).encode())


def _wfdb(folder: Path, leads: Counts) -> str:
    data = wfdb_signal("16", np.stack(list(leads.values()), axis=1).ravel())
    _file(folder, "9000001.dat", data)
    header = wfdb_header("9000001", leads, "16", gain=f"{1000 // UV_PER_COUNT}(0)/mV", comments="# Name: SECRETNAME\n")
    return _file(folder, "9000001.hea", header)


def _dicom(folder: Path, stack: Volume) -> str:
    folder.mkdir(parents=True, exist_ok=True)
    return str(write_zip(folder / "9000001_20209_2_0.zip", siemens(stack)))


def _nifti(folder: Path, stack: Volume) -> str:
    return _file(folder, "9000001_sa.nii.gz", gz(nifti(stack)))


ECG_SAMPLES: dict[str, Writer] = {
    "cardiosoft_xml": _cardiosoft, "muse_xml": _muse, "hl7_aecg": _aecg, "philips_sierra_xml": _sierra,
    "scp_ecg": _scp, "dicom_ecg": _dicom_ecg, "edf_ecg": _edf, "array_ecg": _array, "wfdb": _wfdb,
}  # fmt: skip
CINE_SAMPLES: dict[str, Writer] = {"dicom": _dicom, "nifti": _nifti}
