from __future__ import annotations

from typing import Any

import numpy as np
import pandas as pd
import pytest

from cardiobind.simulate import SimulationSettings, draw_hearts, simulate_cine
from cardiobind.simulate.contours import contours

FINE = SimulationSettings(subjects=300, seed=6, mi_prevalence=0.4, slices=24, phases=30)
SMALL = SimulationSettings(subjects=300, seed=6, mi_prevalence=0.4, slices=3, phases=12, image_px=96)


@pytest.fixture(scope="module")
def hearts() -> pd.DataFrame:
    return draw_hearts(FINE)


def volumes_ml(heart: Any) -> np.ndarray:
    """Volume of the cavity in each phase: areas of the slices, integrated from apex to base by trapezoids."""
    borders = contours(heart, FINE)
    volumes = []
    for phase, length in enumerate(heart.lv_length_mm * (1 - (1 - heart.lv_length_ratio) * borders.phase_contraction)):
        depth = borders.depth[:, phase]
        inside = (depth > 0) & (depth < 1)
        depth = depth[inside]
        area = np.pi * (borders.endocardium[inside, phase] ** 2).mean(axis=-1)
        base = area[-1] / (1 - depth[-1] ** 2)
        volumes.append(-np.trapezoid(np.r_[0, area, base], np.r_[1, depth, 0]) * length / 1000)
    return np.array(volumes)


def test_volumes_in_the_pictures_are_those_of_the_state(hearts: pd.DataFrame) -> None:
    rows = list(hearts.head(25).itertuples(index=False))
    measured = np.array([volumes_ml(heart) for heart in rows])
    fraction = 100 * (1 - measured.min(axis=1) / measured[:, 0])
    state = np.array([[h.lvedv_ml, h.lvef_percent] for h in rows])
    assert np.abs(measured[:, 0] / state[:, 0] - 1).max() < 0.12
    assert np.abs(fraction - state[:, 1]).mean() < 3.0


def test_end_systole_is_about_a_third_into_the_cycle(hearts: pd.DataFrame) -> None:
    phase = int(np.argmin(volumes_ml(next(hearts.itertuples(index=False)))))
    assert 0.2 < phase / FINE.phases < 0.55


def test_infarcted_wall_is_thin_and_still(hearts: pd.DataFrame) -> None:
    anterior = hearts.sort_values("scar_07").iloc[-1]
    borders = contours(anterior, FINE)
    wall = borders.epicardium - borders.endocardium
    k = int(np.argmin(np.abs(borders.depth[:, 0] - 0.6)))
    systole = int(np.argmax(borders.phase_contraction))
    thickening = wall[k, systole] / wall[k, 0]
    assert thickening[90] < thickening[330] - 0.2
    assert wall[k, 0, 90] < wall[k, 0, 330]
    assert anterior["scar_11"] < 0.1


def test_borders_are_nested(hearts: pd.DataFrame) -> None:
    for heart in hearts.head(10).itertuples(index=False):
        b = contours(heart, FINE)
        for inner, outer in zip(
            (b.endocardium, b.epicardium, b.right_cavity, b.right_wall),
            (b.epicardium, b.right_cavity, b.right_wall, b.fat), strict=True,
        ):  # fmt: skip
            assert (outer >= inner - 1e-9).all()


def test_record_has_the_layout_of_the_contract(hearts: pd.DataFrame) -> None:
    record = simulate_cine(hearts.iloc[0], SMALL)
    assert record.frames.shape == (3, 12, 96, 96)
    assert record.frames.dtype == np.float32
    assert np.array_equal(record.frames, np.rint(record.frames))
    assert 0 <= record.frames.min()
    assert 300 < record.frames.max() <= 4095
    assert (np.diff(record.slice_positions_mm) > 0).all()
    assert record.trigger_times_ms.shape == (3, 12)
    assert (np.diff(record.trigger_times_ms, axis=1) > 0).all()


def test_same_heart_same_pictures_another_heart_others(hearts: pd.DataFrame) -> None:
    first = simulate_cine(hearts.iloc[1], SMALL).frames
    np.testing.assert_array_equal(first, simulate_cine(draw_hearts(SMALL, 1, 1).iloc[0], SMALL).frames)
    assert not np.array_equal(first, simulate_cine(hearts.iloc[2], SMALL).frames)


def test_blood_is_bright_lung_dark_and_the_heart_moves(hearts: pd.DataFrame) -> None:
    frames = simulate_cine(hearts.iloc[0], SMALL).frames
    assert np.percentile(frames, 97) > 5 * np.percentile(frames, 20)
    moving = frames[1].std(axis=0)
    rows, columns = np.nonzero(moving > 0.5 * moving.max())
    assert abs(rows.mean() - 48) < 20
    assert abs(columns.mean() - 48) < 20


def test_hearts_lie_in_different_places(hearts: pd.DataFrame) -> None:
    def place(k: int) -> float:
        moving = simulate_cine(hearts.iloc[k], SMALL).frames[1].std(axis=0)
        return float(np.nonzero(moving > 0.5 * moving.max())[1].mean())

    assert np.std([place(k) for k in range(8)]) > 1.0
