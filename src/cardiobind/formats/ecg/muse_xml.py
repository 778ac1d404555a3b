"""GE Muse XML (RestingECG): eight stored leads as base64 counts, the other limb leads to be derived.

Source: the two public examples of BRAVEHEART (Stabenau and Waks 2022) and the fields that open readers of the format
name; GE publishes no schema. ``LeadDataCRC32`` is the usual CRC-32 of the bytes, checked on those examples.
"""

from __future__ import annotations

import base64
import zlib
from xml.etree.ElementTree import Element

import numpy as np
from numpy.typing import NDArray

from cardiobind.errors import RecordError
from cardiobind.formats import reasons
from cardiobind.formats.base import ECG_FORMATS, Format, decoding, masked
from cardiobind.formats.ecg.ecg_recording import LARGEST_RATE_HZ, finished_record
from cardiobind.formats.ecg.leads import canonical_lead, millivolts_per
from cardiobind.formats.ecg.xml_fields import device_name, iso_time, measured, number, positive, statements
from cardiobind.formats.safe_xml import begins_with_root, read_xml
from cardiobind.modalities.records import EcgHeader, EcgRecord

ROOT = "RestingECG"
_MEASURED = {
    "VentricularRate": "VentricularRate_BPM", "AtrialRate": "AtrialRate_BPM", "PRInterval": "PQInterval_ms",
    "QRSDuration": "QRSDuration_ms", "QTInterval": "QTInterval_ms", "QTCorrected": "QTCInterval_ms",
    "QTcFrederica": "QTCFridericia_ms", "PAxis": "PAxis_deg", "RAxis": "RAxis_deg", "TAxis": "TAxis_deg",
    "QRSCount": "QRSNum", "POnset": "POnset_samples", "POffset": "POffset_samples", "QOnset": "QOnset_samples",
    "QOffset": "QOffset_samples", "TOffset": "TOffset_samples",
}  # fmt: skip


def recognises(location: str) -> bool:
    """Tell whether the file is a Muse XML."""
    return begins_with_root(location, ROOT)


def read_muse_xml(location: str) -> EcgRecord:
    """Read the rhythm strip: counts times units per bit, leads by name, absent limb leads derived, in mV.

    Args:
        location: path, or ``archive.zip::member``.

    Returns:
        Twelve leads in mV; a lead whose electrode was off (``LeadOff``) is absent.

    Raises:
        RecordError: damaged XML, no rhythm waveform, another length or checksum than stated, unknown unit,
            impossible rate.
    """
    root = read_xml(location, ROOT, doctype=True)
    waveform = _rhythm(root, location)
    base, exponent = number(waveform.findtext("SampleBase")), number(waveform.findtext("SampleExponent") or "0")
    decades = exponent if exponent is not None and abs(exponent) <= 9 else float("nan")
    rate_hz = positive(base and base * 10**decades, "SampleBase x 10^SampleExponent", location, LARGEST_RATE_HZ)
    stored = _lead_elements(waveform, location)
    attached = {lead: element for lead, element in stored.items() if not _is_off(element)}
    leads = {lead: _amplitude_mv(element, location) for lead, element in attached.items()}
    return finished_record(leads, rate_hz, _header(root, waveform), location)


def _rhythm(root: Element, location: str) -> Element:
    """Return the rhythm waveform with the most of the twelve leads, the first of several; never the median beat."""
    rhythms = [w for w in root.iterfind("Waveform") if (w.findtext("WaveformType") or "").strip().lower() == "rhythm"]
    if not rhythms:
        raise RecordError(
            reasons.NO_WAVEFORM, "no rhythm waveform in the file", where=masked(location),
            expected="Waveform with WaveformType Rhythm",
        )  # fmt: skip
    return max(rhythms, key=lambda w: sum(canonical_lead(e.text or "") is not None for e in w.iterfind("*/LeadID")))


def _lead_elements(waveform: Element, location: str) -> dict[str, Element]:
    found: dict[str, Element] = {}
    for element in waveform.iterfind("LeadData"):
        lead = canonical_lead(element.findtext("LeadID") or "")
        if lead in found:
            raise RecordError(reasons.BAD_HEADER, "a lead is there twice", where=masked(location), got=lead)
        if lead:
            found[lead] = element
    _check_simultaneous(found, location)
    return found


def _check_simultaneous(found: dict[str, Element], location: str) -> None:
    for field in ("LeadTimeOffset", "LeadOffsetFirstSample"):
        if len({number(element.findtext(field)) or 0.0 for element in found.values()}) > 1:
            raise RecordError(
                reasons.UNSUPPORTED, "the leads do not begin together", where=f"{masked(location)} {field}",
                expected="one value for all leads",
            )  # fmt: skip


def _is_off(element: Element) -> bool:
    return (element.findtext("LeadOff") or "").strip().lower() == "true"


def _amplitude_mv(element: Element, location: str) -> NDArray[np.float64]:
    unit = millivolts_per(element.findtext("LeadAmplitudeUnits") or "", location)
    per_bit = positive(number(element.findtext("LeadAmplitudeUnitsPerBit")), "LeadAmplitudeUnitsPerBit", location)
    return _counts(element, location).astype(np.float64) * (per_bit * unit)


def _counts(element: Element, location: str) -> NDArray[np.int16]:
    if number(element.findtext("LeadSampleSize") or "2") != 2:
        raise RecordError(
            reasons.UNSUPPORTED, "samples of another size", where=f"{masked(location)} LeadSampleSize", expected=2
        )
    with decoding(reasons.BAD_NUMBER, "the samples are not base64", location):
        data = base64.b64decode("".join((element.findtext("WaveFormData") or "").split()), validate=True)
    _check_length(element, data, location)
    checksum = number(element.findtext("LeadDataCRC32"))
    if checksum is not None and int(checksum) != zlib.crc32(data):
        raise RecordError(
            reasons.CHECKSUM, "the samples differ from their checksum", where=f"{masked(location)} LeadDataCRC32"
        )
    return np.frombuffer(data, "<i2")


def _check_length(element: Element, data: bytes, location: str) -> None:
    total = number(element.findtext("LeadSampleCountTotal"))
    expected = None if total is None else 2 * total
    if len(data) % 2 or (expected is not None and len(data) != expected):
        short = expected is None or len(data) < expected
        raise RecordError(
            reasons.TRUNCATED if short else reasons.WRONG_LENGTH, "a lead has another length than its header says",
            where=f"{masked(location)} LeadSampleCountTotal", expected=total, got=len(data) / 2,
        )  # fmt: skip


def _header(root: Element, waveform: Element) -> EcgHeader:
    test = "TestDemographics"
    taken = f"{root.findtext(f'{test}/AcquisitionDate') or ''} {root.findtext(f'{test}/AcquisitionTime') or ''}"
    return EcgHeader(
        acquired_at=iso_time(taken, "%m-%d-%Y %H:%M:%S", "%m-%d-%Y %H:%M", "%Y-%m-%d %H:%M:%S"),
        device=device_name("GE", root.findtext(f"{test}/AcquisitionDevice") or "Muse"),
        highpass_hz=_highpass_hz(waveform.findtext("HighPassFilter")),
        lowpass_hz=number(waveform.findtext("LowPassFilter")),
        notch_hz=number(waveform.findtext("ACFilter")),
        statements=_statements(root),
        measurements=measured(root.find("RestingECGMeasurements"), _MEASURED),
    )


def _highpass_hz(text: str | None) -> float | None:
    """Return the corner frequency: Muse writes hundredths of a hertz (16 is 0.16 Hz), some exports hertz (0.16)."""
    value = number(text)
    return value / 100.0 if value is not None and value >= 1 else value


def _statements(root: Element) -> tuple[str, ...]:
    """Return the final interpretation, the device's own where there is none; what was typed by hand is left out."""
    for diagnosis in ("Diagnosis", "OriginalDiagnosis"):
        coded = [
            statement.findtext("StmtText")
            for statement in root.iterfind(f"{diagnosis}/DiagnosisStatement")
            if all((flag.text or "").strip().upper() != "USERINSERT" for flag in statement.iterfind("StmtFlag"))
        ]
        if lines := statements(coded, root):
            return lines
    return ()


ECG_FORMATS.register("muse_xml")(Format("muse_xml", recognises, read_muse_xml))
