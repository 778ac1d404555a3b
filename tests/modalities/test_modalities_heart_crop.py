from __future__ import annotations

import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray

from cardiobind.modalities.cmr.heart_crop import crop_square, scale_to_bytes


def _bilinear(image: NDArray[np.float64], row: float, column: float) -> float:
    total = 0.0
    for r in (math.floor(row), math.floor(row) + 1):
        for c in (math.floor(column), math.floor(column) + 1):
            if 0 <= r < image.shape[0] and 0 <= c < image.shape[1]:
                total += (1 - abs(row - r)) * (1 - abs(column - c)) * image[r, c]
    return total


@given(st.floats(5, 40), st.floats(5, 40), st.floats(1.0, 3.0), st.floats(1.0, 3.0), st.integers(0, 1000))
@settings(max_examples=40, deadline=None)
def test_crop_equals_bilinear_interpolation(
    row_mm: float, column_mm: float, row_spacing: float, column_spacing: float, seed: int
) -> None:
    image = np.random.default_rng(seed).normal(size=(20, 17))
    side_mm, size = 8.0, 10
    found = crop_square(image, (row_spacing, column_spacing), (row_mm, column_mm), side_mm, size)
    for i in range(size):
        for j in range(size):
            row = (row_mm + (i - 4.5) * 0.8) / row_spacing
            column = (column_mm + (j - 4.5) * 0.8) / column_spacing
            if -0.49 < row < 19.49 and -0.49 < column < 16.49:
                assert found[i, j] == pytest.approx(_bilinear(image, row, column), abs=1e-9)
            elif not (-0.51 < row < 19.51 and -0.51 < column < 16.51):
                assert found[i, j] == 0


def test_crop_of_the_whole_image_at_its_own_size_is_the_image() -> None:
    image = np.random.default_rng(0).normal(size=(2, 3, 12, 12))
    np.testing.assert_allclose(crop_square(image, (1.5, 1.5), (8.25, 8.25), 18.0, 12), image, atol=1e-12)


def test_a_shrunk_crop_averages_what_it_covers() -> None:
    image = np.random.default_rng(0).normal(size=(64, 64))
    found = crop_square(image, (0.5, 0.5), (15.75, 15.75), 24.0, 6)
    assert np.abs(found).max() < 0.6
    np.testing.assert_allclose(crop_square(np.ones((64, 64)), (0.5, 0.5), (15.75, 15.75), 24.0, 6), 1.0, atol=1e-9)


def test_scaling_uses_percentiles_of_all_frames_and_bears_constants() -> None:
    images = np.arange(300.0).reshape(3, 10, 10)
    found = scale_to_bytes(images)
    low, high = np.percentile(images, (1, 99))
    slow = [round(min(max((v - low) / (high - low), 0), 1) * 255) for v in images.ravel()]
    np.testing.assert_array_equal(found.ravel(), slow)
    assert not scale_to_bytes(np.full((3, 4, 4), 7.0)).any()
