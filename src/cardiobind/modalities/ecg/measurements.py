"""What a cardiograph measures in a 12-lead ECG: rate, intervals, axes, and the waves of each lead.

The waves are found in the median beat. QRS complex, P and T wave are delineated on all leads at once, by the size of
the slope or of the deflection summed over the leads, so that a lead in which a wave is isoelectric does not hide its
ends (as global intervals are: Kligfield et al., Circulation 2007;115:1306). It is a simple delineation for a baseline
and no medical device.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from cardiobind.errors import InputError
from cardiobind.modalities.ecg.bands import band_pass, resample_spectrum
from cardiobind.modalities.ecg.r_peaks import r_peaks, typical_beat
from cardiobind.modalities.records import LEADS

Array = NDArray[np.float64]

RATE_HZ = 500.0
"""Rate at which the beat is looked at, whatever that of the record."""
SLOWEST_RATE_HZ = 80.0
FEWEST_BEATS = 3
BEFORE_S, AFTER_S = 0.34, 0.62
SMALLEST_WAVE_MV = 0.02
FLUTTER_HZ = (4.0, 9.0)

RHYTHM = ("beats", "heart_rate_bpm", "rr_sd_ms", "rr_step_ms", "flutter_mv")
INTERVALS = ("p_ms", "pr_ms", "qrs_ms", "qt_ms", "qtc_ms")
AXES = ("qrs_axis_deg", "t_axis_deg")
VOLTAGES = ("p_mv", "sokolow_lyon_mv", "cornell_mv")
WAVES = ("q_mv", "q_ms", "r_mv", "s_mv", "st_mv", "t_mv")
MEASUREMENTS = (*RHYTHM, *INTERVALS, *AXES, *VOLTAGES, *(f"{lead}_{wave}" for lead in LEADS for wave in WAVES))
"""Names with their units, in the order of `measure_ecg`."""
NEEDED_LEADS: Mapping[str, tuple[str, ...]] = {
    "flutter_mv": ("II", "V1"), "qrs_axis_deg": ("I", "aVF"), "t_axis_deg": ("I", "aVF"), "p_mv": ("II",),
    "sokolow_lyon_mv": ("V1", "V5", "V6"), "cornell_mv": ("aVL", "V3"),
    **{f"{lead}_{wave}": (lead,) for lead in LEADS for wave in WAVES},
}  # fmt: skip
"""By measurement: the leads without any of which it is not measured; all others are of the leads that are there."""


@dataclass(frozen=True)
class Beat:
    """The median beat at `RATE_HZ`.

    Attributes:
        mv: (12, samples), 0 on the segment before the QRS complex.
        start, end: first sample of the QRS complex, and the one after its last.
        interval_s: usual time between beats.
    """

    mv: Array
    start: int
    end: int
    interval_s: float


def measure_ecg(amplitude_mv: NDArray[np.floating], rate_hz: float) -> Array:
    """Return the measurements of one ECG, (len(MEASUREMENTS),), NaN where something cannot be measured.

    Args:
        amplitude_mv: (12, samples); a lead that is 0 or NaN throughout is absent, and the others are finite.
        rate_hz: samples per second, at least 80.

    Raises:
        InputError: it is no 12-lead ECG, or of a lower rate.
    """
    if amplitude_mv.ndim != 2 or len(amplitude_mv) != len(LEADS) or rate_hz < SLOWEST_RATE_HZ:
        raise InputError(
            "this ECG cannot be measured", expected=f"(12, samples), at least {SLOWEST_RATE_HZ:g} Hz",
            got=(amplitude_mv.shape, rate_hz),
        )  # fmt: skip
    there = (np.isfinite(amplitude_mv) & (amplitude_mv != 0)).any(axis=1)
    found = _found(resample_spectrum(np.where(there[:, None], amplitude_mv, 0.0), rate_hz, RATE_HZ))
    absent = {lead for lead, known in zip(LEADS, there, strict=True) if not known}
    lacking = {name for name, leads in NEEDED_LEADS.items() if absent & set(leads)}
    return np.array([np.nan if name in lacking else found.get(name, np.nan) for name in MEASUREMENTS])


def _found(fine: Array) -> dict[str, float]:
    peaks = r_peaks(fine, RATE_HZ)
    found: dict[str, float] = {"beats": float(len(peaks))}
    if len(peaks) >= FEWEST_BEATS:
        found |= _rhythm(fine, peaks)
        beat = median_beat(fine, peaks)
        if beat is not None:
            found |= _of_beat(beat)
    return found


def _rhythm(fine: Array, peaks: NDArray[np.intp]) -> dict[str, float]:
    intervals_ms = np.diff(peaks) / RATE_HZ * 1000
    steps = np.abs(np.diff(intervals_ms))
    return {
        "heart_rate_bpm": 60_000 / float(np.median(intervals_ms)), "rr_sd_ms": float(intervals_ms.std()),
        "rr_step_ms": float(np.median(steps)), "flutter_mv": _flutter(fine, peaks),
    }  # fmt: skip


def _flutter(fine: Array, peaks: NDArray[np.intp]) -> float:
    """Return the size in mV of what II and V1 hold at 4 to 9 Hz between the complexes, the median beat taken away."""
    before, after = round(BEFORE_S * RATE_HZ), round(AFTER_S * RATE_HZ)
    beat = typical_beat(fine, peaks, before, after)
    if beat is None:
        return float("nan")
    rest = fine[[LEADS.index("II"), LEADS.index("V1")]].copy()
    mean_beat = beat[[LEADS.index("II"), LEADS.index("V1")]]
    for peak in peaks[(peaks >= before) & (peaks + after <= rest.shape[1])]:
        rest[:, peak - before : peak + after] -= mean_beat
    quiet = np.ones(rest.shape[1], dtype=bool)
    for peak in peaks:
        quiet[max(0, peak - 50) : peak + 60] = False
    band = band_pass(rest, RATE_HZ, *FLUTTER_HZ)
    return float(np.median(np.abs(band[:, quiet]))) if quiet.any() else float("nan")


def median_beat(fine: Array, peaks: NDArray[np.intp]) -> Beat | None:
    """Return the median beat with its QRS complex, None where no beat lies wholly inside or it has no complex.

    Args:
        fine: (12, samples) at `RATE_HZ`, mV.
        peaks: samples of the R peaks, two or more.
    """
    before, after = round(BEFORE_S * RATE_HZ), round(AFTER_S * RATE_HZ)
    mv = typical_beat(fine, peaks, before, after)
    if mv is None or not mv.any():
        return None
    start, end = _qrs(mv, before)
    level = mv[:, max(0, start - _samples(24)) : max(1, start - _samples(6))].mean(axis=1)
    return Beat(mv - level[:, None], start, end, float(np.median(np.diff(peaks))) / RATE_HZ)


def _qrs(mv: Array, peak: int) -> tuple[int, int]:
    """Return where the slope of all leads together stays small before and after the peak."""
    slope = np.sqrt((np.gradient(mv, axis=1) ** 2).sum(axis=0))
    low, high = peak - _samples(130), peak + _samples(150)
    largest = slope[peak - _samples(60) : peak + _samples(60)].max()
    steep = np.flatnonzero(slope[low:high] > 0.1 * largest) + low
    around = _run_around(steep, peak, _samples(14))
    return (int(around[0]), int(around[-1]) + 1) if len(around) else (peak - _samples(45), peak + _samples(45))


def _run_around(places: NDArray[np.intp], peak: int, gap: int) -> NDArray[np.intp]:
    """Return the run of places, with holes of less than `gap`, that comes nearest to the peak."""
    runs = np.split(places, np.flatnonzero(np.diff(places) > gap) + 1)
    return min(runs, key=lambda run: int(np.abs(run - peak).min()) if len(run) else 10**6)


def _of_beat(beat: Beat) -> dict[str, float]:
    leads = {lead: _waves_of(row, beat) for lead, row in zip(LEADS, beat.mv, strict=True)}
    found = {f"{lead}_{wave}": value for lead, waves in leads.items() for wave, value in waves.items()}
    found |= _p_wave(beat) | _t_wave(beat)
    return found | {
        "qrs_ms": _ms(beat.end - beat.start),
        "qrs_axis_deg": _axis(beat.mv[:, beat.start : beat.end].sum(axis=1)),
        "sokolow_lyon_mv": max(leads["V5"]["r_mv"], leads["V6"]["r_mv"]) - leads["V1"]["s_mv"],
        "cornell_mv": leads["aVL"]["r_mv"] - leads["V3"]["s_mv"],
    }


def _waves_of(row: Array, beat: Beat) -> Mapping[str, float]:
    """Return the waves of one lead; what is not there is 0. A complex without a positive wave is all Q (QS)."""
    qrs = row[beat.start : beat.end]
    top = _top(qrs)
    q, s = qrs[:top], qrs[top:]
    st = row[beat.end + _samples(40) : beat.end + _samples(60)]
    t = _t_part(row, beat)
    return {
        "q_mv": min(0.0, float(q.min())) if len(q) else 0.0,
        "q_ms": _ms(int((q < -SMALLEST_WAVE_MV).sum())),
        "r_mv": float(qrs[top]) if top < len(qrs) else 0.0,
        "s_mv": min(0.0, float(s.min())) if len(s) else 0.0,
        "st_mv": float(st.mean()) if len(st) else float("nan"),
        "t_mv": float(t[np.abs(t).argmax()]) if len(t) else float("nan"),
    }


def _top(qrs: Array) -> int:
    """Return where the R wave is highest: the one before the deepest point, where there is one; its length for none."""
    deepest = int(qrs.argmin())
    before = qrs[:deepest] if qrs[:deepest].max(initial=0.0) > SMALLEST_WAVE_MV else qrs
    return int(before.argmax()) if before.max() > SMALLEST_WAVE_MV else len(qrs)


def _t_part(rows: Array, beat: Beat) -> Array:
    """Return what may be the T wave: from 80 ms after the QRS complex to the middle of the beat, 120 ms at least."""
    first = beat.end + _samples(80)
    last = max(first + _samples(120), beat.start + round(0.62 * beat.interval_s * RATE_HZ))
    return rows[..., first : min(last, beat.mv.shape[1])]


def _t_wave(beat: Beat) -> dict[str, float]:
    part, offset = _t_part(beat.mv, beat), beat.end + _samples(80)
    size = np.sqrt((part**2).sum(axis=0))
    if not len(size) or size.max() < SMALLEST_WAVE_MV:
        return {}
    peak = int(size.argmax())
    found = {"t_axis_deg": _axis(part[:, peak])}
    if (end := _tangent(size[peak:])) is not None:
        qt_ms = _ms(offset + peak + end - beat.start)
        found |= {"qt_ms": qt_ms, "qtc_ms": qt_ms / float(np.sqrt(beat.interval_s))}
    return found


def _tangent(falling: Array) -> float | None:
    """Return where the steepest tangent of a falling curve meets its lowest value, in samples (Lepeschkin 1952)."""
    slope = np.gradient(falling) if len(falling) > 2 else np.zeros(1)
    steepest = int(slope.argmin())
    return steepest + (falling[steepest] - falling.min()) / -slope[steepest] if slope[steepest] < 0 else None


def _p_wave(beat: Beat) -> dict[str, float]:
    """Return duration, PR interval and height in II of the P wave, nothing where no deflection stands out."""
    last = beat.start - _samples(20)
    first = max(0, beat.start - _samples(260), beat.start - round(0.5 * beat.interval_s * RATE_HZ))
    part = beat.mv[:, first : max(first, last)]
    if part.shape[1] < _samples(60):
        return {}
    size = np.sqrt(((part - _between_ends(part)) ** 2).sum(axis=0))
    peak = int(size[_samples(10) :].argmax()) + _samples(10)
    if size[peak] < 4 * SMALLEST_WAVE_MV:
        return {}
    left = np.flatnonzero(size[:peak] < 0.25 * size[peak])
    right = np.flatnonzero(size[peak:] < 0.25 * size[peak])
    height = {"p_mv": float(beat.mv[LEADS.index("II"), first + peak])}
    if not len(left):
        return height
    onset, end = int(left[-1]) + 1, peak + (int(right[0]) if len(right) else len(size) - peak)
    return height | {"pr_ms": _ms(beat.start - first - onset), "p_ms": _ms(end - onset)}


def _between_ends(part: Array) -> Array:
    """Return the line from the mean of the first 16 ms of each lead to that of the last, the level beside the wave."""
    width = _samples(16)
    low, high = part[:, :width].mean(axis=1)[:, None], part[:, -width:].mean(axis=1)[:, None]
    return np.asarray(low + (high - low) * np.linspace(0, 1, part.shape[1]))


def _axis(limbs: Array) -> float:
    """Return the angle in the frontal plane of areas or amplitudes (12,), from I and aVF; 0 points to the left arm."""
    return float(np.degrees(np.arctan2(2 / np.sqrt(3) * limbs[LEADS.index("aVF")], limbs[LEADS.index("I")])))


def _samples(ms: float) -> int:
    return round(ms * RATE_HZ / 1000)


def _ms(samples: float) -> float:
    return samples * 1000 / RATE_HZ
