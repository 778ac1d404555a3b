"""The preparation of a 12-lead ECG: resample, clip, remove the baseline, store in whole microvolts."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy.linalg import solveh_banded

from cardiobind.errors import InputError, RecordError
from cardiobind.modalities.ecg.quality import FATAL_ECG, ecg_quality
from cardiobind.modalities.ecg.resampling import resample
from cardiobind.modalities.ecg.settings import EcgPreparation
from cardiobind.modalities.records import LEADS, EcgRecord
from cardiobind.modalities.spec import InputSpec

__all__ = [
    "ECG_UNIT_UV", "FATAL_ECG", "LEAD_GROUPS", "EcgPreparation", "asymmetric_least_squares", "clip_to_sd",
    "ecg_quality", "ecg_spec", "normalise_by_lead_group", "prepare_ecg", "resample",
]  # fmt: skip

ECG_UNIT_UV = 1
LEAD_GROUPS = (slice(0, 3), slice(3, 6), slice(6, 12))

_BASELINE_RATE_HZ = 500
_MEANINGS = {
    "wrong_shape": "the ECG is not an array of 12 leads by samples",
    "bad_rate": "the sampling rate of the ECG is not a positive number",
    "too_short": "the ECG is shorter than the duration asked for",
    "all_flat": "no lead of the ECG carries a signal",
    "implausible_amplitude": "the amplitudes of the ECG are not plausible in millivolts; the unit may be wrong",
}


def ecg_spec(settings: EcgPreparation) -> InputSpec:
    """Return the shape and names of a prepared ECG as an encoder is fed it: z-scored by lead group."""
    return InputSpec("ecg", (len(LEADS), settings.samples), rate_hz=float(settings.rate_hz), names=LEADS)


def prepare_ecg(record: EcgRecord, settings: EcgPreparation) -> NDArray[np.int16]:
    """Return an ECG as every stage uses it: resampled, cut, clipped and without baseline.

    Args:
        record: amplitudes in mV; absent leads and samples (NaN) become 0.
        settings: rate, duration, clipping and baseline.

    Returns:
        (12, rate x duration) microvolts, `ECG_UNIT_UV` a count.

    Raises:
        RecordError: the record has a defect of `FATAL_ECG`, which is the reason.

    Source: arXiv 2411.05900, ECG preprocessing.
    """
    _refuse(ecg_quality(record, settings), record, settings)
    amplitude_mv = np.where(np.isfinite(record.amplitude_mv), record.amplitude_mv, 0.0).astype(np.float64)
    amplitude_mv = resample(amplitude_mv, record.rate_hz, settings.rate_hz)[:, : settings.samples]
    amplitude_mv = clip_to_sd(amplitude_mv, settings.clip_sd)
    amplitude_mv -= asymmetric_least_squares(
        amplitude_mv,
        settings.baseline_lambda * (settings.rate_hz / _BASELINE_RATE_HZ) ** 4,
        settings.baseline_asymmetry,
        settings.baseline_iterations,
    )
    limits = np.iinfo(np.int16)
    counts: NDArray[np.int16] = (
        np.rint(amplitude_mv * (1000 / ECG_UNIT_UV)).clip(limits.min, limits.max).astype(np.int16)
    )
    return counts


def _refuse(codes: tuple[str, ...], record: EcgRecord, settings: EcgPreparation) -> None:
    for code in codes:
        if code in FATAL_ECG:
            raise RecordError(
                code,
                _MEANINGS[code],
                expected=f"{len(LEADS)} leads, at least {settings.duration_s} s",
                got=f"shape {np.shape(record.amplitude_mv)} at {record.rate_hz} Hz",
            )


def clip_to_sd(signal: NDArray[np.float64], sd: float) -> NDArray[np.float64]:
    """Return a record limited to its mean +- `sd` standard deviations, both over all samples of the leads it has.

    A lead that is 0 throughout is absent: counted in, it would narrow the limits of the others.

    Source: arXiv 2411.05900, ECG preprocessing.
    """
    has = _has_lead(signal)
    held = signal if has.all() or not has.any() else signal[has]
    reach = sd * held.std()
    return np.clip(signal, held.mean() - reach, held.mean() + reach)


def _has_lead(signal: NDArray[Any]) -> NDArray[np.bool_]:
    """Return which leads (...) of a signal (..., samples) are there: those with a sample that is not 0."""
    return np.asarray((signal != 0).any(axis=-1))


def asymmetric_least_squares(
    signal: NDArray[np.float64], lam: float, asymmetry: float, iterations: int
) -> NDArray[np.float64]:
    """Return the baseline z of each row y that minimises sum w (y - z)^2 + lam sum (second difference of z)^2.

    The weights w start at 1 and are then `asymmetry` where y > z, else 1 - `asymmetry`. Each row is a pentadiagonal
    system, solved by banded Cholesky in time linear in its length.

    Args:
        signal: (rows, samples) finite, at least 3 samples.
        lam: smoothness, above 0.
        asymmetry: between 0 and 1.
        iterations: number of fits, at least 1.

    Returns:
        (rows, samples) baseline in the unit of `signal`.

    Raises:
        InputError: an argument is out of its range.

    Source: Eilers and Boelens, Baseline correction with asymmetric least squares smoothing (2005).
    """
    if signal.ndim != 2 or signal.shape[1] < 3 or lam <= 0 or not 0 < asymmetry < 1 or iterations < 1:
        raise InputError(
            "the baseline cannot be fitted",
            expected="(rows, 3 or more samples), lam > 0, 0 < asymmetry < 1, iterations >= 1",
            got=(signal.shape, lam, asymmetry, iterations),
        )
    penalty = np.asfortranarray(lam * _second_difference_bands(signal.shape[1]))
    rows = [_baseline(row, penalty, asymmetry, iterations) for row in signal]
    return np.array(rows, dtype=np.float64).reshape(signal.shape)


def _baseline(
    row: NDArray[np.float64], penalty: NDArray[np.float64], asymmetry: float, iterations: int
) -> NDArray[np.float64]:
    weights = np.ones_like(row)
    for _ in range(iterations):
        system = penalty.copy(order="F")  # as LAPACK wants it: another order is copied once more
        system[0] += weights
        baseline: NDArray[np.float64] = solveh_banded(
            system, weights * row, overwrite_ab=True, overwrite_b=True, lower=True, check_finite=False
        )
        weights = np.where(row > baseline, asymmetry, 1 - asymmetry)
    return baseline


def _second_difference_bands(samples: int) -> NDArray[np.float64]:
    """Return the lower bands (3, samples) of D'D, D being the second difference."""
    bands = np.zeros((3, samples))
    for offset, value in enumerate((1.0, -2.0, 1.0)):
        bands[0, offset : samples - 2 + offset] += value**2
    bands[1, : samples - 2] += -2.0
    bands[1, 1 : samples - 1] += -2.0
    bands[2, : samples - 2] = 1.0
    return bands


def normalise_by_lead_group(signal: NDArray[Any]) -> NDArray[np.float32]:
    """Return ECGs z-scored over each of the groups I-III, aVR-aVF and V1-V6, so that ratios within one are kept.

    Args:
        signal: (..., 12, samples), any unit.

    Returns:
        (..., 12, samples) float32; a group without variation is 0. A lead that is 0 throughout is absent: it stays 0,
        and the others of its group are z-scored without it.

    Raises:
        InputError: there are not 12 leads, or a value is not finite.

    Source: arXiv 2411.05900, ECG preprocessing.
    """
    if signal.ndim < 2 or signal.shape[-2] != len(LEADS):
        raise InputError(
            "an ECG has 12 leads on its last axis but one", expected="(..., 12, samples)", got=signal.shape
        )
    out = np.empty(signal.shape, dtype=np.float32)
    for group in LEAD_GROUPS:
        out[..., group, :] = _standardise(signal[..., group, :])
    return out


def _standardise(group: NDArray[Any]) -> NDArray[np.float64]:
    mean = group.mean(axis=(-2, -1), keepdims=True, dtype=np.float64)
    sd = group.std(axis=(-2, -1), keepdims=True, dtype=np.float64)
    if not np.isfinite(sd).all():
        raise InputError("an ECG holds a value that is not finite", hint="prepare records with prepare_ecg")
    varies = sd > 1e-6 * np.abs(mean)
    standardised: NDArray[np.float64] = np.where(varies, (group - mean) / np.where(varies, sd, 1.0), 0.0)
    has = _has_lead(group)
    for record in map(tuple, np.argwhere(has.any(axis=-1) & ~has.all(axis=-1))):
        standardised[record][~has[record]] = 0.0
        standardised[record][has[record]] = _standardise(group[record][has[record]])
    return standardised
