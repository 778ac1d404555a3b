"""Synthetic recordings as raw files: CardioSoft XML, a zip of DICOM files, a wide UK Biobank table.

The layouts are those described by public readers of UK Biobank's fields 20205, 20209 and its tables; no real file of a
participant was used.
"""

from __future__ import annotations

import io
import zipfile
from functools import lru_cache
from typing import Any

import pandas as pd
from pydicom.dataset import Dataset, FileMetaDataset
from pydicom.uid import UID, ExplicitVRLittleEndian

from cardiobind.modalities.records import LEADS
from cardiobind.simulate.cine import (
    COLUMN_DIRECTION,
    ROW_DIRECTION,
    cine_counts,
    slice_origins_mm,
    trigger_times_ms,
)
from cardiobind.simulate.contours import SLICE_THICKNESS_MM
from cardiobind.simulate.ecg import UV_PER_COUNT, ecg_counts
from cardiobind.simulate.settings import SimulationSettings
from cardiobind.simulate.table import visit_dates

_MR_IMAGE = "1.2.840.10008.5.1.4.1.1.4"
_UID_ROOT = "2.25.77"
_ZIP_DATE = (2024, 1, 1, 0, 0, 0)
# Placeholders of the DICOM template; each is replaced by text of its own length.
_SOP, _SERIES, _STUDY = (f"{_UID_ROOT}.{kind}900000000000000" for kind in (1, 2, 3))
_NUMBER, _TRIGGER, _SLICE, _PLACE = "10000001", "10000002.5", "10000003", "-10000.004\\-10000.005\\-10000.006"
_NAME, _PERSON, _DATE = "CINE_segmented_SAX_b00", "0900000000", "19000101"


def cardiosoft_xml(heart: Any, settings: SimulationSettings) -> bytes:
    """Return the ECG of one heart (a namedtuple of a row) as a CardioSoft XML file."""
    counts = ecg_counts(heart, settings)
    when = pd.Timestamp(visit_dates(pd.DataFrame({"visit_day": [heart.visit_day]}))[0])
    leads = "".join(
        f'\t\t<WaveformData lead="{lead}">\n\t\t\t{",".join(map(str, row))}</WaveformData>\n'
        for lead, row in zip(LEADS, counts.tolist(), strict=True)
    )
    text = (
        '<?xml version="1.0" encoding="ISO8859-1" ?>\n<CardiologyXML>\n\t<ObservationType>RestECG</ObservationType>\n'
        f"\t<ObservationDateTime><Hour>10</Hour><Minute>30</Minute><Second>0</Second><Day>{when.day}</Day>"
        f"<Month>{when.month}</Month><Year>{when.year}</Year></ObservationDateTime>\n"
        f"\t<PatientInfo><PID>{heart.subject}</PID><Gender>{'MALE' if heart.male else 'FEMALE'}</Gender>"
        "</PatientInfo>\n\t<FilterSetting><Filter50Hz>yes</Filter50Hz><Filter60Hz>no</Filter60Hz>"
        '<LowPass units="Hz">150</LowPass><HighPass units="Hz">0.05</HighPass></FilterSetting>\n'
        f"{_measurements(heart)}\t<StripData>\n\t\t<NumberOfLeads>12</NumberOfLeads>\n"
        f'\t\t<SampleRate units="Hz">{settings.ecg_rate_hz}</SampleRate>\n'
        f"\t\t<ChannelSampleCountTotal>{counts.shape[1]}</ChannelSampleCountTotal>\n"
        f'\t\t<Resolution units="uVperLsb">{UV_PER_COUNT}</Resolution>\n{leads}\t</StripData>\n</CardiologyXML>\n'
    )
    return text.encode("latin-1")


def _measurements(heart: Any) -> str:
    values = {
        "VentricularRate": ("BPM", heart.heart_rate_bpm), "PQInterval": ("ms", heart.pr_ms),
        "QRSDuration": ("ms", heart.qrs_ms), "QTCInterval": ("ms", heart.qtc_ms),
        "RRInterval": ("ms", 60_000 / heart.heart_rate_bpm),
    }  # fmt: skip
    if heart.af_now:
        del values["PQInterval"]
    inner = "".join(f'<{name} units="{unit}">{value:.0f}</{name}>' for name, (unit, value) in values.items())
    return f"\t<RestingECGMeasurements>{inner}</RestingECGMeasurements>\n"


def dicom_zip(heart: Any, settings: SimulationSettings) -> bytes:
    """Return the cine stack of one heart (a namedtuple of a row) as a zip of DICOM files with its manifest."""
    frames = cine_counts(heart, settings)
    head, tail = _template(settings.image_px, settings.pixel_spacing_mm, settings.slice_distance_mm, settings.phases)
    when = pd.Timestamp(visit_dates(pd.DataFrame({"visit_day": [heart.visit_day]}))[0])
    times, origins = trigger_times_ms(heart, settings), slice_origins_mm(settings)
    manifest, buffer = ["filename,patientid,date,seriesid,series discription\n"], io.BytesIO()
    with zipfile.ZipFile(buffer, "w", zipfile.ZIP_STORED) as archive:
        for k in range(settings.slices):
            for phase in range(settings.phases):
                values = _header(heart, when, k, phase, float(times[phase]), origins[k])
                name = f"{values[_SOP].rstrip(chr(0))}.dcm"
                data = _filled(head, values) + frames[k, phase].astype("<u2").tobytes() + tail
                archive.writestr(zipfile.ZipInfo(name, _ZIP_DATE), data)
                series = values[_SERIES].rstrip(chr(0))
                # The unquoted comma of the date is how these manifests are.
                manifest.append(f"{name},{heart.subject},{when:%b %d, %Y},{series},{values[_NAME].strip()}\n")
        archive.writestr(zipfile.ZipInfo("manifest.csv", _ZIP_DATE), "".join(manifest))
    return buffer.getvalue()


def _header(heart: Any, when: pd.Timestamp, k: int, phase: int, time_ms: float, origin: Any) -> dict[str, str]:
    unique = f"{int(heart.subject_index) + 1:07d}"
    texts = {
        _SOP: f"{_UID_ROOT}.1{unique}{k + 1:03d}{phase + 1:04d}0",
        _SERIES: f"{_UID_ROOT}.2{unique}{k + 1:03d}00000",
        _STUDY: f"{_UID_ROOT}.3{unique}00000000",
        _NUMBER: str(phase + 1), _TRIGGER: f"{time_ms:.2f}", _SLICE: str(k + 1),
        _PLACE: "\\".join(f"{v:.3f}" for v in origin), _NAME: f"CINE_segmented_SAX_b{k + 1}",
        _PERSON: str(heart.subject), _DATE: f"{when:%Y%m%d}",
    }  # fmt: skip
    return {key: text.ljust(len(key), "\0" if key in (_SOP, _SERIES, _STUDY) else " ") for key, text in texts.items()}


def _filled(head: bytes, values: dict[str, str]) -> bytes:
    for key, text in values.items():
        head = head.replace(key.encode(), text.encode())
    return head


@lru_cache(maxsize=4)
def _template(image_px: int, spacing_mm: float, distance_mm: float, phases: int) -> tuple[bytes, bytes]:
    """Return the bytes of a DICOM file before and after its pixels, with placeholders in its header."""
    file = Dataset()
    file.file_meta = FileMetaDataset()
    file.file_meta.TransferSyntaxUID = ExplicitVRLittleEndian
    file.file_meta.MediaStorageSOPClassUID = file.SOPClassUID = UID(_MR_IMAGE)
    file.file_meta.MediaStorageSOPInstanceUID = file.SOPInstanceUID = UID(_SOP)
    file.StudyInstanceUID, file.SeriesInstanceUID = UID(_STUDY), UID(_SERIES)
    file.Modality, file.Manufacturer, file.SeriesDescription = "MR", "cardiobind simulation", _NAME
    file.PatientID, file.PatientName, file.StudyDate = _PERSON, _PERSON, _DATE
    file.SeriesNumber, file.InstanceNumber, file.TriggerTime = _SLICE, _NUMBER, _TRIGGER
    file.CardiacNumberOfImages, file.SliceThickness, file.SpacingBetweenSlices = phases, SLICE_THICKNESS_MM, distance_mm
    file.PixelSpacing, file.ImagePositionPatient = [spacing_mm, spacing_mm], _PLACE.split("\\")
    file.ImageOrientationPatient = [*ROW_DIRECTION, *COLUMN_DIRECTION]
    file.Rows, file.Columns, file.SamplesPerPixel, file.PhotometricInterpretation = image_px, image_px, 1, "MONOCHROME2"
    file.BitsAllocated, file.BitsStored, file.HighBit, file.PixelRepresentation = 16, 12, 11, 0
    pixels = b"\xab\xcd" * (image_px * image_px)
    file.PixelData = pixels
    buffer = io.BytesIO()
    file.save_as(buffer, enforce_file_format=True)
    head, tail = buffer.getvalue().split(pixels)
    return head, tail
