"""A normal ECG with the beats of another one: what a diseased heart's ECG is compared with."""

from __future__ import annotations

from functools import lru_cache

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from cardiobind.modalities.ecg.preparation import normalise_by_lead_group
from cardiobind.modalities.ecg.r_peaks import r_peaks, typical_beat
from cardiobind.simulate import SimulationSettings, draw_hearts
from cardiobind.simulate.ecg import clean_ecg

Floats = NDArray[np.float64]

HEARTS, _DRAWN, _SEED, _SLOWEST_HZ = 40, 160, 0, 100
BEFORE_S, AFTER_S = 0.30, 0.60


@lru_cache(maxsize=4)
def normal_beat(rate_hz: int) -> Floats:
    """Return the mean beat of simulated hearts without disease, (12, samples) in mV, the R peak 0.3 s after its start.

    No participant is in it, and it is always the same.

    Args:
        rate_hz: samples per second, at least 40.
    """
    if rate_hz < _SLOWEST_HZ:
        fine, times = normal_beat(_SLOWEST_HZ), np.arange(round((BEFORE_S + AFTER_S) * rate_hz)) / rate_hz
        own = np.arange(fine.shape[1]) / _SLOWEST_HZ
        return np.stack([np.interp(times, own, lead) for lead in fine])
    settings = SimulationSettings(subjects=_DRAWN, seed=_SEED, ecg_rate_hz=rate_hz)
    beats = []
    for heart in _healthy(draw_hearts(settings)).itertuples(index=False, name="Heart"):
        ecg = clean_ecg(heart, settings)
        found = typical_beat(ecg, r_peaks(ecg, rate_hz), round(BEFORE_S * rate_hz), round(AFTER_S * rate_hz))
        if found is not None:
            beats.append(found)
    return np.asarray(np.mean(beats, axis=0))


def normal_ecg(ecg: NDArray[np.floating], rate_hz: float) -> NDArray[np.float32]:
    """Return a normal ECG that beats when another one does, z-scored by lead group as a network takes it.

    Between the beats it is flat; leads that are 0 throughout stay so. Without a beat it is flat.

    Args:
        ecg: (12, samples) finite; the unit does not matter.
        rate_hz: samples per second, at least 40.
    """
    beat, samples = normal_beat(round(rate_hz)), ecg.shape[1]
    before = round(BEFORE_S * rate_hz)
    out = np.zeros((len(ecg), samples + 2 * beat.shape[1]))
    peaks = r_peaks(np.asarray(ecg, dtype=np.float64), rate_hz)
    ends = np.append(peaks[1:] - before, samples + beat.shape[1])
    for peak, end in zip(peaks, ends, strict=False):
        length = max(before, min(beat.shape[1], end - peak + before))
        place = beat.shape[1] + peak - before
        out[:, place : place + length] = beat[:, :length]
    out = out[:, beat.shape[1] : beat.shape[1] + samples]
    out[~(ecg != 0).any(axis=1)] = 0.0
    return np.asarray(normalise_by_lead_group(out[None])[0])


def _healthy(hearts: pd.DataFrame) -> pd.DataFrame:
    ill = hearts[["lbbb", "rbbb", "af", "lvh", "dcm"]].astype(bool).any(axis=1) | (hearts["infarct_size"] > 0)
    return hearts[~ill].head(HEARTS)
