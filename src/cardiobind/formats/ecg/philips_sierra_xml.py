"""Philips Sierra ECG XML 1.03 and 1.04 (PageWriter, TraceMaster, IntelliSpace): base64 or plain counts, plain or XLI.

Source: the field names of the format as in Watford's sierra-ecg-tools and a public PageWriter TC file. The reader of
ecgdatakit was tried: it needs a path, expands without bound and rounds halves of limb leads down (`philips_xli`).
"""

from __future__ import annotations

import base64
from xml.etree.ElementTree import Element

import numpy as np
from numpy.typing import NDArray

from cardiobind.errors import RecordError
from cardiobind.formats import reasons
from cardiobind.formats.base import ECG_FORMATS, Format, decoding, masked
from cardiobind.formats.ecg.ecg_recording import LARGEST_RATE_HZ, finished_record
from cardiobind.formats.ecg.leads import canonical_lead
from cardiobind.formats.ecg.philips_xli import LIMB_LEADS, decode_xli, rebuild_limb_leads
from cardiobind.formats.ecg.xml_fields import (
    device_name,
    iso_time,
    measured,
    number,
    positive,
    real_numbers,
    statements,
)
from cardiobind.formats.safe_xml import begins_with_root, read_xml
from cardiobind.modalities.records import LEADS, EcgHeader, EcgRecord

ROOT = "restingecgdata"
MOST_SAMPLES = 1 << 17
MOST_LEADS = 32
_VERSIONS = ("1.03", "1.04")
_MEASURED = {
    "heartrate": "VentricularRate_BPM", "atrialrate": "AtrialRate_BPM", "rrint": "RRInterval_ms",
    "pdur": "PDuration_ms", "print": "PQInterval_ms", "qrsdur": "QRSDuration_ms", "qtint": "QTInterval_ms",
    "qtcb": "QTCInterval_ms", "qtcf": "QTCFridericia_ms", "pfrontaxis": "PAxis_deg", "qrsfrontaxis": "RAxis_deg",
    "tfrontaxis": "TAxis_deg",
}  # fmt: skip


def recognises(location: str) -> bool:
    """Tell whether the file is a Philips ECG."""
    return begins_with_root(location, ROOT)


def read_philips_sierra_xml(location: str) -> EcgRecord:
    """Read the parsed waveforms, never the representative beats; leads that are not of the twelve are left out.

    Args:
        location: path, or ``archive.zip::member``.

    Returns:
        Twelve leads in mV, up to where the device draws its calibration pulse in all leads at once.

    Raises:
        RecordError: damaged XML, another version, no waveform, another length than stated, unknown encoding or
            compression, impossible rate or resolution.
    """
    root = read_xml(location, ROOT)
    _check_version(root, location)
    waveforms = root.find("waveforms/parsedwaveforms")
    if waveforms is None:
        raise RecordError(reasons.NO_WAVEFORM, "no parsedwaveforms in the file", where=masked(location))
    signal = _Signal(root, waveforms)
    rate_hz = positive(number(signal["samplespersecond"] or signal["samplingrate"]), "the rate", location)
    positive(rate_hz, "the rate", location, LARGEST_RATE_HZ)
    uv_per_count = positive(number(signal["resolution"] or signal["signalresolution"]), "resolution", location)
    counts = _counts(signal, rate_hz, location)
    zero = number(signal["signaloffset"]) or 0.0
    leads = {lead: (values - zero) * (uv_per_count / 1000.0) for lead, values in counts.items()}
    return finished_record(leads, rate_hz, _header(root, signal), location)


class _Signal:
    """The properties of the waveforms: attributes of `parsedwaveforms`, else elements of `signalcharacteristics`."""

    def __init__(self, root: Element, waveforms: Element) -> None:
        self.waveforms = waveforms
        self.device = root.find("dataacquisition/signalcharacteristics")

    def __getitem__(self, name: str) -> str:
        of_device = self.device.findtext(name) if self.device is not None else None
        return (self.waveforms.get(name) or of_device or "").strip()


def _check_version(root: Element, location: str) -> None:
    version = (root.findtext("documentinfo/documentversion") or "").strip()
    if not version.startswith(_VERSIONS):
        raise RecordError(
            reasons.UNSUPPORTED, "another version of the Philips format", where=masked(location),
            expected=" | ".join(_VERSIONS),
        )  # fmt: skip


def _counts(signal: _Signal, rate_hz: float, location: str) -> dict[str, NDArray[np.float64]]:
    names = _lead_names(signal, location)
    duration_ms = positive(number(signal["durationperchannel"]), "durationperchannel", location)
    samples = round(positive(duration_ms * rate_hz / 1000.0, "the number of samples", location, MOST_SAMPLES))
    channels = _channels(signal, names, samples, location)
    named = {lead: values for name, values in zip(names, channels, strict=False) if (lead := canonical_lead(name))}
    return _without_calibration(named)


def _lead_names(signal: _Signal, location: str) -> list[str]:
    names = signal["leadlabels"].split()
    stated = number(signal["numberofleads"] or signal["numberchannelsallocated"])
    if not names and (signal["acquisitiontype"] or signal["leadset"]) in {"STD-12", "10-WIRE"}:
        names = list(LEADS)
    names = names[: MOST_LEADS if stated is None else round(min(max(stated, 0), MOST_LEADS))]
    known = [lead for name in names if (lead := canonical_lead(name))]
    if not known or len(known) != len(set(known)):
        raise RecordError(
            reasons.BAD_HEADER, "the leads are not named, or one of them twice", where=f"{masked(location)} leadlabels",
            expected="names such as I II III aVR", got=known,
        )  # fmt: skip
    return names


def _channels(signal: _Signal, names: list[str], samples: int, location: str) -> list[NDArray[np.float64]]:
    compression = (signal["compression"] or signal["compressmethod"]).lower()
    if compression in {"", "none", "uncompressed"} or signal["compressflag"].lower() == "false":
        return _plain_channels(signal, len(names), samples, location)
    if compression != "xli" or [canonical_lead(name) for name in names[:6]] != LIMB_LEADS:
        raise RecordError(
            reasons.UNSUPPORTED, "a compression that is not read", where=masked(location),
            expected="XLI of leads I II III aVR aVL aVF ...",
        )  # fmt: skip
    data = _base64(signal, location)
    with decoding(reasons.TRUNCATED, "the compressed leads are damaged or shorter than stated", location):
        counts = rebuild_limb_leads(decode_xli(data, len(names), samples))
    return [channel.astype(np.float64) for channel in counts]


def _plain_channels(signal: _Signal, leads: int, samples: int, location: str) -> list[NDArray[np.float64]]:
    if number(signal["bitspersample"] or "16") != 16:
        raise RecordError(
            reasons.UNSUPPORTED, "samples of another size", where=f"{masked(location)} bitspersample", expected=16
        )
    if signal["dataencoding"].lower() == "plain":
        values = real_numbers(signal.waveforms.text or "", location)
    else:
        data = _base64(signal, location)
        signed = signal["signalsigned"].lower() != "false"
        values = np.frombuffer(data[: len(data) // 2 * 2], "<i2" if signed else "<u2").astype(np.float64)
    if len(values) < leads * samples:
        raise RecordError(
            reasons.TRUNCATED, "the waveforms are shorter than stated", where=masked(location),
            expected=leads * samples, got=len(values),
        )  # fmt: skip
    return list(values[: leads * samples].reshape(leads, samples))


def _base64(signal: _Signal, location: str) -> bytes:
    if signal["dataencoding"].lower() != "base64":
        raise RecordError(
            reasons.UNSUPPORTED, "another encoding of samples", where=masked(location), expected="Base64 | Plain"
        )
    with decoding(reasons.BAD_NUMBER, "the samples are not base64", location):
        return base64.b64decode("".join((signal.waveforms.text or "").split()), validate=True)


def _without_calibration(leads: dict[str, NDArray[np.float64]]) -> dict[str, NDArray[np.float64]]:
    """Return the leads without the calibration pulse at the end: all leads alike there, which no heart makes.

    An end of equal samples without a pulse is padding and is kept, as are records of three leads and less.
    """
    stacked = np.stack(list(leads.values()))
    differs = np.flatnonzero((stacked != stacked[0]).any(axis=0))
    end = int(differs[-1]) + 1 if len(differs) else 0
    is_pulse = len(leads) > 3 and 0 < end and len(np.unique(stacked[0, end:])) > 1
    return {lead: values[:end] for lead, values in leads.items()} if is_pulse else leads


def _header(root: Element, signal: _Signal) -> EcgHeader:
    acquisition = root.find("dataacquisition")
    taken = "" if acquisition is None else f"{acquisition.get('date', '')} {acquisition.get('time', '')}"
    band = signal["signalbandwidth"].partition("-")
    is_notched = signal["notchfiltered"].lower() != "false"
    return EcgHeader(
        acquired_at=iso_time(taken, "%Y-%m-%d %H:%M:%S", "%Y-%m-%d %H:%M"),
        device=device_name("Philips", root.findtext("dataacquisition/machine")),
        highpass_hz=number(signal["hipass"] or band[0]),
        lowpass_hz=number(signal["lowpass"] or band[2]),
        notch_hz=number(signal["notchfilterfreqs"]) if is_notched else None,
        statements=_statements(root),
        measurements=_measurements(root),
    )


def _measurements(root: Element) -> dict[str, float]:
    for part in ("globalmeasurements", "interpretationmeasurements"):
        if found := measured(root.find(f"interpretations/interpretation/{part}"), _MEASURED):
            return found
    return {}


def _statements(root: Element) -> tuple[str, ...]:
    """Return the coded statements and the severity of the first interpretation; a line without code was typed."""
    interpretation = root.find("interpretations/interpretation")
    if interpretation is None:
        return ()
    coded = [s for s in interpretation.iterfind("statement") if (s.findtext("statementcode") or "").strip()]
    texts = [f"{s.findtext('leftstatement') or ''} {s.findtext('rightstatement') or ''}" for s in coded]
    severity = (interpretation.findtext("severity") or "").strip(" -")
    return statements([*texts, severity], root)


ECG_FORMATS.register("philips_sierra_xml")(Format("philips_sierra_xml", recognises, read_philips_sierra_xml))
