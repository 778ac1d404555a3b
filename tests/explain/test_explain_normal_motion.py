"""A heart that contracts as a normal one: against closed forms, and against simulated hearts."""

from __future__ import annotations

import numpy as np
import pytest

from cardiobind.explain.normal_motion import (
    EJECTION_FRACTION,
    LENGTH_RATIO,
    WALL_MM,
    cavity_radius_mm,
    contracted,
    normal_motion,
)
from cardiobind.modalities.cmr import CmrPreparation
from cardiobind.modalities.cmr.layouts import FRAME_NAMES
from cardiobind.modalities.cmr.preparation import prepare_cmr
from cardiobind.simulate import SimulationSettings, draw_hearts, simulate_cine
from cardiobind.simulate.contours import contours

PIXEL_MM, SIDE = 1.0, 141


def disc(radius_mm: float, wall_mm: float = WALL_MM) -> np.ndarray:  # type: ignore[type-arg]
    """Return a bright pool of a radius, a dark wall, and grey around them."""
    away = np.hypot(*(np.indices((SIDE, SIDE)) - (SIDE - 1) / 2)) * PIXEL_MM
    return np.where(away <= radius_mm, 1.0, np.where(away <= radius_mm + wall_mm, -1.0, 0.0))


@pytest.mark.parametrize("radius_mm", [18.0, 25.0, 33.0])
def test_the_pool_ejects_what_a_normal_heart_does_and_the_wall_keeps_its_volume(radius_mm: float) -> None:
    relaxed = disc(radius_mm)
    assert cavity_radius_mm(relaxed, PIXEL_MM) == pytest.approx(radius_mm, abs=1.5)
    systole = contracted(relaxed, radius_mm, 1.0, PIXEL_MM)
    pool, wall = [(one > 0.5).sum() for one in (relaxed, systole)], [(one < -0.5).sum() for one in (relaxed, systole)]
    assert 1 - LENGTH_RATIO * pool[1] / pool[0] == pytest.approx(EJECTION_FRACTION, abs=0.03)
    assert LENGTH_RATIO * wall[1] / wall[0] == pytest.approx(1.0, abs=0.05)
    np.testing.assert_array_equal(contracted(relaxed, radius_mm, 0.0, PIXEL_MM), relaxed)
    far = np.hypot(*(np.indices((SIDE, SIDE)) - (SIDE - 1) / 2)) > radius_mm + WALL_MM + 26
    np.testing.assert_array_equal(systole[far], relaxed[far])


def test_it_is_even_in_all_directions() -> None:
    systole = contracted(disc(24.0), 24.0, 1.0, PIXEL_MM)
    np.testing.assert_allclose(systole, np.rot90(systole), atol=1e-9)
    np.testing.assert_allclose(systole, systole[::-1], atol=1e-9)


@pytest.mark.parametrize(
    "settings", [CmrPreparation(), CmrPreparation(layout="slices"), CmrPreparation(layout="video")]
)
def test_each_place_has_its_own_end_diastole(settings: CmrPreparation) -> None:
    grid = settings.planes
    count = len(grid.moments)
    planes = np.stack([disc(20.0 + 3 * (plane // count)) + plane for plane in range(len(grid.names))])
    found = normal_motion(planes, grid.names, PIXEL_MM)
    start = FRAME_NAMES[2] if FRAME_NAMES[2] in grid.moments else "phase_0"
    for place in range(len(grid.places)):
        rows = slice(place * count, (place + 1) * count)
        at = grid.moments.index(start)
        np.testing.assert_array_equal(found[rows][at], planes[rows][at])
        pools = [(one > one[0, 0] + 0.5).sum() for one in found[rows]]
        assert max(pools) == pools[at]
        assert min(pools) < 0.6 * max(pools)


def test_a_long_axis_view_is_evenly_grey() -> None:
    grid = CmrPreparation(long_axis=("lax_4ch",)).planes
    planes = np.random.default_rng(0).random((6, 32, 32))
    found = normal_motion(planes, grid.names, 4.0)
    np.testing.assert_allclose(found[3:], np.broadcast_to(planes[3:].mean(axis=(1, 2), keepdims=True), (3, 32, 32)))


def test_the_radius_of_simulated_hearts_is_found_and_healthy_ones_move_like_that() -> None:
    settings = SimulationSettings(subjects=16, seed=5, slices=1, phases=12, image_px=96, pixel_spacing_mm=2.4)
    hearts = draw_hearts(settings)
    errors, nearer = [], []
    for heart in hearts.itertuples(index=False, name="Heart"):
        prepared = prepare_cmr(simulate_cine(heart, settings), CmrPreparation(size_px=64))
        planes = prepared.frames.astype(float)
        truth = contours(heart, settings).endocardium[0, prepared.ed_phase].mean()
        errors.append(abs(cavity_radius_mm(planes[2], 142 / 64) - truth))
        if heart.infarct_size == 0 and not heart.dcm:
            moved = normal_motion(planes, FRAME_NAMES, 142 / 64)
            middle = slice(16, 48)
            away = [np.abs(one[0, middle, middle] - planes[0, middle, middle]).mean() for one in (moved, planes[2:])]
            nearer.append(away[0] < away[1])
    assert np.median(errors) < 3.0
    assert np.mean(nearer) > 0.8
