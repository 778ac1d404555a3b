"""Where slices lie in the patient, and which end of the stack is the base.

Axes are DICOM's: x to the patient's left, y to the back, z to the head.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

TOWARDS_APEX = np.array([1.0, -1.0, -1.0]) / math.sqrt(3)
"""The left ventricle points to the left, the front and the feet."""
TELLING_COSINE = 0.6
"""A stack whose normal is further than 53 degrees from `TOWARDS_APEX` (an axial one, say) does not tell its base."""
LARGEST_STACK_BYTES = 384 << 20


@dataclass(frozen=True)
class SliceOrder:
    """Slices sorted along their normal.

    Attributes:
        indices: (slices,) of the slices in the order chosen.
        positions_mm: (slices,) along the normal, or against it, ascending.
        base_to_apex: True where the geometry tells; None where it does not.
    """

    indices: NDArray[np.intp]
    positions_mm: NDArray[np.float64]
    base_to_apex: bool | None


def slice_normal(orientation: NDArray[np.float64]) -> NDArray[np.float64]:
    """Return the unit normal of an image plane from the (6,) direction cosines of its rows and columns."""
    return np.cross(orientation[:3], orientation[3:])


def order_slices(
    origins_mm: NDArray[np.float64], orientation: NDArray[np.float64], step_mm: float, numbered: bool = False
) -> SliceOrder:
    """Sort slices from base to apex where the geometry tells, else along their normal.

    Args:
        origins_mm: (slices, 3) first pixels; NaN where unknown.
        orientation: (6,) direction cosines; NaN where unknown.
        step_mm: distance of slices, used where their places are unknown.
        numbered: the scanner numbers the slices; where the base is unknown their order is kept if it descends.
    """
    normal = slice_normal(orientation)
    places = np.array([origin @ normal for origin in origins_mm])
    count = len(places)
    if not np.isfinite(places).all() or (count > 1 and np.ptp(places) == 0):
        return SliceOrder(np.arange(count), np.arange(count, dtype=np.float64) * step_mm, None)
    cosine = float(normal @ TOWARDS_APEX)
    told = count > 1 and abs(cosine) > TELLING_COSINE
    if (told and cosine < 0) or (numbered and not told and count > 1 and bool((np.diff(places) <= 0).all())):
        places = -places
    indices = np.argsort(places, kind="stable")
    return SliceOrder(indices, places[indices].astype(np.float64), True if told else None)
