"""Scar, geometry and conduction of one heart, all segment by segment."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from cardiobind.simulate.anatomy import (
    SEGMENT_ANGLE_DEG,
    SEGMENT_CAVITY,
    SEGMENT_DEPTH,
    SEGMENT_LEVEL,
    SEGMENT_MASS,
    SEPTAL_SEGMENTS,
    segment_columns,
)

if TYPE_CHECKING:
    from cardiobind.simulate.heart import Draws

Array = NDArray[np.float64]
State = dict[str, NDArray[Any]]
MYOCARDIUM_G_ML = 1.05
_SEPTAL = np.isin(np.arange(1, 18), SEPTAL_SEGMENTS).astype(float)
# Voltage of each segment's front, in mV per unit of its mass, that no opposite front cancels: fitted so that the mean
# healthy vectorcardiogram is that of the Frank leads (Draper et al., Circulation 1964;30:853).
HEALTHY_FRONT_MV = np.array(
    [0.9, 1.5, 2.1, 3.3, 9.0, 7.0, 4.7, 1.4, 1.1, 6.5, 10.0, 6.0, 6.2, 1.4, 8.5, 8.2, 5.3]
)  # fmt: skip
# What a dead segment takes away: its whole front, also the part that used to cancel an opposite one.
_WHOLE_FRONT_MV = np.maximum(HEALTHY_FRONT_MV, 7.5)
# Middle of the infarct a territory is likely to have: angle in the short axis, depth from base to apex.
_CENTRE = {"LAD": (112.0, 0.72), "RCA": (258.0, 0.42), "LCx": (345.0, 0.48)}


def infarct(d: Draws, size: Array) -> State:
    """Return territory and transmurality of the scar in each segment, so that its mass is `size` of the ventricle.

    The scar falls off with distance from its middle; a larger one is wider and more transmural.

    Source:
        Ortiz-Perez et al., JACC Cardiovasc Imaging 2008;1:282 (segments by culprit artery); territory shares of LAD,
        RCA, LCx 45, 35 and 20 %.
    """
    which = np.digitize(d.uniform("territory"), [0.45, 0.80])
    angle = np.array([c[0] for c in _CENTRE.values()])[which] + 18 * d.normal("infarct_angle")
    depth = np.array([c[1] for c in _CENTRE.values()])[which] + 0.12 * d.normal("infarct_depth")
    reach = 0.36 + 0.75 * np.sqrt(size)
    kernel = np.exp(-_squared_distance(angle, depth) / (2 * reach[:, None] ** 2))
    scar = _fill(kernel, size)
    return {"territory": np.where(size > 0, which, -1), "infarct_size": scar @ SEGMENT_MASS} | _columns("scar", scar)


def _squared_distance(angle: Array, depth: Array) -> Array:
    turn = np.deg2rad((SEGMENT_ANGLE_DEG - angle[:, None] + 180) % 360 - 180)
    girth = np.array([1.0, 1.0, 0.75, 0.1])[SEGMENT_LEVEL]
    return np.asarray((turn * girth) ** 2 + (2.0 * (SEGMENT_DEPTH - depth[:, None])) ** 2)


def _fill(kernel: Array, size: Array) -> Array:
    low, high = np.zeros(len(size)), np.full(len(size), 500.0)
    for _ in range(40):
        gain = (low + high) / 2
        over = np.minimum(gain[:, None] * kernel, 1) @ SEGMENT_MASS > size
        low, high = np.where(over, low, gain), np.where(over, gain, high)
    scar = np.where(size[:, None] > 0, np.minimum(low[:, None] * kernel, 1), 0.0)
    return np.where(scar < 0.03, 0.0, scar)


def left_ventricle(d: Draws, s: State) -> State:
    """Return volumes, mass, ejection fraction, and wall thickness and shortening of each segment.

    ``wall_xx`` is end-diastolic thickness in mm, ``shortening_xx`` the share of its end-diastolic cavity radius by
    which the wall moves in. Scar thins the wall and stills it in proportion to its transmurality; healthy segments
    differ by about 9 % between people, which is what hides the smallest infarcts.

    Source:
        Petersen 2017 (volumes, mass); Mahrholdt et al., Circulation 2003 and Choi et al., Circulation 2001;104:1101
        (function against transmurality); Pfeffer & Braunwald, Circulation 1990;81:1161 (remodelling).
    """
    scar, male = _stack(s, "scar"), s["male"]
    lvef_remote = np.clip(0.605 - 0.018 * male + 0.045 * d.normal("ef") - 0.28 * s["dcm"] - 0.05 * s["lbbb"], 0.2, 0.76)
    edv = (78 + 9 * male) * s["bsa_m2"] * np.exp(0.165 * d.normal("edv"))
    edv = edv * (1 + 0.9 * s["infarct_size"] + 0.45 * s["dcm"])
    mass = (43 + 9 * male) * s["bsa_m2"] * np.exp(0.13 * d.normal("mass") + 0.0035 * (s["sbp"] - 135))
    mass = mass * (1 + 0.38 * s["lvh"] + 0.30 * s["dcm"])
    length = 94.0 * (edv / 150) ** (1 / 3) * np.exp(0.04 * d.normal("length"))
    ratio = 1 - 0.16 * lvef_remote / 0.6
    shortening = _shortening(d, s, scar, lvef_remote, ratio)
    radius = np.sqrt(1.5 * edv * 1000 / (np.pi * length))
    level = np.array([1.06, 1.03, 0.86, 0.60])[SEGMENT_LEVEL] * (1 + 0.08 * _SEPTAL)
    wall = _wall(edv, mass, length, radius)[:, None] * level * np.exp(0.085 * d.segments(0)) * (1 - 0.45 * scar)
    lvef = 1 - ratio * (((1 - shortening) ** 2) @ SEGMENT_CAVITY)
    return {
        "lvedv_ml": edv, "lvesv_ml": edv * (1 - lvef), "lvef_percent": 100 * lvef, "lv_mass_g": mass,
        "lv_length_mm": length, "lv_length_ratio": ratio, "lv_radius_mm": radius,
    } | _columns("wall", wall) | _columns("shortening", shortening)  # fmt: skip


def _shortening(d: Draws, s: State, scar: Array, lvef: Array, ratio: Array) -> Array:
    healthy = (1 - np.sqrt((1 - lvef) / ratio))[:, None] * (1 + 0.09 * d.segments(1))
    healthy = healthy * (1 - 0.35 * _SEPTAL * s["lbbb"][:, None])
    return healthy * np.clip(1 - 1.25 * scar, -0.08, 1)


def _wall(edv: Array, mass: Array, length: Array, radius: Array) -> Array:
    outer = 1000 * (edv + mass / MYOCARDIUM_G_ML)
    wall = np.full(len(edv), 7.0)
    for _ in range(12):
        volume = 2 / 3 * np.pi * (radius + wall) ** 2 * (length + wall)
        slope = 2 / 3 * np.pi * (radius + wall) * (2 * (length + wall) + radius + wall)
        wall = wall - (volume - outer) / slope
    return wall


def right_ventricle(d: Draws, s: State) -> State:
    """Return the volumes of the right ventricle (Petersen 2017)."""
    edv = (82 + 14 * s["male"]) * s["bsa_m2"] * np.exp(0.15 * d.normal("rvedv")) * (1 + 0.15 * s["dcm"])
    ef = np.clip(0.58 - 0.03 * s["male"] + 0.055 * d.normal("rvef") - 0.12 * s["dcm"], 0.25, 0.75)
    return {"rvedv_ml": edv, "rvesv_ml": edv * (1 - ef), "rvef_percent": 100 * ef}


def conduction(d: Draws, s: State) -> State:
    """Return rate, intervals, axis and the voltage that each segment gives to the electrocardiogram.

    ``front_xx`` is the voltage of a segment's activation front in mV per unit of mass. It falls with transmurality
    times total size, because Q waves follow the size of an infarct rather than its transmurality alone; small ones are
    nearly silent. It turns negative where the dead wall no longer cancels the opposite one: a Q wave. Hypertrophy
    raises it with mass; people differ by about 17 % a segment and 20 % overall.

    Source:
        Moon et al., JACC 2004;44:554 (Q waves and infarct size); Mason et al., J Electrocardiol 2007;40:228 (intervals
        by age and sex); Casale et al., JACC 1985;6:572 (voltage and mass).
    """
    scar, block = _stack(s, "scar"), s["lbbb"] | s["rbbb"]
    loss = np.clip(1.3 * scar * np.clip((s["infarct_size"][:, None] - 0.02) / 0.10, 0.05, 1.0), 0, 1)
    mass_index = s["lv_mass_g"] / ((47 + 9 * s["male"]) * s["bsa_m2"])
    healthy = HEALTHY_FRONT_MV * np.exp(0.17 * d.segments(2)) * (mass_index**0.9)[:, None]
    rate = 62 + 10 * d.normal("heart_rate") + 3 * s["dcm"] + 14 * s["af_now"] - 5 * s["activity"].clip(-1.5, 1.5) / 1.5
    qrs = 92 + 5 * s["male"] + 7.5 * d.normal("qrs") + 4 * s["lvh"] + 10 * s["dcm"]
    broad = np.where(s["lbbb"], 148.0, 138.0) + 9 * d.normal("qrs")
    return {
        "heart_rate_bpm": np.clip(rate, 40, 135),
        "axis_turn_deg": 19 * d.normal("axis") - 0.5 * (s["age"] - 64) - 0.9 * (s["bmi"] - 26),
        "rotation_deg": 13 * d.normal("rotation"),
        "voltage": np.exp(0.20 * d.normal("voltage") - 0.012 * (s["bmi"] - 26) + 0.05 * s["male"]),
        "pr_ms": np.clip(160 + 0.35 * (s["age"] - 60) + 21 * d.normal("pr"), 110, 290),
        "qrs_ms": np.where(block, np.clip(broad, 122, 185), np.clip(qrs, 76, 116)),
        "qtc_ms": np.clip(411 + 9 * (1 - s["male"]) + 15 * d.normal("qtc") + 28 * s["lbbb"] + 10 * s["rbbb"], 360, 500),
        "t_amplitude": np.exp(0.24 * d.normal("t_amplitude")),
        "strain": np.clip(1.6 * (mass_index - 1.25), 0, 1) * s["lvh"],
    } | _columns("front", healthy - loss * _WHOLE_FRONT_MV)  # fmt: skip


def _columns(prefix: str, values: Array) -> State:
    return dict(zip(segment_columns(prefix), values.T, strict=True))


def _stack(s: State, prefix: str) -> Array:
    return np.stack([s[c] for c in segment_columns(prefix)], axis=1)
