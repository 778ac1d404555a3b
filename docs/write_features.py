"""Writes docs/explanation/features.md from the code: python docs/write_features.py."""

from __future__ import annotations

import math
from pathlib import Path

from cardiobind.modalities.features import FEATURES, Feature
from cardiobind.modalities.features.presets import PRESETS

PAGE = Path(__file__).parent / "explanation" / "features.md"
SHORT = {
    "paper_33": "33", "best_of_both_worlds_118": "118", "best_of_both_worlds_leak_free": "leak-free",
    "minimal": "minimal",
}  # fmt: skip
HEAD = """# All features and their roles

Written by `docs/write_features.py` from `cardiobind.modalities.features`; [tables](tables.md) says what roles and codes
mean. Field 0: UK Biobank has none.

| feature | field | role | allowed values | missing codes | in sets |
| --- | --- | --- | --- | --- | --- |
"""


def page() -> str:
    """Return the page."""
    return HEAD + "".join(_row(feature) for feature in FEATURES)


def _row(f: Feature) -> str:
    role = f.role if not f.leaks else f"{f.role}, refused for {', '.join(f.leaks)}"
    sets = ", ".join(SHORT[name] for name, members in PRESETS.items() if f.name in members)
    missing = ", ".join(map(str, f.ukb_missing)) or "none"
    return f"| `{f.name}` | {f.ukb_field} | {role} | {_allowed(f)} | {missing} | {sets} |\n"


def _allowed(f: Feature) -> str:
    if f.kind == "category":
        return ", ".join(f"`{label}`" for label in f.categories)
    return "0 or 1" if f.kind == "flag" else f"{_text(f.low)} to {_text(f.high)}"


def _text(value: float) -> str:
    return f"{value:g}" if math.isfinite(value) else "any"


if __name__ == "__main__":
    PAGE.write_text(page(), encoding="utf-8")
