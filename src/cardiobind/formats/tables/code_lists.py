"""Cells that hold a list of codes: ``D261|E113``, ``["I10","I251"]``, ``['I10']`` or an array of a Parquet file."""

from __future__ import annotations

import re
from typing import Any

import numpy as np

_QUOTED = re.compile(r"\"([^\"]*)\"|'([^']*)'")


def parse_code_list(cell: Any) -> list[str]:
    """Return the codes of a cell in their order; an empty entry stays, as its place pairs it with a date.

    Args:
        cell: text in any of the styles above, a sequence, or a missing value (gives []).

    Example:
        >>> parse_code_list("D261|E113"), parse_code_list('["I10", "I251"]')
        (['D261', 'E113'], ['I10', 'I251'])
    """
    if isinstance(cell, (list, tuple, np.ndarray)):
        return ["" if _missing(code) else str(code).strip() for code in cell]
    if _missing(cell):
        return []
    text = str(cell).strip()
    if text.startswith("[") and text.endswith("]"):
        inner = text[1:-1].strip()
        quoted = [a or b for a, b in _QUOTED.findall(inner)]
        return [code.strip() for code in (quoted or (inner.split(",") if inner else []))]
    return [code.strip() for code in text.split("|")] if text else []


def normal_code(code: str) -> str:
    """Return a diagnosis or operation code as UK Biobank writes it: capitals, no dot (``"i21.4"`` -> ``"I214"``).

    A label such as ``"I21.4 Acute subendocardial infarction"`` (REPLACEd coding) gives its code.
    """
    head = code.strip().split(" ", maxsplit=1)[0] if code.strip() else ""
    return head.replace(".", "").upper()


def _missing(value: Any) -> bool:
    return value is None or (isinstance(value, float) and np.isnan(value)) or value is np.ma.masked or _is_na(value)


def _is_na(value: Any) -> bool:
    return type(value).__name__ in {"NAType", "NaTType"}
