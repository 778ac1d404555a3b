from __future__ import annotations

import numpy as np
import pandas as pd
import pytest
from scipy.stats import mannwhitneyu

from cardiobind.modalities.features import CORE_FEATURES
from cardiobind.simulate import (
    SimulationSettings,
    availability,
    draw_hearts,
    simulate_events,
    simulate_table,
    simulate_visits,
)

COHORT = SimulationSettings(subjects=4000, seed=9)


@pytest.fixture(scope="module")
def hearts() -> pd.DataFrame:
    return draw_hearts(COHORT)


@pytest.fixture(scope="module")
def table(hearts: pd.DataFrame) -> pd.DataFrame:
    return simulate_table(hearts)


def test_every_feature_is_there_in_its_range(table: pd.DataFrame) -> None:
    assert list(table.columns) == ["subject", "visit", *(f.name for f in CORE_FEATURES)]
    for feature in CORE_FEATURES:
        values = table[feature.name].dropna()
        if feature.kind == "number":
            assert values.between(feature.low, feature.high).all(), feature.name
        elif feature.kind == "flag":
            assert set(values) <= {0.0, 1.0}
        else:
            assert set(values) == set(feature.categories)


def test_gaps_are_there_and_some_depend_on_what_is_hidden(hearts: pd.DataFrame, table: pd.DataFrame) -> None:
    assert table[["age_years", "sex"]].notna().all().all()
    assert 0.2 < table["stiffness_index_m_s"].isna().mean() < 0.45
    assert 0.03 < table["ldl_mmol_l"].isna().mean() < 0.12
    silent = table["overall_health"].isna()
    assert mannwhitneyu(hearts["poor_health"][silent], hearts["poor_health"][~silent]).pvalue < 1e-3
    assert hearts["poor_health"][silent].mean() > hearts["poor_health"][~silent].mean()


def test_leaks_tell_the_label_and_inputs_do_not(hearts: pd.DataFrame, table: pd.DataFrame) -> None:
    told = table["heart_attack_by_doctor"] == 1
    assert hearts["mi_prevalent"][told].all()
    assert told[hearts["mi_prevalent"]].mean() > 0.8
    assert table["statin"][hearts["mi_prevalent"]].mean() > 2 * table["statin"].mean()


def test_events_lie_on_both_sides_of_the_visit(hearts: pd.DataFrame) -> None:
    events = simulate_events(hearts).merge(simulate_visits(hearts), on="subject", suffixes=("", "_visit"))
    infarcts = events[events["code"].str.startswith("I21")]
    before = infarcts["date"] <= infarcts["date_visit"]
    assert before.any()
    assert (~before).any()
    assert set(infarcts["subject"][before]) == set(hearts["subject"][hearts["mi_prevalent"]])
    assert not set(infarcts["subject"]) & set(hearts["subject"][hearts["mi_silent"] & ~hearts["mi_incident"]])
    assert (events["system"] == "icd10").all()
    assert events["date"].notna().all()


def test_table_and_events_of_a_subject_do_not_depend_on_the_others(hearts: pd.DataFrame, table: pd.DataFrame) -> None:
    alone = draw_hearts(COHORT, 17, 3)
    pd.testing.assert_frame_equal(simulate_table(alone), table.iloc[17:20].reset_index(drop=True))
    events = simulate_events(hearts)
    wanted = events[events["subject"].isin(alone["subject"])].reset_index(drop=True)
    pd.testing.assert_frame_equal(simulate_events(alone), wanted)


def test_availability_follows_the_settings(hearts: pd.DataFrame) -> None:
    shares = availability(hearts, COHORT)[["ecg", "cmr", "tabular"]].mean()
    np.testing.assert_allclose(shares, [0.8, 0.4, 1.0], atol=0.03)
    all_of_them = availability(hearts, SimulationSettings(subjects=4000, seed=9, ecg_fraction=1.0, cmr_fraction=0.0))
    assert all_of_them["ecg"].all()
    assert not all_of_them["cmr"].any()
