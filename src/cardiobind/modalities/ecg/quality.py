"""What is wrong with an ECG, as codes: what makes it unusable, and what a user wants to know of the rest.

Sensitivity and specificity of each code on PTB-XL: docs/explanation/quality.md.
"""

from __future__ import annotations

import math
from typing import Any

import numpy as np
from numpy.typing import NDArray

from cardiobind.modalities.ecg.bands import band_pass, resample_spectrum
from cardiobind.modalities.ecg.electrode_swaps import BEAT_AFTER, BEAT_BEFORE, swap_codes
from cardiobind.modalities.ecg.limb_leads import limb_leads_inconsistent
from cardiobind.modalities.ecg.r_peaks import r_peaks, typical_beat
from cardiobind.modalities.ecg.resampling import rate_ratio, resampled_length
from cardiobind.modalities.ecg.settings import EcgPreparation
from cardiobind.modalities.ecg.signal_checks import (
    USUAL_PACE,
    is_clipped,
    is_mains,
    is_noisy,
    is_saturated,
    is_wandering,
    is_wrong_rate,
    slope_frequency_hz,
    unit_factor,
)
from cardiobind.modalities.records import LEADS, EcgRecord

FATAL_ECG = frozenset({"wrong_shape", "bad_rate", "too_short", "all_flat", "implausible_amplitude"})
SIGNAL_CODES = (
    "all_flat", "implausible_amplitude", "wrong_unit", "flat_lead", "missing_lead", "non_finite",
    "limb_leads_inconsistent", "wrong_rate", "saturated", "clipped", "noisy", "mains_noise", "baseline_wander",
    "arm_electrodes_swapped", "la_ll_swapped", "chest_electrodes_swapped", "leg_electrode_swapped",
)  # fmt: skip
"""Codes of the samples, worst first."""

ANALYSIS_RATE_HZ = 100.0
_SLOWEST_RATE_HZ = 80.0
_SHORTEST_S = 5.0
_FLAT_RANGE_MV = 0.01
_LARGEST_RANGE_MV = 20.0
_FEWEST_BEATS = 3
_BASELINE_HZ = 0.5
_QRS = slice(BEAT_BEFORE - 12, BEAT_BEFORE + 12)
_USUAL_RATES_HZ = (100.0, 250.0, 500.0, 1000.0)


def ecg_quality(record: EcgRecord, settings: EcgPreparation | None = None) -> tuple[str, ...]:
    """Return the codes of what is wrong with an ECG, worst first; those in `FATAL_ECG` make it unusable.

    Args:
        record: the ECG as read.
        settings: gives the duration that ``too_short`` refers to; the default preparation if None.

    Returns:
        wrong_shape, bad_rate or too_short alone, or some of `SIGNAL_CODES`: all_flat, implausible_amplitude (range
        above 20 mV in half of the leads), flat_lead (range under 0.01 mV), missing_lead (no sample), non_finite (gaps
        within a lead) and what `signal_checks`, `limb_leads` and `electrode_swaps` find. Noise, rate and electrodes are
        judged from 5 s of at least 80 Hz on.
    """
    wanted = settings or EcgPreparation()
    amplitude_mv = np.asarray(record.amplitude_mv)
    if amplitude_mv.ndim != 2 or amplitude_mv.shape[0] != len(LEADS):
        return ("wrong_shape",)
    if not (math.isfinite(record.rate_hz) and record.rate_hz > 0 and rate_ratio(record.rate_hz, wanted.rate_hz) > 0):
        return ("bad_rate",)
    if resampled_length(amplitude_mv.shape[1], record.rate_hz, wanted.rate_hz) < wanted.samples:
        return ("too_short",)
    with np.errstate(over="ignore", invalid="ignore"):
        found = _signal_codes(amplitude_mv, float(record.rate_hz))
    return tuple(code for code in SIGNAL_CODES if code in found)


def _signal_codes(amplitude_mv: NDArray[np.floating[Any]], rate_hz: float) -> set[str]:
    finite = np.isfinite(amplitude_mv)
    present = finite.any(axis=1)
    range_mv = _robust_range(amplitude_mv, finite)
    flat = present & (_full_range(amplitude_mv, finite) < _FLAT_RANGE_MV)
    signal = present & ~flat
    usual = _usual(range_mv, signal if signal.any() else present)
    found = {
        "all_flat": not signal.any(),
        "implausible_amplitude": bool(signal.any()) and usual > _LARGEST_RANGE_MV,
        "wrong_unit": unit_factor(usual) != 1.0,
        "flat_lead": bool(flat.any()),
        "missing_lead": not present.all(),
        "non_finite": bool((~finite[present]).any()),
    }
    codes = {code for code, is_so in found.items() if is_so}
    judged = amplitude_mv.shape[1] >= _SHORTEST_S * rate_hz and rate_hz >= _SLOWEST_RATE_HZ
    if not judged or codes & (FATAL_ECG | {"wrong_unit"}):
        return codes
    return codes | _waveform_codes(amplitude_mv, np.where(finite, amplitude_mv, 0.0), rate_hz, signal)


def _waveform_codes(
    amplitude_mv: NDArray[np.floating[Any]],
    filled: NDArray[np.floating[Any]],
    rate_hz: float,
    signal: NDArray[np.bool_],
) -> set[str]:
    every = int(rate_hz // ANALYSIS_RATE_HZ) or 1
    slow = resample_spectrum(filled, rate_hz, ANALYSIS_RATE_HZ)
    found = {
        "limb_leads_inconsistent": limb_leads_inconsistent(amplitude_mv[:6, ::every]),
        "saturated": is_saturated(filled[signal], rate_hz),
        "clipped": is_clipped(filled[signal], rate_hz),
        "noisy": is_noisy(slow, ANALYSIS_RATE_HZ),
        "mains_noise": is_mains(filled, rate_hz),
        "baseline_wander": is_wandering(slow, ANALYSIS_RATE_HZ),
    }
    return {code for code, is_so in found.items() if is_so} | _beat_codes(slow)


def _beat_codes(slow: NDArray[np.float64]) -> set[str]:
    beat, interval_s = _beat(slow)
    if beat is None:
        return set()
    wrong_rate = is_wrong_rate(beat[:, _QRS], interval_s, ANALYSIS_RATE_HZ)
    return {"wrong_rate"} if wrong_rate else set(swap_codes(beat))


def _beat(slow: NDArray[np.float64]) -> tuple[NDArray[np.float64] | None, float]:
    """Return the typical beat, None if there are too few, and the usual time between beats (s)."""
    level = band_pass(slow, ANALYSIS_RATE_HZ, _BASELINE_HZ)
    peaks = r_peaks(level, ANALYSIS_RATE_HZ)
    if len(peaks) < _FEWEST_BEATS:
        return None, math.nan
    interval_s = float(np.median(np.diff(peaks))) / ANALYSIS_RATE_HZ
    return typical_beat(level, peaks, BEAT_BEFORE, BEAT_AFTER), interval_s


def suggested_rate_hz(amplitude_mv: NDArray[np.floating[Any]], rate_hz: float) -> float | None:
    """Return the usual sampling rate at which heart rate and QRS complexes fit best, None if it is `rate_hz`.

    The pace (`is_wrong_rate`) of a record whose rate is stated k times too high is k squared times the usual one.

    Args:
        amplitude_mv: (leads, samples), NaN where absent; at least 5 s.
        rate_hz: as stated, at least 80.
    """
    filled = np.where(np.isfinite(amplitude_mv), amplitude_mv, 0.0)
    beat, interval_s = _beat(resample_spectrum(filled, rate_hz, ANALYSIS_RATE_HZ))
    if beat is None:
        return None
    pace = 60.0 / interval_s * slope_frequency_hz(beat[:, _QRS], ANALYSIS_RATE_HZ)
    fitting = rate_hz / math.sqrt(pace / USUAL_PACE) if pace > 0 else rate_hz
    nearest = min(_USUAL_RATES_HZ, key=lambda usual: abs(math.log(usual / fitting)))
    return None if nearest == rate_hz else nearest


def suggested_unit_factor(amplitude_mv: NDArray[np.floating[Any]]) -> float:
    """Return what the amplitudes of an ECG should be divided by to be mV, as `unit_factor` guesses it.

    Args:
        amplitude_mv: (leads, samples), NaN where absent.
    """
    finite = np.isfinite(amplitude_mv)
    varies = finite.any(axis=1)
    varies[varies] = _full_range(amplitude_mv[varies], finite[varies]) > 0
    return unit_factor(_usual(_robust_range(amplitude_mv, finite), varies))


def _usual(range_mv: NDArray[np.float64], leads: NDArray[np.bool_]) -> float:
    return float(np.median(range_mv[leads])) if leads.any() else 0.0


def _full_range(amplitude_mv: NDArray[np.floating[Any]], finite: NDArray[np.bool_]) -> NDArray[np.float64]:
    low = np.where(finite, amplitude_mv, np.inf).min(axis=1).astype(np.float64)
    high = np.where(finite, amplitude_mv, -np.inf).max(axis=1).astype(np.float64)
    return np.asarray(high - low)


def _robust_range(amplitude_mv: NDArray[np.floating[Any]], finite: NDArray[np.bool_]) -> NDArray[np.float64]:
    filled = np.where(finite, amplitude_mv, 0.0).astype(np.float64)
    cut = max(1, filled.shape[1] // 100)
    ordered = np.partition(filled, (cut - 1, filled.shape[1] - cut), axis=1)
    return np.asarray(ordered[:, -cut] - ordered[:, cut - 1])
