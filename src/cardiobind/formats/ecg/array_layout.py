"""The declared layout of an ECG in a CSV, NPY or NPZ file, which says nothing about itself.

It is read from ``NAME.layout.json`` beside ``NAME.csv``, else from ``ecg_layout.json`` in the same folder.
"""

from __future__ import annotations

import json
from pathlib import PurePosixPath
from typing import Any, Literal

from pydantic import BaseModel, ConfigDict, Field, ValidationError, field_validator

from cardiobind.errors import RecordError
from cardiobind.formats import reasons
from cardiobind.formats.base import decoding, masked
from cardiobind.formats.ecg.ecg_recording import LARGEST_RATE_HZ, read_bounded
from cardiobind.formats.ecg.leads import canonical_lead
from cardiobind.formats.location import beside, location_exists, split_location

FOLDER_LAYOUT = "ecg_layout.json"
LARGEST_LAYOUT_BYTES = 1 << 16
MOST_COLUMNS = 4096
NO_LEAD = "-"
EXAMPLE = (
    '{"leads": ["I", "II", "III", "aVR", "aVL", "aVF", "V1", "V2", "V3", "V4", "V5", "V6"], "rate_hz": 500, '
    '"unit": "uV", "axis": "samples_first"}'
)
_EXPECTED = {
    "leads": f'names of the twelve leads in their order ("{NO_LEAD}": a column that is none), or "header"',
    "rate_hz": f"samples per second, above 0, at most {LARGEST_RATE_HZ:g}",
    "unit": '"V", "mV", "uV" or "nV"',
    "axis": '"samples_first" (a column a lead) or "leads_first" (a row a lead)',
    "scale": "units that one stored count is; not 0",
    "delimiter": "one character; a tab in TSV, else a comma, if absent",
    "decimal": '"." or ","',
    "skip_rows": "lines before the first sample (or before the header), 0 to 10000",
    "missing": "a list of what stands for an absent sample, such as [-32768]",
    "array": "name of the array inside an NPZ file",
}


class ArrayLayout(BaseModel):
    """How samples lie in a file.

    Attributes:
        leads: the leads in the order of the file, ``"-"`` for what is none; or ``"header"``: the CSV names them.
        rate_hz: samples per second.
        unit: V, mV, uV or nV.
        axis: ``samples_first`` (a column a lead) or ``leads_first`` (a row a lead).
        scale: how many units a stored count is.
        delimiter, decimal, skip_rows: of a CSV file.
        missing: values, or words in a CSV, that stand for an absent sample, besides NaN and the empty cell.
        array: which array of an NPZ file; needed where there are several.
    """

    model_config = ConfigDict(extra="forbid", frozen=True, strict=True)

    leads: list[str] | Literal["header"]
    rate_hz: float = Field(gt=0, le=LARGEST_RATE_HZ, allow_inf_nan=False)
    unit: Literal["V", "mV", "uV", "nV"]
    axis: Literal["samples_first", "leads_first"] = "samples_first"
    scale: float = Field(default=1.0, allow_inf_nan=False)
    delimiter: str | None = Field(default=None, min_length=1, max_length=1)
    decimal: Literal[".", ","] = "."
    skip_rows: int = Field(default=0, ge=0, le=10_000)
    missing: list[float | str] = Field(default=[], max_length=20)
    array: str | None = None

    @field_validator("leads")
    @classmethod
    def _known(cls, leads: list[str] | str) -> list[str] | str:
        named = [canonical_lead(lead) for lead in leads if lead != NO_LEAD] if isinstance(leads, list) else ["I"]
        if not named or None in named or len(set(named)) < len(named) or len(leads) > MOST_COLUMNS:
            raise ValueError("unknown, repeated or too many leads")
        return leads

    @field_validator("scale")
    @classmethod
    def _not_zero(cls, scale: float) -> float:
        if scale == 0:
            raise ValueError("zero")
        return scale


def has_layout(location: str) -> bool:
    """Tell whether a layout is declared for the file at `location`, right or wrong."""
    return any(location_exists(place) for place in _layouts(location))


def _layouts(location: str) -> tuple[str, str]:
    return beside(location, f"{_stem(location)}.layout.json"), beside(location, FOLDER_LAYOUT)


def read_layout(location: str) -> ArrayLayout:
    """Return the layout that is declared for the file at `location`.

    Raises:
        RecordError: none is declared, or it is wrong; the error names the key and shows an example.
    """
    for place in _layouts(location):
        if location_exists(place):
            return _parse(place)
    raise RecordError(
        reasons.BAD_HEADER, "nothing says which leads, rate and unit the file has", where=masked(location),
        expected=f"NAME.layout.json or {FOLDER_LAYOUT} beside it",
        hint=f"write one, for example {EXAMPLE}",
    )  # fmt: skip


def _parse(place: str) -> ArrayLayout:
    with decoding(reasons.BAD_HEADER, "the layout is not JSON", place):
        content: Any = json.loads(read_bounded(place, LARGEST_LAYOUT_BYTES))
    try:
        return ArrayLayout.model_validate(content)
    except ValidationError as error:
        raise _wrong(error, place) from None


def _wrong(error: ValidationError, place: str) -> RecordError:
    """Return the error for the first wrong key; its value is not quoted."""
    first = error.errors(include_url=False, include_context=False, include_input=False)[0]
    key = str(first["loc"][0]) if first["loc"] else ""
    if key not in _EXPECTED:
        return RecordError(
            reasons.BAD_HEADER, "the layout has a key that is not known" if key else "the layout is not an object",
            where=masked(place), expected=" | ".join(_EXPECTED), hint=f"for example {EXAMPLE}",
        )  # fmt: skip
    what = "is missing from the layout" if first["type"] == "missing" else "of the layout is wrong"
    return RecordError(
        reasons.BAD_HEADER, f"{key} {what}", where=masked(place), expected=_EXPECTED[key],
        hint=f"for example {EXAMPLE}",
    )  # fmt: skip


def _stem(location: str) -> str:
    return PurePosixPath(split_location(location)[1]).stem
