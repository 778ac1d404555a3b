"""The 12-lead electrocardiogram of a synthetic heart: a moving dipole, seen through Dower's leads, with noise.

Source:
    McSharry et al., IEEE Trans Biomed Eng 2003;50:289 and Sameni et al., EURASIP J Adv Signal Process 2007:43407 (sums
    of Gaussians); Dower et al., J Electrocardiol 1980;13:267, whose matrix Edenbrandt & Pahlm inverted (1988;21:361).
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from cardiobind.rng import generator
from cardiobind.simulate.activation import Sources, atrial, depolarisation, repolarisation
from cardiobind.simulate.settings import SimulationSettings

Array = NDArray[np.float64]

UV_PER_COUNT = 5
# Rows I, II, V1 to V6; columns x (left), y (inferior), z (posterior) of the Frank axes.
DOWER = np.array(
    [
        [0.632, -0.235, 0.059], [0.235, 1.066, -0.132], [-0.515, 0.157, -0.917], [0.044, 0.164, -1.387],
        [0.882, 0.098, -1.277], [1.213, 0.127, -0.601], [1.125, 0.127, -0.086], [0.831, 0.076, 0.230],
    ]
)  # fmt: skip
_BEFORE_MS, _AFTER_MS = 340.0, 760.0


def simulate_ecg(hearts: pd.DataFrame, settings: SimulationSettings | None = None) -> NDArray[np.float32]:
    """Return the ECGs of some hearts, quantised to 5 microvolts as in a CardioSoft file.

    Args:
        hearts: rows of `draw_hearts`.
        settings: its rate and duration are used; None for the defaults.

    Returns:
        (hearts, 12, samples) in mV, leads in the order of `cardiobind.modalities.records.LEADS`; a row depends only on
        its heart.
    """
    settings = settings or SimulationSettings()
    counts = [ecg_counts(heart, settings) for heart in _rows(hearts)]
    return counts_to_mv(np.stack(counts)) if counts else np.zeros((0, 12, settings.ecg_samples), np.float32)


def counts_to_mv(counts: NDArray[np.int16]) -> NDArray[np.float32]:
    """Return amplitudes in mV of counts of 5 microvolts."""
    return (counts.astype(np.float64) * (UV_PER_COUNT / 1000)).astype(np.float32)


def ecg_counts(heart: Any, settings: SimulationSettings) -> NDArray[np.int16]:
    """Return one ECG with noise in counts of 5 microvolts, (12, samples); `heart` is a namedtuple of a row."""
    rng = generator(int(heart.seed), "simulate.ecg", int(heart.subject_index))
    vector = heart_vector(heart, settings, rng)
    electrodes = _electrode_noise(rng, settings)
    eight = _misplaced(rng) @ vector + _lead_noise(electrodes)
    eight = _swapped_arms(eight, rng)
    return np.clip(np.rint(_twelve(eight) * 1000 / UV_PER_COUNT), -32768, 32767).astype(np.int16)


def clean_ecg(heart: Any, settings: SimulationSettings) -> NDArray[np.float64]:
    """Return one ECG in mV without noise, misplacement or quantisation, (12, samples)."""
    rng = generator(int(heart.seed), "simulate.ecg", int(heart.subject_index))
    return _twelve(DOWER @ heart_vector(heart, settings, rng))


def heart_vector(heart: Any, settings: SimulationSettings, rng: np.random.Generator) -> Array:
    """Return the dipole of the heart over time, (3, samples) in mV."""
    beats_ms, rr_ms = _beat_times(heart, settings.ecg_duration_s * 1000, rng)
    step_ms = 1000 / settings.ecg_rate_hz
    before, after = round(_BEFORE_MS / step_ms), round(_AFTER_MS / step_ms)
    start = np.floor(beats_ms / step_ms).astype(int)
    local_ms = (np.arange(-before, after)[None] + start[:, None]) * step_ms - beats_ms[:, None]
    waves = _waves(heart, local_ms, rr_ms) * (1 + 0.025 * np.sin(2 * np.pi * 0.25 * beats_ms / 1000))[:, None, None]
    out = np.zeros((3, settings.ecg_samples + 2 * (before + after)))
    for place, wave in zip(start + after, waves, strict=True):
        out[:, place : place + before + after] += wave.T
    shift = before + after
    dipole = out[:, shift : shift + settings.ecg_samples]
    return dipole + _fibrillation(settings, rng) if heart.af_now else dipole


def _waves(heart: Any, local_ms: Array, rr_ms: Array) -> Array:
    out = np.zeros((*local_ms.shape, 3))
    _add(out, local_ms, atrial(heart), -_BEFORE_MS, 0.0)
    _add(out, local_ms, depolarisation(heart), -30.0, 20.0 + 1.35 * heart.qrs_ms)
    _add(out, local_ms, repolarisation(heart, rr_ms), 20.0, _AFTER_MS)
    return out


def _add(out: Array, local_ms: Array, sources: Sources, low_ms: float, high_ms: float) -> None:
    vectors, centres_ms, widths_ms = sources
    columns = np.flatnonzero((local_ms[0] >= low_ms) & (local_ms[0] < high_ms))
    part = slice(columns[0], columns[-1] + 1)
    for source, vector in enumerate(vectors):
        phase = (local_ms[:, part] - centres_ms[..., source, None]) / widths_ms[..., source, None]
        out[:, part] += np.exp(-0.5 * phase**2)[..., None] * vector


def _beat_times(heart: Any, duration_ms: float, rng: np.random.Generator) -> tuple[Array, Array]:
    mean = 60_000 / heart.heart_rate_bpm
    number = int(np.ceil((duration_ms + 2000) / (mean * 0.55))) + 2
    if heart.af_now:
        rr = mean * np.clip(np.exp(0.22 * rng.standard_normal(number)), 0.55, 1.8)
    else:
        breath = 0.030 * np.sin(2 * np.pi * (np.arange(number) * mean / 4200 + rng.random()))
        rr = mean * (1 + breath + 0.012 * rng.standard_normal(number))
    times = np.cumsum(rr) - rr[0] - rng.random() * mean
    kept = (times > -_AFTER_MS) & (times < duration_ms + _BEFORE_MS)
    return times[kept], rr[kept]


def _fibrillation(settings: SimulationSettings, rng: np.random.Generator) -> Array:
    time_s = np.arange(settings.ecg_samples) / settings.ecg_rate_hz
    size = 0.030 * np.exp(0.35 * rng.standard_normal())
    vector = np.zeros((3, len(time_s)))
    for direction in ([0.25, 0.75, -1.0], [0.8, 0.3, -0.6], [-0.3, 0.9, -0.5]):
        turn, a, b = 2 * np.pi * (5.0 + 3.0 * rng.random()) * time_s, *(6.283 * rng.random(2))
        phase = turn + 1.6 * np.sin(2 * np.pi * 0.73 * time_s + a) + 0.9 * np.sin(2 * np.pi * 1.7 * time_s + b)
        swell = 1 + 0.5 * np.sin(2 * np.pi * 0.43 * time_s + b)
        vector += np.outer(direction, swell * (np.sin(phase) + 0.4 * np.sin(2 * phase + 0.6)))
    return np.asarray(size * vector)


def _electrode_noise(rng: np.random.Generator, settings: SimulationSettings) -> Array:
    """Return noise in mV of the electrodes RA, LA, LL, V1 to V6: muscle, wander, mains (Clifford 2006, chapter 3)."""
    time_s = np.arange(settings.ecg_samples) / settings.ecg_rate_hz
    white = rng.standard_normal((9, settings.ecg_samples + 2), dtype=np.float32)
    smooth = 0.25 * white[:, :-2] + 0.5 * white[:, 1:-1] + 0.25 * white[:, 2:]
    muscle = np.float32(0.009 * np.exp(0.5 * rng.standard_normal())) * smooth
    level = 0.030 * np.exp(0.6 * rng.standard_normal())
    angle = 2 * np.pi * (0.08 + 0.32 * rng.random(3))[:, None] * time_s
    waves = np.vstack([np.sin(angle), np.cos(angle), np.sin(2 * np.pi * 50 * time_s + 6.283 * rng.random())])
    mains = 0.003 * np.exp(0.7 * rng.standard_normal()) * rng.standard_normal((9, 1))
    return np.asarray(muscle + np.hstack([level * rng.standard_normal((9, 6)), mains]) @ waves)


def _lead_noise(electrodes: Array) -> Array:
    right_arm, left_arm, left_leg = electrodes[:3]
    central = electrodes[:3].mean(axis=0)
    return np.vstack([left_arm - right_arm, left_leg - right_arm, electrodes[3:] - central])


def _misplaced(rng: np.random.Generator) -> Array:
    """Return Dower's matrix with chest electrodes some centimetres off, as is usual (Wenger & Kligfield 1996)."""
    leads = DOWER.copy()
    along = 0.16 * rng.standard_normal(6)
    step = np.gradient(leads[2:], axis=0)
    leads[2:] += along[:, None] * step
    leads[2:, 1] += 0.09 * rng.standard_normal(6) - 0.05
    return leads


def _swapped_arms(eight: Array, rng: np.random.Generator) -> Array:
    """Exchange the arm electrodes in 0.6 % (Heden et al., Am J Cardiol 1995;75:929 and later audits: 0.4-4 %)."""
    if rng.random() >= 0.006:
        return eight
    swapped = eight.copy()
    swapped[0], swapped[1] = -eight[0], eight[1] - eight[0]
    return swapped


def _twelve(eight: Array) -> Array:
    one, two = eight[0], eight[1]
    return np.vstack([one, two, two - one, -(one + two) / 2, one - two / 2, two - one / 2, eight[2:]])


def _rows(hearts: pd.DataFrame) -> Iterator[Any]:
    return hearts.itertuples(index=False, name="Heart")
