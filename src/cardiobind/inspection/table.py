"""A table: which of its columns are known features, their roles and gaps; UK Biobank's headers or plain names."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path

import numpy as np
import pandas as pd

from cardiobind.evaluation.figures import table_gaps
from cardiobind.formats.tables.table_file import read_table, table_columns
from cardiobind.formats.tables.ukb_headers import columns_by_field, identifier_column
from cardiobind.inspection.sheet import Picture, Sheet, SheetTable
from cardiobind.modalities.features import FEATURE_BY_NAME
from cardiobind.modalities.tabular.cleaning import clean_table
from cardiobind.sources.folder_columns import ColumnDeclaration, canonical_values, read_declarations
from cardiobind.sources.ukb_table import load_table, read_features, read_visits

DECLARATIONS = "columns.toml"
KEYS = ("subject", "visit", "date", "fold")
MOST_ROWS_DRAWN = 400
MOST_OTHERS_LISTED = 60


def inspect_table(path: Path) -> Sheet:
    """Return the sheet of a table; only the columns that are features, and a few others, are read.

    Raises:
        RecordError: it cannot be parsed.
    """
    columns = table_columns(path)
    if identifier_column(columns) is not None and columns_by_field(columns):
        return _ukb(path, columns)
    declared = read_declarations(path.parent / DECLARATIONS) if (path.parent / DECLARATIONS).is_file() else {}
    others = [name for name in columns if name not in KEYS and name not in FEATURE_BY_NAME and name not in declared]
    found = {said.feature: name for name, said in declared.items() if said.feature is not None and name in columns}
    found = {name: name for name in columns if name in FEATURE_BY_NAME and name not in declared} | found
    raw = read_table(path, list(dict.fromkeys([*found.values(), *others[:MOST_OTHERS_LISTED]])))
    features, warnings = _understood(raw, found, declared)
    facts = [("columns", str(len(columns))), ("columns that are features", str(len(found))), ("rows", str(len(raw)))]
    if declared:
        facts += [("columns declared in columns.toml", str(len(declared))), ("undeclared", str(len(others)))]
    tables = (_others(raw[others[:MOST_OTHERS_LISTED]], len(others)),) if others else ()
    sheet = _sheet(features, tuple(facts), tables)
    return replace(sheet, warnings=(*warnings, *sheet.warnings))


def _understood(
    raw: pd.DataFrame, found: Mapping[str, str], declared: Mapping[str, ColumnDeclaration]
) -> tuple[pd.DataFrame, tuple[str, ...]]:
    """Return the features as the source `folder` would read them, and what it would not understand."""
    features, warnings = pd.DataFrame(index=raw.index), []
    for feature, name in found.items():
        features[feature], lost = canonical_values(raw[name], feature, declared.get(name))
        if lost:
            allowed = " | ".join(FEATURE_BY_NAME[feature].categories) or "numbers, or 0 and 1 for a flag"
            warnings.append(f"{feature}: {lost} of {int(raw[name].notna().sum())} cells not understood ({allowed})")
    return features, tuple(warnings)


def _ukb(path: Path, columns: list[str]) -> Sheet:
    table = load_table(path, frozenset())
    visits = read_visits(table, set())
    features = read_features(table, visits)[0].drop(columns=["subject", "visit"])
    fields = columns_by_field(columns)
    facts = (
        ("layout", "UK Biobank, one row a participant"),
        ("columns", str(len(columns))),
        ("data fields", str(len(fields))),
        ("data fields that are read", str(len(table.columns))),
        ("participants", str(len(table.frame))),
        ("rows left out (withdrawn or repeated)", str(table.left_out)),
        ("visits", ", ".join(f"instance {v}: {n}" for v, n in visits["visit"].value_counts().sort_index().items())),
    )
    return _sheet(features, facts, ())


def _sheet(features: pd.DataFrame, facts: tuple[tuple[str, str], ...], others: tuple[SheetTable, ...]) -> Sheet:
    cleaned, problems = clean_table(features)
    warnings = tuple(f"{p.column}: {p.count} values: {str(p.reason).replace('_', ' ')}" for p in problems.itertuples())
    if not len(cleaned) or not len(cleaned.columns):
        return Sheet("Table", facts, (*warnings, "no column is a feature that cardiobind knows"), others)
    lines = tuple(_line(str(name), cleaned[name]) for name in cleaned.columns)
    header = ("feature", "kind", "role", "filled", "what it holds")
    known = SheetTable((header, *lines), "Features, units in their names", text_columns=3)
    return Sheet("Table", facts, warnings, (known, *others), (_gaps(cleaned),))


def _line(name: str, column: pd.Series) -> tuple[str, ...]:
    feature, filled = FEATURE_BY_NAME[name], column.dropna()
    share = f"{100 * len(filled) / max(len(column), 1):.0f} %"
    return (name, feature.kind, feature.role, share, _content(feature.kind, filled))


def _content(kind: str, filled: pd.Series) -> str:
    if not len(filled):
        return "-"
    if kind == "number":
        low, middle, high = np.quantile(filled.astype(float), [0.0, 0.5, 1.0])
        return f"{low:g} to {high:g}, median {middle:g}"
    if kind == "flag":
        return f"{100 * float(filled.astype(float).mean()):.0f} % yes"
    shares = filled.astype(str).value_counts(normalize=True).head(4)
    return ", ".join(f"{level} {100 * share:.0f} %" for level, share in shares.items())


def _others(raw: pd.DataFrame, total: int) -> SheetTable:
    rows = [("column", "type", "filled", "distinct values")]
    for name in raw.columns:
        column = raw[name].dropna()
        numeric = len(column) and pd.to_numeric(column, errors="coerce").notna().all()
        filled = f"{100 * len(column) / max(len(raw), 1):.0f} %"
        rows.append((str(name), "number" if numeric else "text", filled, str(column.astype(str).nunique())))
    listed = f", the first {len(raw.columns)} of {total}" if total > len(raw.columns) else ""
    caption = f"Columns that are no feature{listed}: a folder source wants them declared in columns.toml"
    return SheetTable(tuple(rows), caption, text_columns=2)


def _gaps(cleaned: pd.DataFrame) -> Picture:
    rows = np.unique(np.linspace(0, len(cleaned) - 1, min(len(cleaned), MOST_ROWS_DRAWN)).astype(int))
    figure = table_gaps(
        cleaned.iloc[rows].notna().to_numpy(), [str(name) for name in cleaned.columns], title="Filled and empty cells"
    )
    return Picture(figure, "map of filled and empty cells of the table", f"{len(rows)} of {len(cleaned)} rows.")
