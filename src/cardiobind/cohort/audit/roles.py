"""The role of every column of a cohort's table, listed so that nobody has to guess what a model was told."""

from __future__ import annotations

from collections.abc import Collection
from typing import Any

import pandas as pd

from cardiobind.cohort.audit.leakage import declared_leaks
from cardiobind.errors import InputError
from cardiobind.modalities.features import FEATURE_BY_NAME, Role
from cardiobind.registry import did_you_mean

IDENTIFIERS = ("subject", "visit", "date", "fold", "eid")
"""Columns that name a person, a day or a group of persons."""


def role_of(column: str) -> Role:
    """Return the role of a column.

    Raises:
        InputError: it is neither a feature nor an identifier: somebody has to say what it is.
    """
    if column in IDENTIFIERS:
        return "identifier"
    if column not in FEATURE_BY_NAME:
        raise InputError(
            "a column has no role", where=column, expected="a feature of cardiobind.modalities.features",
            hint=did_you_mean(column, tuple(FEATURE_BY_NAME)),
        )  # fmt: skip
    return FEATURE_BY_NAME[column].role


def list_roles(table: pd.DataFrame, used: Collection[str], task: str | None) -> list[dict[str, Any]]:
    """Return name, role, UK Biobank field, observed share, use and declared leak of every column, JSON-compatible.

    Args:
        table: training rows, one column a feature.
        used: features that are inputs of the experiment.
        task: endpoint, or None.

    Raises:
        InputError: a column has no role.
    """
    return [_entry(str(name), table[name], str(name) in used, task) for name in table.columns]


def _entry(name: str, column: pd.Series, used: bool, task: str | None) -> dict[str, Any]:
    role = role_of(name)
    feature = FEATURE_BY_NAME.get(name)
    return {
        "column": name,
        "role": role,
        "ukb_field": None if feature is None else feature.ukb_field,
        "observed_share": float(column.notna().mean()) if len(column) else 0.0,
        "used": used,
        "declared": bool(feature and declared_leaks([name], task)),
    }
