from __future__ import annotations

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from cardiobind.errors import ConfigError
from cardiobind.simulate import SimulationSettings, draw_hearts, eid
from cardiobind.simulate.anatomy import SEGMENT_CAVITY, SEGMENT_MASS, TERRITORY_SEGMENTS, segment_columns

SMALL = SimulationSettings(subjects=40, seed=3)


@pytest.fixture(scope="module")
def many() -> pd.DataFrame:
    return draw_hearts(SimulationSettings(subjects=6000, seed=11))


@given(first=st.integers(0, 39), count=st.integers(0, 5), total=st.integers(40, 60))
@settings(max_examples=15, deadline=None)
def test_a_subject_depends_on_seed_and_index_alone(first: int, count: int, total: int) -> None:
    count = min(count, 40 - first)
    alone = draw_hearts(SimulationSettings(subjects=total, seed=3), first, count)
    together = draw_hearts(SMALL).iloc[first : first + count].reset_index(drop=True)
    pd.testing.assert_frame_equal(alone, together, check_dtype=False, rtol=1e-12)


def test_another_seed_is_another_cohort() -> None:
    other = draw_hearts(SimulationSettings(subjects=40, seed=4))
    assert not np.isclose(draw_hearts(SMALL)["age"], other["age"]).any()


def test_identifiers_are_outside_the_range_of_real_ones() -> None:
    subjects = draw_hearts(SMALL)["subject"]
    assert subjects.iloc[0] == "9000001" == eid(0)
    assert subjects.is_unique
    assert (subjects.astype(int) >= 9000001).all()


@pytest.mark.parametrize("prevalence", [0.02, 0.06, 0.15])
def test_prevalence_is_near_the_setting(prevalence: float) -> None:
    hearts = draw_hearts(SimulationSettings(subjects=4000, seed=5, mi_prevalence=prevalence))
    found = (hearts["mi_prevalent"] | hearts["mi_incident"]).mean()
    assert abs(found - prevalence) < 4 * np.sqrt(prevalence / 4000)


def test_label_noise_of_both_kinds_is_there(many: pd.DataFrame) -> None:
    assert (many["mi_silent"] & (many["infarct_size"] > 0)).any()
    assert (many["mi_prevalent"] & (many["infarct_size"] == 0)).any()
    assert not (many["mi_silent"] & many["mi_prevalent"]).any()


def test_state_is_plausible(many: pd.DataFrame) -> None:
    numbers = many.drop(columns=["subject", "mi_years_before", "mi_years_after"]).astype(float)
    assert np.isfinite(numbers).all().all()
    assert many["age"].between(45, 82).all()
    assert 50 < many["lvef_percent"].median() < 65
    assert many["wall_01"].median() == pytest.approx(6.3, abs=1.0)
    assert 0.01 < many["af"].mean() < 0.06
    assert 0.003 < many["lbbb"].mean() < 0.02


def test_scar_weighs_what_the_size_says_and_lies_in_its_territory(many: pd.DataFrame) -> None:
    scar = many[segment_columns("scar")].to_numpy()
    np.testing.assert_allclose(scar @ SEGMENT_MASS, many["infarct_size"], atol=1e-9)
    assert scar.min() >= 0
    assert scar.max() <= 1
    for number, segments in enumerate(TERRITORY_SEGMENTS.values()):
        mass = (scar * SEGMENT_MASS)[(many["territory"] == number).to_numpy()].sum(axis=0)
        assert mass[np.array(segments) - 1].sum() > 0.6 * mass.sum()


def test_segments_make_a_whole_ventricle() -> None:
    assert SEGMENT_MASS.sum() == pytest.approx(1)
    assert SEGMENT_CAVITY.sum() == pytest.approx(1)
    assert sorted(sum(TERRITORY_SEGMENTS.values(), ())) == list(range(1, 18))


def test_scar_lowers_function_and_voltage(many: pd.DataFrame) -> None:
    large = many["infarct_size"] > 0.15
    assert many["lvef_percent"][large].mean() < many["lvef_percent"][many["infarct_size"] == 0].mean() - 8
    shortening, front, scar = (many[segment_columns(n)].to_numpy() for n in ("shortening", "front", "scar"))
    assert shortening[scar > 0.8].mean() < 0.1 < shortening[scar == 0].mean()
    assert front[large.to_numpy()][scar[large.to_numpy()] > 0.6].mean() < front[scar == 0].mean() / 2


@pytest.mark.parametrize("wrong", [{"subjects": 0}, {"mi_prevalence": 0.9}, {"phases": 2}, {"ecg_fraction": 1.5}])
def test_settings_out_of_range_are_refused_by_name(wrong: dict[str, float]) -> None:
    with pytest.raises(ConfigError, match=next(iter(wrong))):
        SimulationSettings(**wrong)  # type: ignore[arg-type]
