"""A table as the columns of a linear model."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest

from cardiobind.errors import DataContractError
from cardiobind.modalities.features import FEATURE_BY_NAME
from cardiobind.modalities.features.presets import RISK_FACTORS
from cardiobind.modalities.tabular.contract import TableContract
from cardiobind.modalities.tabular.design import Design, gaps_as_nan

NAMES = ("age_years", "smoking_status", "diabetes")
TRAIN = pd.DataFrame({
    "age_years": [50.0, 60.0, 70.0, np.nan],
    "smoking_status": ["never", "current", "never", "never"],
    "diabetes": [0.0, 1.0, np.nan, 0.0],
})  # fmt: skip


def test_gaps_are_filled_by_the_median_and_told() -> None:
    contract = TableContract.fit(TRAIN, NAMES)
    design = Design.fit(contract.columns, contract.encode(TRAIN))
    assert design.names == (
        "age_years", "smoking_status=never", "smoking_status=previous", "smoking_status=current", "diabetes",
        "age_years missing", "diabetes missing",
    )  # fmt: skip
    rows = pd.DataFrame({"age_years": [70.0, np.nan], "smoking_status": ["previous", None], "diabetes": [1.0, np.nan]})
    sd = np.std([50, 60, 70])
    expected = [[10 / sd, 0, 1, 0, 1, 0, 0], [0.0, 1, 0, 0, 0, 1, 1]]
    np.testing.assert_allclose(design.matrix(contract.encode(rows)), expected, rtol=1e-6)


def test_a_gap_that_training_rows_never_had_has_no_indicator() -> None:
    full = TRAIN.dropna()
    contract = TableContract.fit(full, NAMES)
    design = Design.fit(contract.columns, contract.encode(full))
    assert not any(design.gaps)
    assert np.isfinite(design.matrix(contract.encode(TRAIN))).all()


def test_trees_see_gaps_as_nan() -> None:
    contract = TableContract.fit(TRAIN, NAMES)
    values = gaps_as_nan(contract.encode(TRAIN))
    np.testing.assert_array_equal(np.isnan(values), TRAIN.isna())


def test_rows_of_another_table_are_refused() -> None:
    contract = TableContract.fit(TRAIN, NAMES)
    with pytest.raises(DataContractError, match="another table"):
        Design.fit(contract.columns[:2], contract.encode(TRAIN))


def test_the_risk_factors_are_inputs() -> None:
    assert all(FEATURE_BY_NAME[name].role == "input" for name in RISK_FACTORS)
