"""An ECG file: what its header says, what is wrong with the signal, and the signal on paper."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from cardiobind.evaluation.figures import ecg_paper
from cardiobind.formats import ECG_FORMATS, read_ecg
from cardiobind.inspection.sheet import Picture, Rows, Sheet, SheetTable
from cardiobind.modalities.ecg.limb_leads import stored_lead_mistake
from cardiobind.modalities.ecg.preparation import FATAL_ECG, EcgPreparation, ecg_quality
from cardiobind.modalities.ecg.quality import suggested_rate_hz, suggested_unit_factor
from cardiobind.modalities.ecg.r_peaks import r_peaks
from cardiobind.modalities.records import LEADS, EcgRecord

LONGEST_DRAWN_S = 10.0
HEART_RATE = "VentricularRate_BPM"
SLOWEST_RATE_HZ, FEWEST_BEATS = 80.0, 3


def inspect_ecg(location: str) -> Sheet:
    """Return the sheet of one ECG file.

    Raises:
        RecordError: it cannot be read.
    """
    record = read_ecg(location)
    form = next(name for name in ECG_FORMATS if ECG_FORMATS.get(name).recognises(location))
    codes = ecg_quality(record, _as_long_as(record))
    return Sheet(
        "Electrocardiogram",
        _facts(record, form),
        tuple(_in_words(c, record) for c in codes),
        _tables(record),
        (_paper(record),),
    )


def _as_long_as(record: EcgRecord) -> EcgPreparation:
    """Return the default preparation, for at most the record's length: how long is enough is for the experiment."""
    usual = EcgPreparation()
    seconds = record.amplitude_mv.shape[1] / record.rate_hz
    return EcgPreparation(duration_s=min(usual.duration_s, seconds))


def _facts(record: EcgRecord, form: str) -> tuple[tuple[str, str], ...]:
    header, present = record.header, record.present
    filters = {"high-pass": header.highpass_hz, "low-pass": header.lowpass_hz, "notch": header.notch_hz}
    facts = {
        "format": form,
        "leads": ", ".join(lead for lead, there in zip(LEADS, present, strict=True) if there),
        "absent leads": ", ".join(lead for lead, there in zip(LEADS, present, strict=True) if not there),
        "calculated leads": ", ".join(header.derived_leads),
        "length": f"{record.amplitude_mv.shape[1] / record.rate_hz:.2f} s ({record.amplitude_mv.shape[1]} samples)",
        "sampling rate": f"{record.rate_hz:g} Hz",
        "acquired": header.acquired_at or "not said",
        "device": header.device or "not said",
        "filters": ", ".join(f"{name} {hz:g} Hz" for name, hz in filters.items() if hz is not None) or "not said",
        "heart rate": _heart_rate(record),
        "device statements": "; ".join(header.statements),
    }
    return tuple((name, value) for name, value in facts.items() if value)


def _heart_rate(record: EcgRecord) -> str:
    """Return the heart rate from the QRS complexes found here, beside the device's."""
    device = next((f", {v:g} says the device" for n, v in record.header.measurements.items() if n == HEART_RATE), "")
    if record.rate_hz < SLOWEST_RATE_HZ:
        return f"not measured here{device}"
    peaks = r_peaks(np.nan_to_num(_centred(record.amplitude_mv)), record.rate_hz)
    if len(peaks) < FEWEST_BEATS:
        return f"not measured here, {len(peaks)} beats{device}"
    beats_a_minute = 60.0 * record.rate_hz / float(np.median(np.diff(peaks)))
    return f"{beats_a_minute:.0f} a minute measured here from {len(peaks)} beats{device}"


def _centred(amplitude_mv: NDArray[np.floating[Any]]) -> NDArray[np.float64]:
    """Return each lead less its median, NaN where absent."""
    known = np.isfinite(amplitude_mv)
    middles = [np.median(row[there]) if there.any() else 0.0 for row, there in zip(amplitude_mv, known, strict=True)]
    return np.where(known, amplitude_mv - np.array(middles)[:, None], np.nan)


def _in_words(code: str, record: EcgRecord) -> str:
    words = f"{code.replace('_', ' ')}{': it would be quarantined' if code in FATAL_ECG else ''}"
    if code == "wrong_unit":
        return f"{words}: divided by {suggested_unit_factor(record.amplitude_mv):g} it would be in mV"
    if code == "wrong_rate" and (fitting := suggested_rate_hz(record.amplitude_mv, record.rate_hz)):
        return f"{words}: heart rate and QRS complexes would fit {fitting:g} Hz better"
    if code == "limb_leads_inconsistent" and (mistake := stored_lead_mistake(record.amplitude_mv)):
        return f"{words}: {', '.join(f'the row {row} seems to hold {lead}' for row, lead in mistake.items())}"
    return words


def _tables(record: EcgRecord) -> tuple[SheetTable, ...]:
    leads = [("lead", "lowest (mV)", "highest (mV)", "standard deviation (mV)", "missing samples")]
    for lead, row in zip(LEADS, record.amplitude_mv, strict=True):
        known = row[np.isfinite(row)]
        numbers = (f"{known.min():.3f}", f"{known.max():.3f}", f"{known.std():.3f}") if known.size else ("-",) * 3
        leads.append((lead, *numbers, str(row.size - known.size)))
    measured: Rows = (("measurement", "value"), *((n, f"{v:g}") for n, v in record.header.measurements.items()))
    tables = [SheetTable(tuple(leads), "Amplitudes by lead")]
    return (*tables, SheetTable(measured, "What the device measured")) if len(measured) > 1 else tuple(tables)


def _paper(record: EcgRecord) -> Picture:
    drawn = record.amplitude_mv[:, : round(LONGEST_DRAWN_S * record.rate_hz)]
    shown = drawn.shape[1] / record.rate_hz
    rhythm = "II" if np.isfinite(drawn[LEADS.index("II")]).any() else None
    cut = drawn.shape[1] < record.amplitude_mv.shape[1]
    return Picture(
        ecg_paper(_centred(drawn), record.rate_hz, title="As recorded", rhythm=rhythm),
        "12-lead electrocardiogram on millimetre paper",
        f"25 mm/s and 10 mm/mV{f'; the first {shown:.0f} s' if cut else ''}. "
        "Each lead centred by its median; nothing is filtered.",
    )
