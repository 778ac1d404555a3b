"""What is measured in a prepared short-axis cine: its blood pool over the beat, its wall, and how each part moves.

No label and no segmentation model is needed: `find_borders` finds endocardium and epicardium by their edges. Sectors
are named by the angle of their middle, anticlockwise from the right of the image. It is a simple analysis for a
baseline and for learning, and no medical device.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from cardiobind.errors import InputError
from cardiobind.modalities.cmr.borders import ANGLES, Borders, area_mm2, find_borders, roundness
from cardiobind.modalities.cmr.layouts import FRAME_NAMES, SLICES, Planes

Array = NDArray[np.float64]

SECTORS_DEG = tuple(range(0, 360, 60))
WINDOW_DEG = 30
"""Width of the parts that the least and the spread over the wall are taken of: narrow enough for a small infarct."""
LEAST_EXCURSION_MM = 1.0
"""A part that moves less has no share of its motion done by mid-beat."""
_END_SYSTOLE, _MID_BEAT, _END_DIASTOLE = FRAME_NAMES

POOL = (
    "pool_ed_mm2", "pool_mid_mm2", "pool_es_mm2", "ejection_percent", "early_percent", "roundness_ed", "roundness_es",
)  # fmt: skip
WALL = ("wall_ed_mm2", "wall_ed_mm", "wall_es_mm", "wall_brightness", "wall_ed_least_mm", "wall_es_least_mm")
MOTION = (
    "shortening_percent", "shortening_least_percent", "shortening_sd_percent", "shortening_least_over_median",
    "thickening_percent", "thickening_least_percent", "thickening_sd_percent", "wall_es_least_over_median",
    "early_sd_percent",
)  # fmt: skip
OF_SECTORS = ("shortening_percent", "thickening_percent", "wall_ed_mm", "radius_ed_mm", "radius_es_mm")
OF_SLICE = (*POOL, *WALL, *MOTION, *(f"{deg:03d}deg_{what}" for what in OF_SECTORS for deg in SECTORS_DEG))
"""Names with their units of what is measured in one slice."""


def measurements_of(planes: Planes) -> tuple[str, ...]:
    """Return the names, in the order of `measure_cine`: those of each slice of the short axis, base first."""
    return tuple(f"{place}_{name}" for place in _slices(planes) for name in OF_SLICE)


def measure_cine(images: NDArray[np.number[Any]], planes: Planes, pixel_mm: float) -> Array:
    """Return the measurements of one prepared cine, NaN where something cannot be measured.

    Args:
        images: (planes, size, size) as of `cardiobind.modalities.cmr.prepare_cmr`; long-axis views are not looked at.
        planes: what they show.
        pixel_mm: side of a pixel.

    Raises:
        InputError: the images are not those planes.
    """
    if images.ndim != 3 or len(images) != len(planes.names):
        raise InputError(
            "this cine cannot be measured", expected=f"({len(planes.names)}, size, size)", got=images.shape
        )
    by_place = images.reshape(len(planes.places), len(planes.moments), *images.shape[1:])
    parts = [_of_slice(by_place[planes.places.index(place)], planes.moments, pixel_mm) for place in _slices(planes)]
    return np.concatenate([np.array([part.get(name, np.nan) for name in OF_SLICE]) for part in parts])


def _slices(planes: Planes) -> tuple[str, ...]:
    return tuple(place for place in planes.places if place in SLICES)


def _of_slice(images: NDArray[np.number[Any]], moments: tuple[str, ...], pixel_mm: float) -> dict[str, float]:
    full = moments.index(_END_DIASTOLE) if _END_DIASTOLE in moments else 0
    borders = find_borders(images, pixel_mm, full)
    if borders is None:
        return {}
    pool = area_mm2(borders.inner_mm)
    if _END_SYSTOLE in moments:
        middle, empty = moments.index(_MID_BEAT), moments.index(_END_SYSTOLE)
    else:
        empty = int(pool.argmin())
        middle = empty // 2
    chosen = [full, middle, empty]
    return _of_wall(Borders(borders.inner_mm[chosen], borders.outer_mm[chosen], borders.wall_brightness))


def _of_wall(borders: Borders) -> dict[str, float]:
    """Return the measurements of a slice from its borders at end diastole, mid-beat and end systole."""
    inner, outer = borders.inner_mm, borders.outer_mm
    pool, wall = area_mm2(inner), area_mm2(outer) - area_mm2(inner)
    round_ed, _, round_es = roundness(inner)
    thick_ed, _, thick_es = (outer - inner).mean(axis=-1)
    return {
        "pool_ed_mm2": pool[0], "pool_mid_mm2": pool[1], "pool_es_mm2": pool[2],
        "ejection_percent": 100 * (1 - pool[2] / pool[0]),
        "early_percent": 100 * (pool[0] - pool[1]) / (pool[0] - pool[2]) if pool[2] < 0.95 * pool[0] else np.nan,
        "roundness_ed": round_ed, "roundness_es": round_es,
        "wall_ed_mm2": wall[0], "wall_ed_mm": thick_ed, "wall_es_mm": thick_es,
        "wall_brightness": borders.wall_brightness,
        **_of_parts(inner, outer), **_of_sectors(inner, outer),
    }  # fmt: skip


def _of_parts(inner: Array, outer: Array) -> dict[str, float]:
    """Return how the wall moves on the whole, at its worst, and how unevenly."""
    radius, thick = (_means(border, WINDOW_DEG) for border in (inner, outer - inner))
    shortening, thickening = _percent_lost(radius), -_percent_lost(thick)
    moved = radius[0] - radius[2]
    early = 100 * (radius[0] - radius[1])[moved > LEAST_EXCURSION_MM] / moved[moved > LEAST_EXCURSION_MM]
    usual = float(np.median(shortening))
    return {
        "shortening_percent": shortening.mean(), "shortening_least_percent": shortening.min(),
        "shortening_sd_percent": shortening.std(),
        "shortening_least_over_median": shortening.min() / usual if usual > 1 else np.nan,
        "thickening_percent": thickening.mean(), "thickening_least_percent": thickening.min(),
        "thickening_sd_percent": thickening.std(),
        "wall_ed_least_mm": thick[0].min(), "wall_es_least_mm": thick[2].min(),
        "wall_es_least_over_median": thick[2].min() / float(np.median(thick[2])),
        "early_sd_percent": early.std() if len(early) > 1 else np.nan,
    }  # fmt: skip


def _of_sectors(inner: Array, outer: Array) -> dict[str, float]:
    radius, thick = (_means(border, 360 // len(SECTORS_DEG)) for border in (inner, outer - inner))
    values = (_percent_lost(radius), -_percent_lost(thick), thick[0], radius[0], radius[2])
    return {
        f"{deg:03d}deg_{what}": value[k]
        for what, value in zip(OF_SECTORS, values, strict=True)
        for k, deg in enumerate(SECTORS_DEG)
    }


def _means(along_rays: Array, width_deg: int) -> Array:
    """Return the means over parts of the circle, (moments, parts), the middle of the first at angle 0."""
    rays = ANGLES * width_deg // 360
    turned = np.roll(along_rays, rays // 2, axis=-1)
    return np.asarray(turned.reshape(len(along_rays), -1, rays).mean(axis=-1))


def _percent_lost(values: Array) -> Array:
    return np.asarray(100 * (1 - values[2] / values[0]))
