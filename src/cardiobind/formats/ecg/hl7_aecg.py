"""HL7 annotated ECG (aECG, urn:hl7-org:v3): rhythm series of evenly sampled leads with origin, scale and digits.

Source: Brown and Badilini, HL7 aECG Implementation Guide (2005), and HL7's own example.
"""

from __future__ import annotations

from collections.abc import Iterator
from xml.etree.ElementTree import Element

import numpy as np
from numpy.typing import NDArray

from cardiobind.errors import RecordError
from cardiobind.formats import reasons
from cardiobind.formats.base import ECG_FORMATS, Format, masked
from cardiobind.formats.ecg.ecg_recording import LARGEST_RATE_HZ, finished_record
from cardiobind.formats.ecg.leads import canonical_lead, millivolts_per, shown_unit
from cardiobind.formats.ecg.xml_fields import device_name, iso_time, number, positive, real_numbers, statements
from cardiobind.formats.safe_xml import begins_with_root, read_xml
from cardiobind.modalities.records import EcgHeader, EcgRecord

ROOT = "AnnotatedECG"
_LEAD = "MDC_ECG_LEAD_"
_FILTER = "MDC_ECG_CTL_VBL_ATTR_FILTER_"
_MEASURED = {
    "MDC_ECG_HEART_RATE": ("VentricularRate", "BPM"), "MDC_ECG_TIME_PD_RR": ("RRInterval", "ms"),
    "MDC_ECG_TIME_PD_P": ("PDuration", "ms"), "MDC_ECG_TIME_PD_PR": ("PQInterval", "ms"),
    "MDC_ECG_TIME_PD_PQ": ("PQInterval", "ms"), "MDC_ECG_TIME_PD_QRS": ("QRSDuration", "ms"),
    "MDC_ECG_TIME_PD_QT": ("QTInterval", "ms"), "MDC_ECG_TIME_PD_QTc": ("QTCInterval", "ms"),
    "MDC_ECG_ANGLE_P_FRONT": ("PAxis", "deg"), "MDC_ECG_ANGLE_QRS_FRONT": ("RAxis", "deg"),
    "MDC_ECG_ANGLE_T_FRONT": ("TAxis", "deg"),
}  # fmt: skip
_UNITS = {"ms": "ms", "deg": "deg", "bpm": "BPM", "/min": "BPM"}
_INTERPRETED = {"MDC_ECG_INTERPRETATION_STATEMENT", "MDC_ECG_INTERPRETATION_SUMMARY"}
_PER_SECOND = {"s": 1.0, "ms": 1e3, "us": 1e6}
_TIME_LAYOUTS = {14: "%Y%m%d%H%M%S", 12: "%Y%m%d%H%M", 8: "%Y%m%d"}


def recognises(location: str) -> bool:
    """Tell whether the file is an annotated ECG."""
    return begins_with_root(location, ROOT)


def read_hl7_aecg(location: str) -> EcgRecord:
    """Read the rhythm sequence set with the most leads, never the derived representative beat, in mV.

    Args:
        location: path, or ``archive.zip::member``.

    Returns:
        Twelve leads in mV: origin + digits x scale; absent limb leads derived.

    Raises:
        RecordError: damaged XML, no rhythm series, leads recorded one after another, no even time increment,
            unknown unit, a digit that is no number.
    """
    root = read_xml(location, ROOT)
    series, sequences = _best(root, location)
    rate_hz = _rate_hz(sequences, location)
    named = {lead: _amplitude_mv(element, location) for lead, element in _leads(sequences, location).items()}
    return finished_record(named, rate_hz, _header(root, series), location)


def _best(root: Element, location: str) -> tuple[Element, Element]:
    """Return the series and its set of simultaneous sequences with the most leads, the first of several."""
    found = [(series, s) for series in root.iterfind("component/series") if _is_rhythm(series) for s in _sets(series)]
    if not found:
        raise RecordError(
            reasons.NO_WAVEFORM, "no rhythm series in the file", where=masked(location),
            expected="component/series with code RHYTHM",
        )  # fmt: skip
    series, best = max(found, key=lambda pair: len(_names(pair[1])))
    if set().union(*map(_names, _sets(series))) - _names(best):
        raise RecordError(
            reasons.UNSUPPORTED, "the leads were recorded one after another", where=masked(location),
            expected="one sequenceSet that holds all leads",
        )  # fmt: skip
    return series, best


def _is_rhythm(series: Element) -> bool:
    return _code(series) in {"", "RHYTHM"}


def _sets(series: Element) -> list[Element]:
    return series.findall("component/sequenceSet")


def _names(sequences: Element) -> set[str]:
    return {lead for sequence in sequences.iterfind("component/sequence") if (lead := _lead(sequence))}


def _code(element: Element) -> str:
    code = element.find("code")
    return "" if code is None else code.get("code", "").strip()


def _lead(sequence: Element) -> str | None:
    code = _code(sequence)
    return canonical_lead(code.removeprefix(_LEAD)) if code.startswith(_LEAD) else None


def _leads(sequences: Element, location: str) -> dict[str, Element]:
    found: dict[str, Element] = {}
    for sequence in sequences.iterfind("component/sequence"):
        lead = _lead(sequence)
        if lead in found:
            raise RecordError(reasons.BAD_HEADER, "a lead is there twice", where=masked(location), got=lead)
        if lead:
            found[lead] = sequence
    return found


def _rate_hz(sequences: Element, location: str) -> float:
    """Return the rate from the increment of TIME_ABSOLUTE (GLIST_TS) or TIME_RELATIVE (GLIST_PQ)."""
    times = (s for s in sequences.iterfind("component/sequence") if _code(s).startswith("TIME_"))
    increment = next((i for s in times if (i := s.find("value/increment")) is not None), None)
    attributes = increment.attrib if increment is not None else {}
    step = positive(number(attributes.get("value")), "the time increment", location)
    unit = attributes.get("unit", "")
    if unit not in _PER_SECOND:
        raise RecordError(
            reasons.WRONG_UNIT, "the time increment's unit is unknown", where=masked(location),
            expected=" | ".join(_PER_SECOND), got=shown_unit(unit),
        )  # fmt: skip
    return positive(_PER_SECOND[unit] / step, "the rate", location, LARGEST_RATE_HZ)


def _amplitude_mv(sequence: Element, location: str) -> NDArray[np.float64]:
    scale, origin, digits = (sequence.find(f"value/{part}") for part in ("scale", "origin", "digits"))
    if scale is None or digits is None:
        raise RecordError(
            reasons.BAD_HEADER, "a lead has no scale or no digits", where=masked(location), expected="SLIST_PQ"
        )
    factor = positive(number(scale.get("value")), "the scale", location)
    offset_mv = 0.0 if origin is None else _quantity_mv(origin, location)
    return offset_mv + real_numbers(digits.text or "", location) * (
        factor * millivolts_per(scale.get("unit", ""), location)
    )


def _quantity_mv(element: Element, location: str) -> float:
    value = number(element.get("value"))
    if value is None:
        raise RecordError(reasons.BAD_HEADER, "the origin is not a number", where=masked(location))
    return value * millivolts_per(element.get("unit", ""), location) if value else 0.0


def _header(root: Element, series: Element) -> EcgHeader:
    maker = series.findtext("author/seriesAuthor/manufacturerOrganization/name")
    model = series.findtext("author/seriesAuthor/manufacturedSeriesDevice/manufacturerModelName")
    annotations = list(_annotations(root))
    return EcgHeader(
        acquired_at=_acquired_at(series) or _acquired_at(root),
        device=device_name(maker, model),
        highpass_hz=_filter_hz(series, "HIGH_PASS", "CUTOFF_FREQ"),
        lowpass_hz=_filter_hz(series, "LOW_PASS", "CUTOFF_FREQ"),
        notch_hz=_filter_hz(series, "NOTCH", "NOTCH_FREQ"),
        statements=statements(_interpretation(root), root),
        measurements={name: value for a in reversed(annotations) for name, value in _measurement(a)},
    )


def _annotations(root: Element) -> Iterator[Element]:
    """Yield the annotations about the whole recording: neither of one beat (nested deeper) nor of one lead."""
    for whole in root.iter("annotationSet"):
        for annotation in whole.iterfind("component/annotation"):
            boundaries = annotation.iterfind("support/supportingROI/component/boundary")
            if not any(_code(boundary).startswith(_LEAD) for boundary in boundaries):
                yield annotation


def _interpretation(root: Element) -> Iterator[str | None]:
    return (a.findtext("value") for a in root.iter("annotation") if _code(a) in _INTERPRETED)


def _measurement(annotation: Element) -> Iterator[tuple[str, float]]:
    name, unit = _MEASURED.get(_code(annotation), ("", ""))
    value = annotation.find("value")
    amount = number(value.get("value")) if value is not None else None
    if name and value is not None and amount is not None and _UNITS.get(value.get("unit", "")) == unit:
        yield f"{name}_{unit}", amount


def _filter_hz(series: Element, kind: str, part: str) -> float | None:
    for control in series.iterfind("controlVariable/controlVariable"):
        if _code(control) == _FILTER + kind:
            for setting in control.iterfind("component/controlVariable"):
                value = setting.find("value")
                if _code(setting) == _FILTER + part and value is not None and value.get("unit") == "Hz":
                    return number(value.get("value"))
    return None


def _acquired_at(element: Element) -> str | None:
    """Return when the recording began; fractions of a second and the zone are left out."""
    for part in ("low", "center"):
        time = element.find(f"effectiveTime/{part}")
        text = (time.get("value", "") if time is not None else "").partition(".")[0].partition("+")[0].partition("-")[0]
        if moment := iso_time(text, _TIME_LAYOUTS.get(len(text), "")):
            return moment
    return None


ECG_FORMATS.register("hl7_aecg")(Format("hl7_aecg", recognises, read_hl7_aecg))
