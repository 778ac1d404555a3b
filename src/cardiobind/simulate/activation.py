"""From a heart to its electrical sources: sums of Gaussians in time, each with a fixed direction.

A source is a vector (x left, y inferior, z posterior; in mV of the Dower leads), a centre and a width in ms after the
onset of QRS. The segments of the left ventricle, the right ventricle, the atria, ST and T each give some.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from cardiobind.simulate.anatomy import SEGMENT_MASS, SEGMENT_NORMAL, SEPTAL_SEGMENTS, segment_columns

Array = NDArray[np.float64]
Sources = tuple[Array, Array, Array]  # vectors (sources, 3), centres and widths in ms (..., sources)
_SEPTAL = np.isin(np.arange(1, 18), SEPTAL_SEGMENTS)

# Share of the QRS duration at which each segment is half activated (Durrer et al., Circulation 1970;41:899): the left
# side of the septum first, then the apex, then the free wall, the posterior base last.
_NORMAL_TIME = np.array(
    [.62, .28, .30, .70, .76, .68, .46, .22, .24, .55, .62, .53, .40, .27, .43, .45, .34]
)  # fmt: skip
# In left bundle branch block the septum is crossed from right to left, and the free wall follows slowly.
_LBBB_TIME = np.array(
    [.70, .42, .40, .74, .84, .78, .64, .38, .36, .66, .76, .72, .58, .40, .52, .62, .44]
)  # fmt: skip
_RIGHT_VENTRICLE = np.array([-0.50, 0.05, -0.86])
_T_DIRECTION = np.array([0.66, 0.42, -0.30])
T_SCALE_MV = 0.50


def depolarisation(heart: Any) -> Sources:
    """Return the sources of QRS, (18,) of them: 17 segments and the wall of the right ventricle.

    Args:
        heart: a row of `draw_hearts`, as a namedtuple.

    Source:
        Strauss et al., Am J Cardiol 2011;107:927 (true left bundle branch block); Surawicz et al., JACC 2009;53:976.
    """
    front = np.array([getattr(heart, c) for c in segment_columns("front")])
    amplitude = heart.voltage * SEGMENT_MASS * front
    normal = SEGMENT_NORMAL.copy()
    right_mv, right_ms, right_width = 0.06 * heart.voltage, 0.38 * heart.qrs_ms, 0.12 * heart.qrs_ms
    if heart.lbbb:
        normal[_SEPTAL] = _mirrored(normal[_SEPTAL])
        centres, widths = _LBBB_TIME * heart.qrs_ms, np.where(_SEPTAL, 0.105, 0.085) * heart.qrs_ms
        amplitude = amplitude * np.where(_SEPTAL, 2.00, 1.20)
        right_ms = 0.20 * heart.qrs_ms
    else:
        intrinsic = min(heart.qrs_ms, 96.0) if heart.rbbb else heart.qrs_ms
        centres, widths = _NORMAL_TIME * intrinsic, np.full(17, 0.10 * intrinsic)
    if heart.rbbb and not heart.lbbb:
        right_mv, right_ms, right_width = 0.85 * heart.voltage, 0.72 * heart.qrs_ms, 0.13 * heart.qrs_ms
    vectors = np.vstack([amplitude[:, None] * normal, right_mv * _RIGHT_VENTRICLE])
    return _turn(vectors, heart), np.append(centres, right_ms), np.append(widths, right_width)


def repolarisation(heart: Any, rr_ms: Array) -> Sources:
    """Return the sources of ST and T: vectors (3, 3), and for each beat centres and widths in ms, (beats, 3).

    T follows QRS in direction. Strain, scar and block turn it away from the segments concerned.

    Args:
        heart: a row of `draw_hearts`, as a namedtuple.
        rr_ms: (beats,) the intervals to which QT adapts.

    Source:
        Okin et al., Circulation 2004;110:1051 (strain); Fridericia, Acta Med Scand 1920;53:469 (QT and rate).
    """
    qt = (heart.qtc_ms * (rr_ms / 1000) ** (1 / 3))[:, None]
    main, st = _altered(heart, _turn(T_SCALE_MV * heart.t_amplitude * _T_DIRECTION[None], heart)[0])
    peak = heart.qrs_ms * 0.25 + 0.70 * qt
    centres = np.hstack([peak - 0.085 * qt, peak, heart.qrs_ms + 0.16 * qt])
    return np.stack([0.45 * main, 0.75 * main, st]), centres, qt * np.array([0.085, 0.060, 0.10])


def atrial(heart: Any) -> Sources:
    """Return the sources of the P wave, right atrium then left; none in fibrillation."""
    start = -heart.pr_ms
    size = 0.0 if heart.af_now else 0.095
    vectors = size * np.array([[0.45, 0.95, -0.50], [0.85, 0.75, 0.30]])
    return vectors, np.array([start + 36, start + 66]), np.array([16.0, 17.0])


def _altered(heart: Any, main: Array) -> tuple[Array, Array]:
    vectors, _, widths_ms = depolarisation(heart)
    area = (vectors * widths_ms[:, None]).sum(axis=0) / 10.0
    lateral = _turn(np.array([[0.80, 0.10, 0.45]]), heart)[0]
    scar = np.array([getattr(heart, c) for c in segment_columns("scar")])
    share = SEGMENT_MASS * scar * min(1.0, heart.infarct_size / 0.11)
    wound = _turn((share[:, None] * SEGMENT_NORMAL).sum(axis=0)[None], heart)[0]
    main = main - 1.10 * heart.strain * lateral * heart.voltage - 2.9 * wound
    st = -0.24 * heart.strain * lateral * heart.voltage + 0.25 * wound
    if heart.lbbb:
        return 0.35 * main - 0.20 * area, st - 0.05 * area
    if heart.rbbb:
        return main - 0.20 * vectors[-1], st - 0.04 * vectors[-1]
    return main, st


def _mirrored(septal: Array) -> Array:
    to_left = np.array([0.78, 0.10, 0.62])
    return np.asarray(0.25 * septal + to_left)


def _turn(vectors: Array, heart: Any) -> Array:
    frontal, horizontal = np.deg2rad(heart.axis_turn_deg), np.deg2rad(heart.rotation_deg)
    c, s, ch, sh = np.cos(frontal), np.sin(frontal), np.cos(horizontal), np.sin(horizontal)
    about_z = np.array([[c, -s, 0], [s, c, 0], [0, 0, 1]])
    about_y = np.array([[ch, 0, sh], [0, 1, 0], [-sh, 0, ch]])
    return np.asarray(vectors @ (about_z @ about_y).T)
