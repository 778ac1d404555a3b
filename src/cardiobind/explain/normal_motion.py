"""The same heart, contracting evenly and as much as a normal one: what the cine of a diseased one is compared with."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray
from scipy.ndimage import gaussian_filter1d, map_coordinates

from cardiobind.modalities.cmr.layouts import LONG_AXIS, Planes
from cardiobind.simulate.contours import contraction

Floats = NDArray[np.float64]

EJECTION_FRACTION, LENGTH_RATIO, WALL_MM, RATE_BPM = 0.60, 0.85, 8.0, 65.0
"""Of a normal left ventricle: what it ejects, its length at end systole over that at end diastole, its thickness."""
SHORTENING = float(1 - np.sqrt((1 - EJECTION_FRACTION) / LENGTH_RATIO))
"""Share of its radius by which the cavity then shrinks: 0.31."""
_CAVITY_MM = (10.0, 40.0)
_AROUND_MM, _FAR_MM, _SMOOTH_MM, _ANGLES = 25.0, 1e6, 2.0, 72
_MOMENTS = {"end_diastole": 0.0, "mid_beat": 0.5, "end_systole": 1.0}


def normal_motion(planes: Floats, names: Sequence[str], pixel_mm: float) -> Floats:
    """Return each place's own end diastole at every moment, drawn together as far as a normal heart would be by then.

    What is compared with it differs where the wall moves otherwise. The right ventricle stays as it is at end diastole.
    A long-axis view becomes evenly grey at its own means.

    Args:
        planes: (planes, size, size) as a network takes them, the middle of the left ventricle in the middle.
        names: of the planes, as `cardiobind.modalities.cmr.cmr_spec` has them.
        pixel_mm: side of a pixel.

    Source: ejection fraction Petersen et al., J Cardiovasc Magn Reson 2017;19:18; the wall keeps its volume.
    """
    grid = Planes.of_names(names)
    count = len(grid.moments)
    shares = [_contracted_by(moment, count) for moment in grid.moments]
    found = np.empty_like(planes)
    for place, name in enumerate(grid.places):
        rows = slice(place * count, (place + 1) * count)
        if name in LONG_AXIS:
            found[rows] = planes[rows].mean(axis=(1, 2), keepdims=True)
        else:
            relaxed = planes[rows][int(np.argmin(shares))]
            radius_mm = cavity_radius_mm(relaxed, pixel_mm)
            found[rows] = np.stack([contracted(relaxed, radius_mm, share, pixel_mm) for share in shares])
    return found


def cavity_radius_mm(image: Floats, pixel_mm: float) -> float:
    """Return the radius of the bright pool around the middle: where the median over directions falls most steeply.

    Args:
        image: (size, size) at end diastole.
        pixel_mm: side of a pixel.

    Returns:
        10 to 40 mm.
    """
    radii_mm, angles = np.arange(_CAVITY_MM[1] + _AROUND_MM), np.arange(_ANGLES) * 2 * np.pi / _ANGLES
    away = np.stack([np.sin(angles), np.cos(angles)])[..., None] * radii_mm / pixel_mm
    profile = np.median(map_coordinates(image, away + _middle(image), order=1, mode="nearest"), axis=0)
    fall = -np.gradient(gaussian_filter1d(profile, _SMOOTH_MM))
    possible = (radii_mm >= _CAVITY_MM[0]) & (radii_mm <= _CAVITY_MM[1])
    return float(radii_mm[possible][fall[possible].argmax()])


def contracted(image: Floats, radius_mm: float, share: float, pixel_mm: float) -> Floats:
    """Return an end-diastolic image with cavity and wall drawn together around the middle, evenly in all directions.

    Args:
        image: (size, size).
        radius_mm: of the cavity.
        share: how far contraction has gone, from 0 to 1.
        pixel_mm: side of a pixel.
    """
    inner, outer = radius_mm, radius_mm + WALL_MM
    small = inner * (1 - SHORTENING * share)
    thickened = (outer**2 - inner**2) / (1 - (1 - LENGTH_RATIO) * share)
    large, still = np.sqrt(small**2 + thickened), outer + _AROUND_MM
    away = np.indices(image.shape) - _middle(image)
    now_mm = np.hypot(*away) * pixel_mm
    before_mm = np.interp(now_mm, [0.0, small, large, still, _FAR_MM], [0.0, inner, outer, still, _FAR_MM])
    further = np.divide(before_mm, now_mm, out=np.ones_like(now_mm), where=now_mm > 0)
    return np.asarray(map_coordinates(image, away * further + _middle(image), order=1, mode="nearest"))


def _middle(image: Floats) -> Floats:
    return (np.array(image.shape, np.float64)[:, None, None] - 1) / 2


def _contracted_by(moment: str, count: int) -> float:
    if moment in _MOMENTS:
        return _MOMENTS[moment]
    return float(contraction(count, RATE_BPM)[int(moment.rpartition("_")[2])])
