from __future__ import annotations

import json
import math

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from cardiobind.errors import DataContractError
from cardiobind.modalities.features import FEATURE_BY_NAME, INPUT_FEATURES
from cardiobind.modalities.tabular import TableContract
from cardiobind.modalities.tabular.cleaning import clean_cell, clean_column, clean_table, is_missing

NAMES = ("age_years", "sex", "sbp_mmhg", "diabetes", "overall_health", "tv_hours")


def _column(name: str, rows: int) -> st.SearchStrategy[list[object]]:
    feature = FEATURE_BY_NAME[name]
    value: st.SearchStrategy[object] = st.sampled_from(feature.categories or (0.0, 1.0))
    if feature.kind == "number":
        value = st.floats(feature.low, feature.high, width=32)
    return st.lists(st.one_of(st.just(math.nan), value), min_size=rows, max_size=rows)


@st.composite
def _tables(draw: st.DrawFn) -> pd.DataFrame:
    rows = draw(st.integers(1, 12))
    return pd.DataFrame({name: pd.Series(draw(_column(name, rows)), dtype=object) for name in NAMES})


def _train() -> pd.DataFrame:
    return pd.DataFrame(
        {
            "age_years": [50.0, 60.0, 70.0, np.nan],
            "sex": ["female", "male", np.nan, "male"],
            "sbp_mmhg": [120.0, 120.0, 120.0, 120.0],
            "diabetes": [0.0, 1.0, np.nan, 0.0],
            "overall_health": ["good", "poor", "fair", "excellent"],
            "tv_hours": [1.0, 2.0, 3.0, 10.0],
        }
    )


def test_encode_equals_the_definition() -> None:
    encoded = TableContract.fit(_train(), NAMES).encode(_train())
    sd = math.sqrt(200 / 3)
    assert encoded.dtype == np.float32
    assert encoded.shape == (4, 6, 2)
    np.testing.assert_allclose(encoded[:, 0], [[-10 / sd, 1], [0, 1], [10 / sd, 1], [0, 0]], rtol=1e-6)
    np.testing.assert_array_equal(encoded[:, 1], [[0, 1], [1, 1], [0, 0], [1, 1]])
    np.testing.assert_array_equal(encoded[:, 2], [[0, 1]] * 4)
    np.testing.assert_array_equal(encoded[:, 3], [[0, 1], [1, 1], [0, 0], [0, 1]])
    np.testing.assert_array_equal(encoded[:, 4, 0], [1, 3, 2, 0])


def test_spec_gives_cardinalities_in_order() -> None:
    spec = TableContract.fit(_train(), NAMES).spec()
    assert spec.names == NAMES
    assert spec.shape == (6, 2)
    assert spec.cardinalities == (0, 2, 0, 2, 4, 0)


@given(_tables())
@settings(max_examples=60, deadline=None)
def test_observed_values_come_back(table: pd.DataFrame) -> None:
    contract = TableContract.fit(_train().assign(sbp_mmhg=[100.0, 120.0, 140.0, 150.0]), NAMES)
    encoded = contract.encode(table)
    back = contract.decode(encoded)
    assert np.isfinite(encoded).all()
    np.testing.assert_array_equal(encoded[..., 1] == 1, table.notna().to_numpy())
    for name in NAMES:
        if FEATURE_BY_NAME[name].kind == "category":
            assert back[name].fillna("-").tolist() == table[name].fillna("-").tolist()
        else:
            np.testing.assert_allclose(back[name], table[name].astype(float), rtol=1e-5, atol=1e-4)


@given(_tables(), st.randoms())
@settings(max_examples=30, deadline=None)
def test_permuting_rows_permutes_the_output(table: pd.DataFrame, random: object) -> None:
    contract = TableContract.fit(_train(), NAMES)
    order = np.random.default_rng(len(table)).permutation(len(table))
    np.testing.assert_array_equal(contract.encode(table.iloc[order]), contract.encode(table)[order])
    np.testing.assert_array_equal(contract.encode(table[list(reversed(NAMES))]), contract.encode(table))


@given(_tables())
@settings(max_examples=30, deadline=None)
def test_rows_outside_fit_do_not_alter_the_contract(other: pd.DataFrame) -> None:
    whole = pd.concat([_train().astype(object), other], ignore_index=True)
    assert TableContract.fit(whole.iloc[:4], NAMES) == TableContract.fit(_train(), NAMES)


def test_json_round_trip_is_exact_and_strict_json() -> None:
    contract = TableContract.fit(_train(), NAMES)
    text = json.dumps(contract.to_json(), allow_nan=False)
    assert TableContract.from_json(json.loads(text)) == contract
    with pytest.raises(DataContractError):
        TableContract.from_json({"columns": [{"name": "age_years"}]})


@pytest.mark.parametrize(
    ("column", "value"),
    [
        ("age_years", 300.0),
        ("age_years", -1.0),
        ("age_years", math.inf),
        ("age_years", "old"),
        ("sex", "unknown"),
        ("sex", 1),
        ("diabetes", 2.0),
        ("overall_health", "GOOD"),
    ],
)
def test_values_that_break_the_contract_are_refused_by_name(column: str, value: object) -> None:
    contract = TableContract.fit(_train(), NAMES)
    broken = _train().astype(object)
    broken.loc[1, column] = value
    with pytest.raises(DataContractError, match=column):
        contract.encode(broken)
    with pytest.raises(DataContractError, match=column):
        TableContract.fit(broken, NAMES)


def test_absent_repeated_unknown_and_never_observed_columns_are_refused() -> None:
    train = _train()
    contract = TableContract.fit(train, NAMES)
    with pytest.raises(DataContractError, match="tv_hours"):
        contract.encode(train.drop(columns="tv_hours"))
    with pytest.raises(DataContractError, match="tv_hours"):
        contract.encode(pd.concat([train, train[["tv_hours"]]], axis=1))
    with pytest.raises(DataContractError, match="tv_hours"):
        TableContract.fit(train.assign(tv_hours=np.nan), NAMES)
    with pytest.raises(DataContractError, match="age_years"):
        TableContract.fit(train, ("age_year",))
    with pytest.raises(DataContractError):
        TableContract.fit(train, ("sex", "sex"))
    with pytest.raises(DataContractError):
        TableContract.fit(train, ())


def test_clean_table_counts_what_it_removes_and_never_writes_zero() -> None:
    raw = pd.DataFrame(
        {
            "subject": ["a", "b", "c", "d"],
            "age_years": ["61", "x", "500", None],
            "sex": ["male", "other", None, "female"],
            "diabetes": [True, 3, None, 0],
            "tv_hours": [2.0, np.inf, 25.0, 24.0],
        },
        index=[7, 5, 3, 1],
    )
    cleaned, problems = clean_table(raw)
    counts = {(p.column, p.reason): p.count for p in problems.itertuples(index=False)}
    assert counts == {
        ("age_years", "not_a_number"): 1,
        ("age_years", "out_of_range"): 1,
        ("sex", "unknown_category"): 1,
        ("diabetes", "not_a_flag"): 1,
        ("tv_hours", "not_a_number"): 1,
        ("tv_hours", "out_of_range"): 1,
    }
    assert cleaned["subject"].tolist() == raw["subject"].tolist()
    assert cleaned.index.tolist() == [7, 5, 3, 1]
    np.testing.assert_array_equal(cleaned["age_years"], [61, np.nan, np.nan, np.nan])
    np.testing.assert_array_equal(cleaned["diabetes"], [1, np.nan, np.nan, 0])
    assert cleaned["sex"].isna().tolist() == [False, True, True, False]
    assert raw["tv_hours"].tolist()[1] == math.inf


@pytest.mark.parametrize("value", [10**400, 1 + 2j, [1], {}, "1e400", "", pd.Timestamp("2020-01-01"), "0x10"])
def test_values_of_odd_types_become_missing_and_are_counted(value: object) -> None:
    cleaned, problems = clean_table(pd.DataFrame({n: pd.Series([value, pd.NA], dtype=object) for n in NAMES}))
    assert cleaned.isna().all(axis=None)
    assert problems["count"].tolist() == [1] * len(NAMES)


@given(st.lists(st.one_of(st.none(), st.floats(), st.integers(-500, 500), st.text(max_size=3)), min_size=1, max_size=9))
@settings(max_examples=60, deadline=None)
def test_a_clean_table_always_keeps_the_contract(values: list[object]) -> None:
    raw = pd.DataFrame({name: pd.Series(values, dtype=object) for name in NAMES})
    cleaned, problems = clean_table(raw)
    again, none = clean_table(cleaned)
    pd.testing.assert_frame_equal(cleaned, again)
    assert none.empty
    removed = problems.groupby("column")["count"].sum()
    for name in raw:
        assert raw[name].notna().sum() - cleaned[name].notna().sum() == removed.get(name, 0)
        if cleaned[name].notna().any():
            assert np.isfinite(TableContract.fit(cleaned, (name,)).encode(cleaned)).all()


def test_every_input_feature_can_be_encoded_and_the_marginal_moments_are_unit() -> None:
    rng = np.random.default_rng(0)
    columns = {}
    for name in INPUT_FEATURES:
        feature = FEATURE_BY_NAME[name]
        choices = feature.categories or (0.0, 1.0)
        draws = rng.uniform(feature.low, feature.high, 300) if feature.kind == "number" else rng.choice(choices, 300)
        columns[name] = draws
    frame = pd.DataFrame(columns)
    encoded = TableContract.fit(frame, INPUT_FEATURES).encode(frame)
    numbers = [FEATURE_BY_NAME[name].kind == "number" for name in INPUT_FEATURES]
    np.testing.assert_allclose(encoded[:, numbers, 0].mean(axis=0), 0, atol=1e-4)
    np.testing.assert_allclose(encoded[:, numbers, 0].std(axis=0), 1, atol=1e-4)


@pytest.mark.parametrize("values", [[True], [np.True_, 61.0]])
def test_a_truth_is_no_number(values: list[object]) -> None:
    cleaned, problems = clean_table(pd.DataFrame({"age_years": values, "diabetes": [True] * len(values)}))
    assert np.isnan(cleaned["age_years"][0])
    assert cleaned["diabetes"].tolist() == [1.0] * len(values)
    assert problems[["column", "reason", "count"]].to_numpy().tolist() == [["age_years", "not_a_number", 1]]


ODD: tuple[object, ...] = (
    None, math.nan, pd.NA, pd.NaT, "", "old", "1e2", " 61 ", "inf", math.inf, True, False, np.True_, 0, 1, 2, -5, 1.78,
    np.float32(61.3), np.int64(61), 1e9, 10**400, "male", "Male", "never", [61], {}, pd.Timestamp("2020-01-01"),
)  # fmt: skip


@pytest.mark.parametrize("name", [*NAMES, "height_cm", "smoking_status"])
def test_a_cell_is_what_a_column_of_one_value_is(name: str) -> None:
    feature = FEATURE_BY_NAME[name]
    for value in (*ODD, *feature.categories, feature.low, feature.high, math.nextafter(feature.high, math.inf)):
        column = clean_column(pd.Series([value], dtype=object), feature)
        cell = clean_cell(value, feature)
        assert (cell is None) == bool(column.problems), value
        assert cell is None or str(cell) == str(float(column.codes[0])), value
        assert is_missing(value) == bool(pd.Series([value], dtype=object).isna()[0]), value


@given(_tables())
@settings(max_examples=25, deadline=None)
def test_a_row_is_encoded_as_its_table_is(table: pd.DataFrame) -> None:
    contract = TableContract.fit(_train(), NAMES)
    rows = [contract.encode_row(row) for row in table.to_dict("records")]
    assert np.concatenate(rows).tobytes() == contract.encode(table).tobytes()


@pytest.mark.parametrize("change", [{"age_years": 300.0}, {"sex": "other"}, {"diabetes": 2}])
def test_a_row_is_refused_in_the_words_of_its_table(change: dict[str, object]) -> None:
    contract, row = TableContract.fit(_train(), NAMES), _train().iloc[0].to_dict() | change
    with pytest.raises(DataContractError) as of_row:
        contract.encode_row(row)
    with pytest.raises(DataContractError) as of_table:
        contract.encode(pd.DataFrame([row]))
    assert str(of_row.value) == str(of_table.value)
    del row["tv_hours"]
    with pytest.raises(DataContractError, match=r"absent|unusable"):
        contract.encode_row(row)
