"""Simple numbers of a prepared signal that tell a heart's from anything else: how strong, how rough, how regular."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from cardiobind.modalities.records import LEADS

Floats = NDArray[np.float64]

ECG_SIGNS = (
    "amplitude", "chest_to_limb", "roughness", "slow_share", "fast_share", "peakedness", "rhythm", "dipole_residue",
    "einthoven", "goldberger", "i_v6", "ii_avf", "v1_v6", "v2_v3", "v5_v6",
    "limb_polarity", "chest_polarity",
)  # fmt: skip
CMR_SIGNS = (
    "brightness", "contrast", "dark_share", "bright_share", "smoothness", "edges", "centre", "ring", "rim", "sameness",
)  # fmt: skip

_PAIRS = (("I", "V6"), ("II", "aVF"), ("V1", "V6"), ("V2", "V3"), ("V5", "V6"))
_LEAST_UV = 1.0
_LARGEST_Z = 3.0


def ecg_signs(counts: NDArray[Any], rate_hz: float) -> Floats:
    """Return the signs of one ECG in the order of `ECG_SIGNS`, NaN where the leads they need are absent.

    They are logarithms of the amplitude (uV) and of chest over limb leads; of differences over signal; of the shares of
    power below 1.5 Hz and above 25 Hz; of the kurtosis of the slope; the height of the rhythm's peak in the
    autocorrelation of the slope; the logarithm of what three dipole components leave of the eight independent leads,
    and of what is left of Einthoven's and Goldberger's relations; Fisher's z of correlations of leads; and the
    skewness of II and of V5 and V6.

    Args:
        counts: (12, samples) microvolts as `cardiobind.modalities.ecg.preparation.prepare_ecg` returns them.
        rate_hz: of the samples.
    """
    x, has, range_uv = centred(counts)
    if not has.any():
        return np.full(len(ECG_SIGNS), np.nan)
    return np.array(
        [np.log(np.median(range_uv[has])), _chest_to_limb(range_uv, has), *_shape(x[has], rate_hz), *_relations(x, has)]
    )


def centred(counts: NDArray[Any]) -> tuple[Floats, NDArray[np.bool_], Floats]:
    """Return the leads (12, samples) less their means, which of them are there, and the range of each in uV (12,).

    The range is from the first to the last percentile, and at least 1 uV.

    Args:
        counts: as of `ecg_signs`.
    """
    x = np.asarray(counts, np.float64)
    has = (x != 0).any(axis=1)
    x = x - x.mean(axis=1, keepdims=True)
    return x, has, np.maximum(np.ptp(np.percentile(x, (1, 99), axis=1), axis=0), _LEAST_UV)


def _chest_to_limb(range_uv: Floats, has: NDArray[np.bool_]) -> float:
    if not (has[:6].any() and has[6:].any()):
        return np.nan
    return float(np.log(np.median(range_uv[6:][has[6:]]) / np.median(range_uv[:6][has[:6]])))


def _shape(x: Floats, rate_hz: float) -> list[float]:
    slope = np.diff(x, axis=1)
    sd, sd_slope = np.maximum(x.std(axis=1), _LEAST_UV), np.maximum(slope.std(axis=1), 1e-3)
    power = np.abs(np.fft.rfft(x, axis=1)) ** 2
    hz = np.fft.rfftfreq(x.shape[1], 1 / rate_hz)
    total = np.maximum(power.sum(axis=1), 1e-9)
    slow, fast = (power[:, band].sum(axis=1) / total for band in (hz < 1.5, hz > 25.0))
    peaked = ((slope - slope.mean(axis=1, keepdims=True)) ** 4).mean(axis=1) / sd_slope**4
    values = (np.log(sd_slope * rate_hz / sd), np.log(slow + 1e-4), np.log(fast + 1e-4), np.log(peaked))
    return [*(float(np.median(v)) for v in values), _rhythm(np.abs(slope).sum(axis=0), rate_hz)]


def _rhythm(activity: Floats, rate_hz: float) -> float:
    """Return the highest autocorrelation of the activity between 0.35 and 1.8 s, smoothed over 60 ms."""
    width = max(1, round(0.06 * rate_hz))
    smooth = np.convolve(activity, np.ones(width) / width, mode="same")
    smooth -= smooth.mean()
    spectrum = np.abs(np.fft.rfft(smooth, 2 * len(smooth))) ** 2
    correlation = np.fft.irfft(spectrum)[: len(smooth)]
    first, last = round(0.35 * rate_hz), min(round(1.8 * rate_hz), len(smooth) - 1)
    return float(correlation[first:last].max() / correlation[0]) if correlation[0] > 0 and last > first else 0.0


def _relations(x: Floats, has: NDArray[np.bool_]) -> list[float]:
    lead = {name: x[i] if has[i] else None for i, name in enumerate(LEADS)}
    size = np.sqrt((x[has] ** 2).mean())
    residue = np.nan
    if has[[0, 1, *range(6, 12)]].all():
        values = np.linalg.eigvalsh(np.cov(x[[0, 1, *range(6, 12)]]))
        residue = float(np.log(max(values[:-3].sum() / max(values.sum(), 1e-9), 1e-6)))
    limbs = [
        _left(size, lead["I"], lead["III"], lead["II"]),
        _left(size, lead["aVR"], lead["I"], lead["II"], half=True),
    ]
    upward = [np.array([_skewness(lead[name]) for name in names]) for names in (("II",), ("V5", "V6"))]
    polarity = [float(own[np.isfinite(own)].mean()) if np.isfinite(own).any() else np.nan for own in upward]
    return [residue, *limbs, *(_fisher(lead[a], lead[b]) for a, b in _PAIRS), *polarity]


def _skewness(x: Floats | None) -> float:
    if x is None or x.std() == 0:
        return np.nan
    return float(((x - x.mean()) ** 3).mean() / x.std() ** 3)


def _left(size: float, a: Floats | None, b: Floats | None, c: Floats | None, *, half: bool = False) -> float:
    """Return the logarithm of what is left of a + b = c, or of a + (b + c) / 2 = 0, over the size of the leads."""
    if a is None or b is None or c is None:
        return np.nan
    rest = a + (b + c) / 2 if half else a + b - c
    return float(np.log(np.sqrt((rest**2).mean()) / max(float(size), _LEAST_UV) + 1e-3))


def _fisher(a: Floats | None, b: Floats | None) -> float:
    if a is None or b is None or a.std() == 0 or b.std() == 0:
        return np.nan
    return float(np.clip(np.arctanh(np.clip(np.corrcoef(a, b)[0, 1], -0.9999, 0.9999)), -_LARGEST_Z, _LARGEST_Z))


def cmr_signs(frames: NDArray[np.uint8]) -> Floats:
    """Return the signs of one prepared cine in the order of `CMR_SIGNS`.

    They are mean and standard deviation of the brightness (0 to 1), the shares below 0.05 and above 0.95, Fisher's z of
    the correlation of neighbouring pixels, the logarithm of the gradient over the contrast, the brightness of a disc
    around the centre, of a ring and of the rim less the mean, and Fisher's z of the correlation of neighbouring planes.

    Args:
        frames: (planes, size, size) as `cardiobind.modalities.cmr.preparation.prepare_cmr` returns them.
    """
    x = np.asarray(frames, np.float64) / 255.0
    x = x[(x > 0).any(axis=(1, 2))]
    if not len(x):
        return np.full(len(CMR_SIGNS), np.nan)
    sd = max(float(x.std()), 1e-3)
    across, down = np.diff(x, axis=2), np.diff(x, axis=1)
    smooth = _fisher(x[:, :, 1:].ravel(), x[:, :, :-1].ravel())
    edges = float(np.log(np.sqrt((across**2).mean() + (down**2).mean()) / sd + 1e-3))
    same = _fisher(x[1:].ravel(), x[:-1].ravel()) if len(x) > 1 else np.nan
    shares = [float((x < 0.05).mean()), float((x > 0.95).mean())]
    return np.array([x.mean(), sd, *shares, smooth, edges, *_rings(x), same])


def _rings(x: Floats) -> list[float]:
    size = x.shape[1]
    places = (np.arange(size) - (size - 1) / 2) / (size / 2)
    radius = np.hypot(places[:, None], places[None, :])
    bounds = ((0.0, 0.3), (0.3, 0.6), (0.8, 2.0))
    return [float(x[:, (radius >= low) & (radius < high)].mean() - x.mean()) for low, high in bounds]


def table_signs(encoded: NDArray[Any], cardinalities: Sequence[int]) -> Floats:
    """Return the numbers (n, numbers) of encoded tables, NaN where missing: categories and flags are left out.

    Args:
        encoded: (n, features, 2) of (value, observed), as `TableContract.encode` returns them.
        cardinalities: (features,) 0 for a number.
    """
    own = np.asarray(encoded, np.float64)[:, np.asarray(cardinalities) == 0]
    return np.where(own[..., 1] > 0.5, own[..., 0], np.nan)
