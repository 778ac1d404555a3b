"""Limb leads derived from any two others, against the least-squares solution of all relations at once."""

from __future__ import annotations

from itertools import combinations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from cardiobind.formats.ecg.leads import derive_limb_leads, shown_unit

LIMB = ("I", "II", "III", "aVR", "aVL", "aVF")
RELATIONS = np.array(
    [  # I, II, III, aVR, aVL, aVF: each row times the leads is 0 (Einthoven 1913, Goldberger 1942)
        [1, -1, 1, 0, 0, 0],  # I + III = II
        [0.5, 0.5, 0, 1, 0, 0],  # aVR = -(I + II)/2
        [-0.5, 0, 0.5, 0, 1, 0],  # aVL = (I - III)/2
        [0, -0.5, -0.5, 0, 0, 1],  # aVF = (II + III)/2
    ]
)


def consistent(samples: int = 50, seed: int = 0) -> dict[str, np.ndarray]:
    """Return six limb leads from the potentials of three electrodes, by the definition of each lead."""
    right, left, foot = np.random.default_rng(seed).normal(size=(3, samples))
    return {
        "I": left - right, "II": foot - right, "III": foot - left, "aVR": right - (left + foot) / 2,
        "aVL": left - (right + foot) / 2, "aVF": foot - (right + left) / 2,
    }  # fmt: skip


@settings(deadline=None, derandomize=True)
@given(st.sets(st.sampled_from(LIMB)), st.integers(0, 99))
def test_two_leads_tell_the_others_and_fewer_tell_none(present: set[str], seed: int) -> None:
    truth = consistent(seed=seed)
    leads, derived = derive_limb_leads({lead: truth[lead] for lead in present})
    unknown = [k for k, lead in enumerate(LIMB) if lead not in present]
    solvable = np.linalg.matrix_rank(RELATIONS[:, unknown]) == len(unknown) if unknown else True
    assert set(derived) == (set(LIMB) - present if solvable else set())
    assert set(leads) == present | set(derived)
    for lead in present:
        assert leads[lead] is truth[lead]
    if solvable and unknown:
        known = [k for k in range(6) if k not in unknown]
        right_side = -RELATIONS[:, known] @ np.stack([truth[LIMB[k]] for k in known])
        solution = np.linalg.lstsq(RELATIONS[:, unknown], right_side, rcond=None)[0]
        for row, k in zip(solution, unknown, strict=True):
            np.testing.assert_allclose(leads[LIMB[k]], row, atol=1e-12)
            np.testing.assert_allclose(leads[LIMB[k]], truth[LIMB[k]], atol=1e-12)


def test_from_i_and_ii_the_equations_hold_to_the_bit() -> None:
    truth = consistent()
    one, two = truth["I"], truth["II"]
    leads, derived = derive_limb_leads({"II": two, "I": one, "V1": one})
    assert derived == ("III", "aVR", "aVL", "aVF")
    assert set(leads) == {*LIMB, "V1"}
    for lead, expected in zip(derived, (two - one, -(one + two) / 2, one - two / 2, two - one / 2), strict=True):
        np.testing.assert_array_equal(leads[lead], expected)


@pytest.mark.parametrize("pair", list(combinations(LIMB, 2)))
def test_every_pair_of_limb_leads_is_enough(pair: tuple[str, str]) -> None:
    truth = consistent()
    assert len(derive_limb_leads({lead: truth[lead] for lead in pair})[1]) == 4


def test_chest_leads_are_never_derived_and_a_lead_of_nan_counts_as_absent() -> None:
    truth = consistent()
    leads, derived = derive_limb_leads({"I": truth["I"], "III": truth["III"], "II": np.full(50, np.nan)})
    assert derived == ("II", "aVR", "aVL", "aVF")
    np.testing.assert_allclose(leads["II"], truth["II"], atol=1e-12)


def test_a_missing_sample_stays_missing() -> None:
    truth = consistent()
    truth["I"][7] = np.nan
    leads, _ = derive_limb_leads({"I": truth["I"], "II": truth["II"]})
    assert np.flatnonzero(np.isnan(leads["aVL"])).tolist() == [7]


def test_leads_of_different_lengths_are_left_for_the_reader_to_refuse() -> None:
    assert derive_limb_leads({"I": np.zeros(3), "II": np.zeros(4)})[1] == ()


@pytest.mark.parametrize(("unit", "shown"), [("nVperLsb", True), ("kV", True), ("microvolt/bit", True), ("", True),
                                             ("SECRETNAME", False), ("Smith", False), ("Vera", False)])  # fmt: skip
def test_an_error_quotes_a_unit_but_never_a_name(unit: str, shown: bool) -> None:
    assert (shown_unit(unit) == repr(unit)) is shown
    assert shown or unit not in shown_unit(unit)
