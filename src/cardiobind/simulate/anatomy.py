"""The 17 segments of the left ventricle: where they lie, what they weigh and which coronary artery feeds them.

Source:
    Cerqueira et al., Standardized myocardial segmentation, Circulation 2002;105:539-542.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

Array = NDArray[np.float64]

SEGMENTS = 17
TERRITORIES = ("LAD", "RCA", "LCx")
TERRITORY_SEGMENTS = {"LAD": (1, 2, 7, 8, 13, 14, 17), "RCA": (3, 4, 9, 10, 15), "LCx": (5, 6, 11, 12, 16)}
SEPTAL_SEGMENTS = (2, 3, 8, 9, 14)

# Angle around the long axis in a short-axis view from the apex: lateral wall 0, anterior wall 90, septum 180.
SEGMENT_ANGLE_DEG: Array = np.array([90 + 60 * k for k in range(6)] * 2 + [90, 180, 270, 360, 0], dtype=float) % 360
# Borders between basal, mid, apical level and apex on the long axis from base (0) to apex (1).
LEVEL_BORDERS = (0.0, 0.35, 0.70, 0.95, 1.0)
SEGMENT_LEVEL: NDArray[np.int64] = np.array([0] * 6 + [1] * 6 + [2] * 4 + [3], dtype=np.int64)
_LEVEL_MIDDLE = np.array([0.175, 0.525, 0.825, 1.0])
SEGMENT_DEPTH: Array = _LEVEL_MIDDLE[SEGMENT_LEVEL]

# Base to apex in torso axes (x left, y inferior, z posterior), and from the centre of the cavity to the septum.
_LONG_AXIS = np.array([0.70, 0.52, -0.49])
_TO_SEPTUM = np.array([-0.62, 0.10, -0.78])


def _unit(vector: Array) -> Array:
    return np.asarray(vector / np.linalg.norm(vector, axis=-1, keepdims=True))


def _axes() -> tuple[Array, Array, Array]:
    apex = _unit(_LONG_AXIS)
    lateral = _unit(-(_TO_SEPTUM - apex * (_TO_SEPTUM @ apex)))
    anterior = np.cross(apex, lateral)
    return apex, lateral, anterior


def cavity_share(low: float | Array, high: float | Array) -> float | Array:
    """Return the share of a paraboloid-like cavity, r^2 = r0^2 (1 - u^2), between two depths of the long axis."""
    return 1.5 * ((high - high**3 / 3) - (low - low**3 / 3))


def _weights(cavity: bool) -> Array:
    borders = np.array(LEVEL_BORDERS)
    mass = np.array([0.40, 0.37, 0.20, 0.03])
    level = np.asarray(cavity_share(borders[:-1], borders[1:])) if cavity else mass
    return np.array([level[k] / np.count_nonzero(SEGMENT_LEVEL == k) for k in SEGMENT_LEVEL])


def segment_normals() -> Array:
    """Return the outward normals of the segments, (17, 3), in torso axes (x left, y inferior, z posterior)."""
    apex, lateral, anterior = _axes()
    angle = np.deg2rad(SEGMENT_ANGLE_DEG)[:, None]
    radial = np.cos(angle) * lateral + np.sin(angle) * anterior
    tilt = np.array([0.10, 0.35, 0.70, 50.0])[SEGMENT_LEVEL][:, None]
    return _unit(radial + tilt * apex)


SEGMENT_MASS: Array = _weights(cavity=False)
SEGMENT_CAVITY: Array = _weights(cavity=True)
SEGMENT_NORMAL: Array = segment_normals()


def segment_columns(prefix: str) -> list[str]:
    """Return the column names of a quantity given for each segment, such as ``scar_01`` to ``scar_17``."""
    return [f"{prefix}_{k:02d}" for k in range(1, SEGMENTS + 1)]
