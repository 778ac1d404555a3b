"""The synthetic cohort is frozen: whoever changes it makes a new cohort version and re-runs all tables.

Numbers are means over a cohort with a tolerance for other processors; they are no targets.
"""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest

from cardiobind.simulate import (
    SimulationSettings,
    draw_hearts,
    simulate_cine,
    simulate_ecg,
    simulate_events,
    simulate_table,
)

SETTINGS = SimulationSettings(subjects=400, seed=20241105, slices=3, phases=8, image_px=64, pixel_spacing_mm=2.8)
STATE_MEANS = {
    "age": 64.6003,
    "male": 0.5,
    "sbp": 133.331,
    "ldl": 3.62377,
    "risk": 0.0562825,
    "infarct_size": 0.00735187,
    "lvedv_ml": 158.814,
    "lvef_percent": 58.9134,
    "lv_mass_g": 89.7408,
    "rvedv_ml": 170.507,
    "heart_rate_bpm": 61.3057,
    "axis_turn_deg": -0.890159,
    "voltage": 1.05474,
    "qrs_ms": 96.4242,
    "scar_13": 0.00355977,
    "wall_04": 6.08051,
    "shortening_10": 0.297444,
    "front_11": 9.43803,
}
STATE_COUNTS = {
    "mi_prevalent": 20,
    "mi_incident": 8,
    "mi_silent": 6,
    "lvh": 15,
    "dcm": 5,
    "af": 11,
    "lbbb": 5,
    "rbbb": 7,
    "statin": 75,
    "hf": 5,
}
ECG_SD_UV = [142.3, 207.0, 136.4, 164.1, 93.3, 160.2, 220.7, 232.9, 253.1, 274.6, 255.4, 226.4]
CINE_MEAN_SD_MEDIAN = [149.15, 172.96, 63.0]
CINE_SLICE_MEANS = [138.2, 158.7, 174.9]
TABLE_MEANS = {
    "sbp_mmhg": 132.778,
    "cholesterol_mmol_l": 5.90237,
    "pack_years": 7.96856,
    "crp_mg_l": 2.06751,
    "diabetes": 0.0537084,
    "stiffness_index_m_s": 9.93314,
}
TABLE_GAPS = 1486
EVENT_COUNTS = {
    "E119": 22,
    "I10": 87,
    "I209": 4,
    "I210": 1,
    "I211": 9,
    "I212": 3,
    "I214": 7,
    "I219": 8,
    "I251": 20,
    "I252": 20,
    "I420": 5,
    "I447": 5,
    "I489": 11,
    "I500": 5,
    "I639": 5,
}


@pytest.fixture(scope="module")
def hearts() -> pd.DataFrame:
    return draw_hearts(SETTINGS)


def test_state_is_frozen(hearts: pd.DataFrame) -> None:
    for name, mean in STATE_MEANS.items():
        assert hearts[name].astype(float).mean() == pytest.approx(mean, rel=1e-4), name
    assert {name: int(hearts[name].sum()) for name in STATE_COUNTS} == STATE_COUNTS


def test_ecg_is_frozen(hearts: pd.DataFrame) -> None:
    spread = simulate_ecg(hearts.head(3), SETTINGS).std(axis=(0, 2)) * 1000
    np.testing.assert_allclose(spread, ECG_SD_UV, rtol=1e-3)


def test_cine_is_frozen(hearts: pd.DataFrame) -> None:
    frames = simulate_cine(hearts.iloc[0], SETTINGS).frames
    np.testing.assert_allclose([frames.mean(), frames.std(), np.median(frames)], CINE_MEAN_SD_MEDIAN, rtol=0.02)
    np.testing.assert_allclose(frames[:, 0].mean(axis=(1, 2)), CINE_SLICE_MEANS, rtol=2e-3)


def test_table_and_events_are_frozen(hearts: pd.DataFrame) -> None:
    table = simulate_table(hearts)
    for name, mean in TABLE_MEANS.items():
        assert table[name].mean() == pytest.approx(mean, rel=1e-4), name
    assert int(table.isna().sum().sum()) == TABLE_GAPS
    assert simulate_events(hearts)["code"].value_counts().to_dict() == EVENT_COUNTS
