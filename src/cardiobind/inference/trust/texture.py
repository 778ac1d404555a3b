"""Numbers of how an ECG is drawn rather than of what heart it is: its spectrum, its quiet stretches, its spread."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from cardiobind.inference.trust.signs import centred

Floats = NDArray[np.float64]

BANDS_HZ = ((0.5, 2.0), (2.0, 4.0), (4.0, 8.0), (8.0, 13.0), (13.0, 20.0), (20.0, 28.0), (28.0, 36.0), (36.0, 44.0))
ECG_TEXTURE = (
    *(f"band_{low:g}_{high:g}" for low, high in BANDS_HZ),
    "quiet", "quiet_to_signal", "quiet_sameness", "drift", "peak_to_body", "spread", "limb_spread", "chest_spread",
    "beat_change",
)  # fmt: skip

_WINDOW_S = 0.1
_PARTS = 10


def ecg_texture(counts: NDArray[Any], rate_hz: float) -> Floats:
    """Return the texture of one ECG in the order of `ECG_TEXTURE`, NaN where the leads it needs are absent.

    It is the logarithm of the share of power in eight bands; the roughness (second difference) of the quietest fifth of
    windows of 0.1 s, alone and over the size of the lead, and how alike its neighbouring samples are there; the
    logarithms of how far tenths of the recording lie apart, and of the largest over the usual deflection; the spread
    over leads of the logarithm of their size, of all, of limb and of chest leads; and the logarithm of how much the
    steepest slope changes from second to second. Of leads the median is taken.

    Args:
        counts: (12, samples) microvolts as `cardiobind.modalities.ecg.preparation.prepare_ecg` returns them.
        rate_hz: of the samples.
    """
    x, has, size = centred(counts)
    if not has.any():
        return np.full(len(ECG_TEXTURE), np.nan)
    own = x[has]
    spread = [_sd(np.log(size[leads & has])) for leads in (has, np.arange(12) < 6, np.arange(12) >= 6)]
    return np.array(
        [*_bands(own, rate_hz), *_quiet(own, size[has], rate_hz), _drift(own), _peaks(own), *spread,
         _change(own, rate_hz)]
    )  # fmt: skip


def _bands(x: Floats, rate_hz: float) -> list[float]:
    power = np.abs(np.fft.rfft(x * np.hanning(x.shape[1]), axis=1)) ** 2
    hz, total = np.fft.rfftfreq(x.shape[1], 1 / rate_hz), np.maximum(power.sum(axis=1), 1e-9)
    shares = (power[:, (hz >= low) & (hz < high)].sum(axis=1) / total for low, high in BANDS_HZ)
    return [float(np.median(np.log(share + 1e-7))) for share in shares]


def _quiet(x: Floats, size: Floats, rate_hz: float) -> list[float]:
    rough = np.diff(x, 2, axis=1)
    step = max(4, round(_WINDOW_S * rate_hz))
    windows = rough[:, : rough.shape[1] // step * step].reshape(len(x), -1, step)
    if not windows.shape[1]:
        return [np.nan] * 3
    level = np.sqrt((windows**2).mean(axis=2))
    quietest, bound = np.quantile(level, 0.2, axis=1) + 0.3, np.quantile(level, 0.3, axis=1)
    same = [_sameness(own[row <= most]) for own, row, most in zip(windows, level, bound, strict=True)]
    return [float(np.median(v)) for v in (np.log(quietest), np.log(quietest / size), same)]


def _sameness(windows: Floats) -> float:
    square = float((windows**2).mean())
    return float((windows[:, 1:] * windows[:, :-1]).mean()) / square if square > 0 else 0.0


def _drift(x: Floats) -> float:
    length = max(1, x.shape[1] // _PARTS)
    parts = x[:, : x.shape[1] // length * length].reshape(len(x), -1, length).mean(axis=2)
    return float(np.median(np.log(parts.std(axis=1) + 1)))


def _peaks(x: Floats) -> float:
    largest, usual = np.quantile(np.abs(x), (0.995, 0.5), axis=1) + 1
    return float(np.median(np.log(largest / usual)))


def _change(x: Floats, rate_hz: float) -> float:
    slope, second = np.abs(np.diff(x, axis=1)).sum(axis=0), int(rate_hz)
    steepest = slope[: len(slope) // second * second].reshape(-1, second).max(axis=1, initial=0.0)
    return float(np.log(steepest.std() / max(steepest.mean(), 1.0) + 0.01)) if len(steepest) > 1 else np.nan


def _sd(values: Floats) -> float:
    return float(values.std()) if len(values) > 1 else np.nan
