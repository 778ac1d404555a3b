"""The synthetic table in the layout of the UK Biobank platform's table exporter, one wide row a participant."""

from __future__ import annotations

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from cardiobind.modalities.features import CORE_FEATURES, Feature
from cardiobind.simulate.table import (
    pressure_readings,
    simulate_events,
    simulate_table,
    simulate_visits,
)

_BLOOD_FIELDS = range(30600, 30900)
_NONE_OF_THE_ABOVE = -7
_FATHER = {1.0: "1|-27", 0.0: "-17|-27"}


def rap_table(hearts: pd.DataFrame) -> pd.DataFrame:
    """Return the table as the platform exports it.

    Headers are ``p<field>_i<instance>_a<array>``; questions are of instance 2, blood of instance 0; pressure and pulse
    have two readings; several answers to one question share a cell, with bars between; diagnoses are one list cell
    (``p41270``) and one column a date (``p41280_a0`` ...).

    Args:
        hearts: rows of `draw_hearts`.
    """
    facts = simulate_table(hearts)
    columns: dict[str, object] = {"eid": facts["subject"].to_numpy()}
    columns["p53_i2"] = simulate_visits(hearts)["date"].dt.strftime("%Y-%m-%d").to_numpy()
    readings = pressure_readings(hearts)
    for feature in CORE_FEATURES:
        if feature.multiple:
            continue
        values = facts[feature.name]
        if feature.name in readings:
            for array, reading in enumerate(readings[feature.name].T):
                columns[f"p{feature.ukb_field}_i2_a{array}"] = np.where(values.isna(), np.nan, reading)
        else:
            columns[_header(feature)] = _codes(feature, values)
    return pd.DataFrame(columns | _lists(facts) | _diagnoses(hearts))


def table_csv(hearts: pd.DataFrame) -> bytes:
    """Return `rap_table` as CSV; numbers keep all their digits, so that reading gives them back exactly."""
    return rap_table(hearts).to_csv(index=False, lineterminator="\n").encode()


def _header(feature: Feature) -> str:
    if feature.name == "sex":
        return f"p{feature.ukb_field}"
    return f"p{feature.ukb_field}_i{0 if feature.ukb_field in _BLOOD_FIELDS else 2}"


def _codes(feature: Feature, values: pd.Series) -> pd.Series:
    if feature.kind == "category":
        return values.map(dict(zip(feature.categories, feature.ukb_codes, strict=True))).astype("Int64")
    whole = values.dropna().mod(1).eq(0).all()
    return values.astype("Int64") if whole else values.astype(float)


def _lists(facts: pd.DataFrame) -> dict[str, NDArray[np.object_]]:
    """Return the questions with several answers; medication has one field for men and another for women."""
    male = facts["sex"].eq("male").to_numpy()
    medication = _joined(facts, {"statin": 1, "bp_medication": 2})
    return {
        "p6150_i2": _joined(facts, {"heart_attack_by_doctor": 1, "angina_by_doctor": 2}),
        "p6177_i2": _only(male, medication),
        "p6153_i2": _only(~male, medication),
        "p20107_i2": np.array([_FATHER.get(answer) for answer in facts["family_heart_disease"]], dtype=object),
        "p20004_i2_a0": _only(facts["cardiac_operation"].eq(1).to_numpy(), np.full(len(facts), "1070", dtype=object)),
    }


def _joined(facts: pd.DataFrame, codes: dict[str, int]) -> NDArray[np.object_]:
    parts = facts[list(codes)]
    cells = [
        "|".join(str(code) for code, value in zip(codes.values(), row, strict=True) if value == 1)
        for row in parts.itertuples(index=False)
    ]
    answered = parts.notna().any(axis=1).to_numpy()
    return _only(answered, np.array([cell or str(_NONE_OF_THE_ABOVE) for cell in cells], dtype=object))


def _only(kept: NDArray[np.bool_], cells: NDArray[np.object_]) -> NDArray[np.object_]:
    chosen = cells.copy()
    chosen[~kept] = None
    return chosen


def _diagnoses(hearts: pd.DataFrame) -> dict[str, object]:
    events = simulate_events(hearts)
    place = hearts["subject"].searchsorted(events["subject"])
    entry = events.groupby("subject").cumcount()
    dates = np.full((len(hearts), int(entry.max()) + 1 if len(events) else 1), None, dtype=object)
    dates[place, entry] = events["date"].dt.strftime("%Y-%m-%d")
    codes = events.groupby("subject")["code"].agg("|".join).reindex(hearts["subject"])
    columns: dict[str, object] = {"p41270": codes.to_numpy()}
    return columns | {f"p41280_a{k}": dates[:, k] for k in range(dates.shape[1])}
