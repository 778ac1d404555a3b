"""Measurements as targets: angles meet at 180 degrees, the scale is that of the training ECGs, failures stay small."""

from __future__ import annotations

import numpy as np
import pytest

from cardiobind.errors import InputError
from cardiobind.modalities.ecg.measurement_targets import TARGETS, measurement_targets
from cardiobind.modalities.ecg.measurements import MEASUREMENTS
from cardiobind.modalities.standard_scores import LARGEST_SD


def measured(n: int = 40) -> np.ndarray:
    return np.random.default_rng(0).normal(50, 20, (n, len(MEASUREMENTS)))


def test_numbers_are_standard_scores_of_the_training_ecgs() -> None:
    values = measured()
    training = np.arange(40) < 30
    found = measurement_targets(values, training)
    own = values[:, MEASUREMENTS.index("qrs_ms")]
    expected = (own - own[:30].mean()) / own[:30].std()
    np.testing.assert_allclose(found[:, TARGETS.index("qrs_ms")], expected)


def test_angles_meet_at_half_a_turn() -> None:
    values = measured(4)
    values[:, MEASUREMENTS.index("qrs_axis_deg")] = [179.9, -179.9, 0.0, 90.0]
    found = measurement_targets(values, np.ones(4, bool))
    pair = found[:, [TARGETS.index("qrs_axis_cos"), TARGETS.index("qrs_axis_sin")]]
    assert np.linalg.norm(pair[0] - pair[1]) < 0.02
    assert np.linalg.norm(pair[0] - pair[2]) > 1.0


def test_what_is_not_measured_or_never_varies_is_unknown_and_an_outlier_is_held() -> None:
    values = measured()
    values[3, 0], values[:, 1], values[5, 2] = np.nan, 7.0, 1e9
    found = measurement_targets(values, np.arange(40) > 5)
    assert np.isnan(found[3, 0])
    assert np.isnan(found[:, 1]).all()
    assert found[5, 2] == LARGEST_SD
    assert np.isfinite(np.delete(found[10], 1)).all()


def test_nothing_that_varies_is_refused() -> None:
    with pytest.raises(InputError, match="varies"):
        measurement_targets(np.ones((5, len(MEASUREMENTS))), np.ones(5, bool))
