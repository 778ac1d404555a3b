"""From a file's leads, whatever their order, spelling and unit, to twelve canonical rows in millivolts."""

from __future__ import annotations

import re
from collections.abc import Mapping

import numpy as np
from numpy.typing import NDArray

from cardiobind.errors import RecordError
from cardiobind.formats import reasons
from cardiobind.formats.base import masked
from cardiobind.modalities.records import LEADS

_CANONICAL = {lead.upper(): lead for lead in LEADS}
_FRONTAL = {
    "I": (1.0, 0.0), "II": (0.0, 1.0), "III": (-1.0, 1.0), "aVR": (-0.5, -0.5), "aVL": (1.0, -0.5), "aVF": (-0.5, 1.0),
}  # fmt: skip
_LIKE_A_UNIT = re.compile(
    r"\W*|[a-zµμ%]{1,2}|[a-zµμ]{0,5}(v|volts?|hz|seconds?)((/|per)(lsb|bit|count))?", re.IGNORECASE
)
_MILLIVOLTS = {
    "v": 1e3, "mv": 1.0, "millivolts": 1.0, "uv": 1e-3, "µv": 1e-3, "μv": 1e-3, "microvolt": 1e-3, "microvolts": 1e-3,
    "nv": 1e-6,
}  # fmt: skip


def canonical_lead(name: str) -> str | None:
    """Return the canonical spelling of a lead ("AVR" -> "aVR"), or None if it is not one of the twelve."""
    spelled = name.strip().upper().removeprefix("LEAD").strip(" _")
    return _CANONICAL.get(spelled)


def millivolts_per(unit: str, location: str) -> float:
    """Return how many millivolts one `unit` is.

    Raises:
        RecordError: the unit is unknown.
    """
    scale = _MILLIVOLTS.get(unit.strip().lower())
    if scale is None:
        raise RecordError(
            reasons.WRONG_UNIT, "the amplitude's unit is unknown", where=masked(location),
            expected="V | mV | uV | nV", got=shown_unit(unit),
        )  # fmt: skip
    return scale


def shown_unit(unit: str) -> str:
    """Return a unit as an error may quote it: what does not look like one may be a name and is not shown."""
    return repr(unit) if _LIKE_A_UNIT.fullmatch(unit) else f"{len(unit)} letters that are no unit"


def derive_limb_leads(
    leads: Mapping[str, NDArray[np.floating]],
) -> tuple[dict[str, NDArray[np.floating]], tuple[str, ...]]:
    """Return the leads with the absent limb leads added, and the names of those added.

    The six limb leads are projections of one vector in the frontal plane, so that any two of them tell the others:
    III = II - I (Einthoven 1913), aVR = -(I + II)/2, aVL = I - II/2, aVF = II - I/2 (Goldberger 1942). I and II are
    taken where both are there, else the first two of the order of `LEADS`.

    Args:
        leads: canonical lead name to (samples,) amplitudes, all in one unit. A lead without a finite sample is absent.
    """
    present = [lead for lead in _FRONTAL if lead in leads and np.isfinite(leads[lead]).any()]
    if len(present) < 2 or len(leads[present[0]]) != len(leads[present[1]]):
        return dict(leads), ()
    absent = [lead for lead in _FRONTAL if lead not in present]
    first, second = present[:2]
    added = {lead: _combination(lead, first, second, leads[first], leads[second]) for lead in absent}
    return {**leads, **added}, tuple(absent)


def _combination(
    lead: str, first: str, second: str, one: NDArray[np.floating], other: NDArray[np.floating]
) -> NDArray[np.floating]:
    """Return a lead as the combination of two others that its place in the frontal plane asks for (Cramer's rule)."""
    (a, b), (c, d), (x, y) = _FRONTAL[first], _FRONTAL[second], _FRONTAL[lead]
    determinant = a * d - b * c
    combined = (x * d - y * c) / determinant * one.astype(np.float64) + (a * y - b * x) / determinant * other
    return np.asarray(combined)


def stack_leads(leads: Mapping[str, NDArray[np.floating]], location: str) -> NDArray[np.float32]:
    """Return (12, samples) float32 in the order of `LEADS`; a lead that the file has not is NaN.

    Args:
        leads: canonical lead name to (samples,) amplitudes in mV, all of one length.
        location: of the file, for errors.

    Raises:
        RecordError: no lead, no sample, leads of different lengths, or infinite amplitudes.
    """
    lengths = {len(values) for values in leads.values()}
    if not lengths or lengths == {0}:
        raise RecordError(reasons.NO_WAVEFORM, "the file holds no sample of the twelve leads", where=masked(location))
    if len(lengths) > 1:
        raise RecordError(reasons.WRONG_LENGTH, "leads differ in length", where=masked(location), got=sorted(lengths))
    stacked = np.full((len(LEADS), lengths.pop()), np.nan, np.float32)
    with np.errstate(over="ignore"):
        for row, lead in enumerate(LEADS):
            if lead in leads:
                stacked[row] = leads[lead]
    if np.isinf(stacked).any():
        raise RecordError(reasons.BAD_HEADER, "gain or resolution makes amplitudes infinite", where=masked(location))
    return stacked
