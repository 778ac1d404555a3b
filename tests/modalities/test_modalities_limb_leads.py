from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray

from cardiobind.modalities.ecg.limb_leads import (
    LIMB_LEADS,
    limb_lead_residuals,
    limb_leads_inconsistent,
    stored_lead_mistake,
)

Array = NDArray[np.float64]


def _limbs(seed: int = 0, samples: int = 2000) -> Array:
    """Six limb leads of two independent bumps a second, the second electrode pair a little later."""
    time = np.arange(samples) / 500
    rng = np.random.default_rng(seed)
    one, two = rng.uniform(0.4, 1.2, 2)
    x = one * np.exp(-0.5 * (((time % 1) - 0.4) / 0.03) ** 2) + 0.2 * np.exp(-0.5 * (((time % 1) - 0.7) / 0.08) ** 2)
    y = two * np.exp(-0.5 * (((time % 1) - 0.43) / 0.04) ** 2) + 0.1 * np.sin(2 * np.pi * 0.9 * time)
    return np.stack([x, y, y - x, -(x + y) / 2, x - y / 2, y - x / 2])


@given(st.integers(0, 50), st.floats(0.1, 5.0))
@settings(max_examples=25, deadline=None, derandomize=True)
def test_rounded_leads_agree_whatever_their_size(seed: int, scale: float) -> None:
    counts = np.rint(scale * _limbs(seed) * 200) / 200
    assert limb_lead_residuals(counts).max() <= 0.0125
    assert not limb_leads_inconsistent(counts)
    assert stored_lead_mistake(counts) == {}


def test_residuals_equal_the_definition_and_name_the_lead() -> None:
    x = _limbs()
    x[4] += 0.3 * np.random.default_rng(1).standard_normal(x.shape[1])
    found = limb_lead_residuals(x)
    expected = np.quantile(np.abs((x[4] - x[0] + x[1] / 2) - np.median(x[4] - x[0] + x[1] / 2)), 0.95)
    np.testing.assert_allclose(found, [0, 0, expected, 0], atol=1e-12)


def test_offsets_gaps_and_absent_leads_are_no_disagreement() -> None:
    x = _limbs() + np.arange(6)[:, None]
    x[1, 100:200] = np.nan
    assert not limb_leads_inconsistent(x)
    x[0] = np.nan
    assert np.isnan(limb_lead_residuals(x)).all()
    assert not limb_leads_inconsistent(x)
    assert stored_lead_mistake(x) == {}


def test_one_absent_lead_leaves_the_other_relations() -> None:
    x = _limbs()
    x[2] = np.nan
    x[5] *= -1
    assert np.isnan(limb_lead_residuals(x)).tolist() == [True, False, False, False]
    assert limb_leads_inconsistent(x)
    assert stored_lead_mistake(x) is None


@pytest.mark.parametrize("row", range(6))
def test_an_inverted_lead_is_named(row: int) -> None:
    x = _limbs()
    x[row] *= -1
    assert limb_leads_inconsistent(x)
    assert stored_lead_mistake(x) == {LIMB_LEADS[row]: f"-{LIMB_LEADS[row]}"}


@pytest.mark.parametrize("pair", [(a, b) for a in range(6) for b in range(a)])
def test_two_exchanged_leads_are_named_or_left_open(pair: tuple[int, int]) -> None:
    x = _limbs(3)
    x[list(pair)] = x[list(pair[::-1])]
    a, b = (LIMB_LEADS[k] for k in pair)
    assert stored_lead_mistake(x) == {a: b, b: a}


def test_what_no_order_explains_is_left_open() -> None:
    x = np.random.default_rng(0).standard_normal((6, 1000))
    assert limb_leads_inconsistent(x)
    assert stored_lead_mistake(x) is None
