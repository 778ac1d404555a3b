"""CardioSoft XML, the resting ECG of UK Biobank (field 20205): 12 leads of 10 s at 500 Hz beside a few measurements.

Source: layout as described by public readers of the field (ml4h, ECGProcess, ukbb-ecg); no official schema exists.
"""

from __future__ import annotations

import re
import warnings
from xml.etree.ElementTree import Element

import numpy as np
from numpy.typing import NDArray

from cardiobind.errors import RecordError
from cardiobind.formats import reasons
from cardiobind.formats.base import ECG_FORMATS, Format, masked
from cardiobind.formats.ecg.ecg_recording import checked_samples, finished_record
from cardiobind.formats.ecg.leads import canonical_lead, shown_unit
from cardiobind.formats.ecg.xml_fields import device_name, iso_time, number, statements
from cardiobind.formats.safe_xml import begins_with_root, read_xml
from cardiobind.modalities.records import LEADS, EcgHeader, EcgRecord

LARGEST_COUNT = 1 << 30
_NO_LIST = re.compile(r"[^\s,]\s+[^\s,]|^,|,\s*,|,$")
_STRIPS = ("StripData", "Strip/StripData", "StripData/Strip")
_EXERCISE_PARTS = ("FullDisclosure", "TrendData", "Protocol")
_NOTCHES = {"Filter50Hz": 50.0, "Filter60Hz": 60.0}


def recognises(location: str) -> bool:
    """Tell whether the file is a CardioSoft XML, resting or exercise."""
    return begins_with_root(location, "CardiologyXML")


def read_cardiosoft_xml(location: str) -> EcgRecord:
    """Read a resting ECG: counts times resolution, leads by name, in mV.

    Args:
        location: path, or ``archive.zip::member``.

    Returns:
        Twelve leads in mV, with the device's filters, statements and measurements.

    Raises:
        RecordError: exercise ECG (field 6025), damaged XML, truncated lead, unknown unit, impossible rate.
    """
    root = read_xml(location, "CardiologyXML")
    strip = _rest_strip(root, location)
    rate_hz = _positive(strip, "SampleRate", {"hz", ""}, location)
    mv_per_count = _positive(strip, "Resolution", {"uvperlsb", ""}, location) / 1000.0
    counts = _lead_counts(strip, location)
    _check_lead_number(strip, len(counts), location)
    named = {lead: values * mv_per_count for lead, values in counts.items() if lead in LEADS}
    return finished_record(named, rate_hz, _header(root), location)


def _rest_strip(root: Element, location: str) -> Element:
    kind = (root.findtext("ObservationType") or "").strip().lower()
    strip = next((s for path in _STRIPS for s in root.iterfind(path) if s.find("WaveformData") is not None), None)
    named = any(word in kind for word in ("exercise", "stress"))
    if named or ("rest" not in kind and any(root.find(part) is not None for part in _EXERCISE_PARTS)):
        raise RecordError(
            reasons.EXERCISE_ECG, "an exercise ECG (field 6025) where a resting ECG is wanted", where=masked(location),
            expected="ObservationType RestECG",
            hint="the resting ECGs of the imaging visit are field 20205; bicycle tests are not read",
        )  # fmt: skip
    if strip is None:
        raise RecordError(reasons.NO_WAVEFORM, "no StripData/WaveformData in the file", where=masked(location))
    return strip


def _lead_counts(strip: Element, location: str) -> dict[str, NDArray[np.int32]]:
    counts: dict[str, NDArray[np.int32]] = {}
    for waveform in strip.iterfind("WaveformData"):
        name = (waveform.get("lead") or "").strip()
        lead = canonical_lead(name) or name.upper()
        if lead in counts:
            raise RecordError(reasons.BAD_HEADER, "a lead is there twice", where=masked(location))
        counts[lead] = _numbers(waveform.text or "", location)
    _check_length(strip, counts, location)
    return counts


def _numbers(text: str, location: str) -> NDArray[np.int32]:
    samples = text.strip().removesuffix(",")
    checked_samples(samples.count(",") + 1, location)
    try:
        return _integers(samples) if samples else np.zeros(0, np.int32)
    except (ValueError, OverflowError, DeprecationWarning):
        raise RecordError(
            reasons.BAD_NUMBER, "a sample is not a whole number", where=f"{masked(location)} WaveformData",
            expected="comma-separated integers",
        ) from None  # fmt: skip


def _integers(samples: str) -> NDArray[np.int32]:
    """Parse integers between commas; where there is white space, `numpy.fromstring` reads an empty entry as 0."""
    if len(samples.split(None, 1)) > 1 and _NO_LIST.search(samples):
        raise ValueError("two numbers without a comma, or a comma too many")
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        values = np.fromstring(samples, dtype=np.int64, sep=",")
    if np.abs(values).max() > LARGEST_COUNT:
        raise ValueError("a sample does not fit")
    return values.astype(np.int32)


def _check_length(strip: Element, counts: dict[str, NDArray[np.int32]], location: str) -> None:
    total = number(strip.findtext("ChannelSampleCountTotal"))
    wrong = sorted({len(values) for values in counts.values() if total is not None and len(values) != total})
    if wrong:
        reason = reasons.TRUNCATED if max(wrong) < (total or 0) else reasons.WRONG_LENGTH
        raise RecordError(
            reason, "a lead has another length than the header says", where=f"{masked(location)} WaveformData",
            expected=total, got=wrong,
        )  # fmt: skip


def _check_lead_number(strip: Element, found: int, location: str) -> None:
    stated = number(strip.findtext("NumberOfLeads"))
    if stated is not None and found < stated:
        raise RecordError(
            reasons.TRUNCATED, "leads are missing", where=f"{masked(location)} NumberOfLeads", expected=stated,
            got=found,
        )  # fmt: skip


def _positive(strip: Element, field: str, units: set[str], location: str) -> float:
    element = strip.find(field)
    value = number(element.text if element is not None else None)
    where = f"{masked(location)} StripData/{field}"
    if element is None or value is None or not value > 0:
        raise RecordError(reasons.BAD_HEADER, f"{field} is missing or impossible", where=where, expected="above 0")
    unit = (element.get("units") or "").strip()
    if unit.lower() not in units:
        raise RecordError(
            reasons.WRONG_UNIT, f"{field} has another unit", where=where, expected=max(units), got=shown_unit(unit)
        )
    return value


def _header(root: Element) -> EcgHeader:
    measured = {_with_unit(e): number(e.text) for e in root.iterfind("RestingECGMeasurements/*") if len(e) == 0}
    return EcgHeader(
        acquired_at=_acquired_at(root.find("ObservationDateTime")),
        device=device_name(root.findtext(".//DeviceInfo/Desc") or "CardioSoft"),
        highpass_hz=number(root.findtext("FilterSetting/HighPass")),
        lowpass_hz=number(root.findtext("FilterSetting/LowPass")),
        notch_hz=next((hz for name, hz in _NOTCHES.items() if _is_on(root.findtext(f"FilterSetting/{name}"))), None),
        statements=statements((e.text for e in root.iterfind(".//DiagnosisText")), root),
        measurements={name: value for name, value in measured.items() if value is not None},
    )


def _with_unit(element: Element) -> str:
    unit = (element.get("units") or "").strip()
    return f"{element.tag}_{unit}" if unit.isalpha() else element.tag


def _is_on(text: str | None) -> bool:
    return (text or "").strip().lower() in {"yes", "true", "on", "1"}


def _acquired_at(element: Element | None) -> str | None:
    if element is None:
        return None
    parts = [number(element.findtext(tag)) for tag in ("Year", "Month", "Day", "Hour", "Minute", "Second")]
    if any(part is None for part in parts):
        return None
    return iso_time("-".join(f"{part:.0f}" for part in parts if part is not None), "%Y-%m-%d-%H-%M-%S")


ECG_FORMATS.register("cardiosoft_xml")(Format("cardiosoft_xml", recognises, read_cardiosoft_xml))
