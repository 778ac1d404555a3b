"""What the columns of a hospital's table mean: declared once, in ``columns.toml``, and nothing guessed.

A column that is called like a feature (``sbp_mmhg``) needs no entry. Every other one is declared:

    [columns."Chol"]
    feature = "cholesterol_mmol_l"
    unit = "mg/dL"                        # converted; without it the unit is the one in the feature's name
    missing = ["-9", "?"]                 # answers that mean "not known"

    [columns."Geschlecht"]
    feature = "sex"
    values = { m = "male", w = "female" }

    [columns."Troponin at admission"]
    role = "leak"                         # identifier | label | leak | unused: the column is not read
"""

from __future__ import annotations

import tomllib
from collections.abc import Mapping, Sequence
from pathlib import Path

import numpy as np
import pandas as pd
from numpy.typing import NDArray
from pydantic import BaseModel, ConfigDict, Field, ValidationError, model_validator

from cardiobind.errors import InputError
from cardiobind.modalities.features import FEATURE_BY_NAME, Feature
from cardiobind.modalities.tabular.units import OTHER_UNITS, conversion
from cardiobind.registry import did_you_mean

ROLES_NOT_READ = ("identifier", "label", "leak", "unused")
_EXAMPLE = '[columns."Chol"]\nfeature = "cholesterol_mmol_l"\nunit = "mg/dL"\n[columns."Ward"]\nrole = "unused"'
_FLAGS = {"0": 0.0, "1": 1.0, "no": 0.0, "yes": 1.0, "false": 0.0, "true": 1.0}


class ColumnDeclaration(BaseModel):
    """What one column is: a feature with its unit, spelling and missing codes, or a role for which it is not read."""

    model_config = ConfigDict(strict=True, frozen=True, extra="forbid")

    feature: str | None = None
    role: str | None = None
    unit: str | None = None
    values: dict[str, str] = Field(default_factory=dict)
    missing: list[str] = Field(default_factory=list)

    @model_validator(mode="after")
    def _one_meaning(self) -> ColumnDeclaration:
        if (self.feature is None) == (self.role is None):
            raise ValueError("give exactly one of feature and role")
        if self.role is not None and self.role not in ROLES_NOT_READ:
            raise ValueError(f"role is one of {' | '.join(ROLES_NOT_READ)}")
        if self.feature is not None and self.feature not in FEATURE_BY_NAME:
            raise ValueError(f"unknown feature; {did_you_mean(self.feature, tuple(FEATURE_BY_NAME))}")
        if self.feature is not None and self.values and FEATURE_BY_NAME[self.feature].kind == "number":
            raise ValueError(f"{self.feature} is a number and takes no values = {{ ... }}")
        if self.feature is not None and self.unit is not None and conversion(self.feature, self.unit) is None:
            known = ", ".join(c.unit for c in OTHER_UNITS.get(self.feature, ())) or "none but that of its name"
            raise ValueError(f"units known for {self.feature}: {known}")
        return self


def read_declarations(path: Path | None) -> dict[str, ColumnDeclaration]:
    """Return what ``columns.toml`` declares, by column; nothing without a file.

    Raises:
        InputError: it is no TOML, or an entry is wrong; the message names column and field.
    """
    if path is None:
        return {}
    try:
        entries = tomllib.loads(path.read_text(encoding="utf-8")).get("columns", {})
        return {name: ColumnDeclaration.model_validate(entry) for name, entry in entries.items()}
    except ValidationError as error:
        first = error.errors()[0]
        raise InputError(
            f"a column is declared wrongly: {first['msg'].removeprefix('Value error, ')}", where=path.name,
            got=error_place(error, entries), expected=_EXAMPLE,
        ) from None  # fmt: skip
    except (OSError, UnicodeDecodeError, tomllib.TOMLDecodeError, AttributeError) as error:
        raise InputError("the declaration of columns is not TOML", where=path.name, got=str(error)) from None


def error_place(error: ValidationError, entries: Mapping[str, object]) -> str:
    """Return the declared entry that a validation error is about, as written."""
    given = error.errors()[0].get("input")
    name = next((column for column, entry in entries.items() if entry == given), "")
    return f"{name or '.'.join(map(str, error.errors()[0]['loc']))}: {given}"


def features_of(columns: Sequence[str], declared: Mapping[str, ColumnDeclaration]) -> dict[str, str]:
    """Return feature -> column of a table whose every column is known or declared.

    Args:
        columns: all columns but the keys (subject, visit, date, fold).
        declared: as `read_declarations` returns them.

    Raises:
        InputError: a column is neither a feature nor declared, two columns are one feature, or a declared column is
            not in the table.
    """
    absent = sorted(set(declared) - set(columns))
    if absent:
        raise InputError("columns are declared that the table has not", got=", ".join(absent[:10]))
    unknown = [name for name in columns if name not in declared and name not in FEATURE_BY_NAME]
    if unknown:
        raise InputError(
            f"{len(unknown)} columns of the table are neither features nor declared",
            got=", ".join(unknown[:10]) + (f" and {len(unknown) - 10} more" if len(unknown) > 10 else ""),
            expected="an entry for each in columns.toml, such as\n" + _EXAMPLE,
            hint=f"{unknown[0]}: {did_you_mean(unknown[0], tuple(FEATURE_BY_NAME))}",
        )  # fmt: skip
    chosen: dict[str, str] = {}
    for name in columns:
        feature = declared[name].feature if name in declared else name
        if feature is None:
            continue
        if feature in chosen:
            raise InputError(f"two columns are {feature}", got=f"{chosen[feature]}, {name}", hint="make one unused")
        chosen[feature] = name
    return chosen


def canonical_values(column: pd.Series, name: str, declared: ColumnDeclaration | None) -> tuple[pd.Series, int]:
    """Return a column in the words and unit of feature `name`, and how many cells could not be understood (NaN).

    Args:
        column: raw cells.
        name: the feature.
        declared: unit, spelling and missing codes, if any.
    """
    feature, said = FEATURE_BY_NAME[name], declared or ColumnDeclaration(feature=name)
    text = column.map(_spelled, na_action="ignore")
    text = text.mask(text.isin(["", *map(_spelled, said.missing)]))
    if feature.kind == "number":
        values = _numbers(text, name, said.unit)
        return pd.Series(values, index=column.index), int((np.isnan(values) & text.notna().to_numpy()).sum())
    words = {**_known_words(feature), **{_spelled(key): _word(feature, value) for key, value in said.values.items()}}
    found = text.map(words)
    return found, int((found.isna() & text.notna()).sum())


def refuse_lost_column(name: str, column: str, filled: int, lost: int) -> None:
    """Stop where no filled cell of a column could be understood: a wrong declaration, not a gap in the data.

    Raises:
        InputError: naming column and feature, what is allowed, and how to declare it.
    """
    if not filled or lost < filled:
        return
    feature = FEATURE_BY_NAME[name]
    spelled = " | ".join(feature.categories) if feature.kind == "category" else "0 | 1 | no | yes"
    numbers = "numbers, with a point before the decimals"
    raise InputError(
        f"none of the {filled} filled cells of a column is understood as {name}", where=f"column {column}",
        expected=numbers if feature.kind == "number" else spelled,
        hint=f'declare the spelling in columns.toml: [columns."{column}"] feature = "{name}", values = {{ ... }}',
    )  # fmt: skip


def _spelled(cell: object) -> str:
    """Return a cell as it is compared: no outer blanks, small letters, a whole number without its decimals."""
    text = str(cell).strip().lower()
    return text[:-2] if text.endswith(".0") and text[:-2].lstrip("-").isdigit() else text


def _numbers(text: pd.Series, feature: str, unit: str | None) -> NDArray[np.float64]:
    values = pd.to_numeric(text, errors="coerce").to_numpy(dtype=np.float64, na_value=np.nan)
    values = np.where(np.isfinite(values), values, np.nan)
    convert = None if unit is None else conversion(feature, unit)
    return values if convert is None else convert(values)


def _known_words(feature: Feature) -> dict[str, object]:
    return {c.lower(): c for c in feature.categories} if feature.kind == "category" else dict(_FLAGS)


def _word(feature: Feature, value: str) -> object:
    return value if feature.kind == "category" else _FLAGS.get(value.lower(), np.nan)
