"""The manifest inside a UK Biobank imaging zip, with its unquoted dates and misspelt columns."""

from __future__ import annotations

import csv
import io
import re
import warnings
from collections.abc import Iterator
from pathlib import PurePosixPath

MANIFESTS = {"manifest.csv", "manifest.cvs"}
_COMMA_DATE = re.compile(r"([A-Z])(\w{2}) (\d{1,2}), 20(\d{2})")


def manifest_descriptions(text: str) -> dict[str, str]:
    """Return file name to series description of a UK Biobank manifest, also with its unquoted dates and misspelling.

    A malformed manifest gives what can be had of it: it is only asked where the DICOM files are silent.
    """
    dated = _COMMA_DATE.sub(r"\3-\1\2-20\4", text.replace("\0", ""))
    rows = csv.DictReader(io.StringIO(dated))
    found: dict[str, str] = {}
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        for row in _rows(rows):
            values = {str(k).strip().lower(): str(v).strip() for k, v in row.items() if k is not None}
            keys = ("series discription", "series description", "seriesdescription", "modality")
            description = next((values[k] for k in keys if values.get(k)), "")
            found[PurePosixPath(values.get("filename", "")).name] = description
    return found


def _rows(reader: csv.DictReader[str]) -> Iterator[dict[str, str]]:
    try:
        yield from reader
    except csv.Error:
        return
