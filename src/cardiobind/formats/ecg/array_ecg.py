"""ECGs as CSV, NPY or NPZ with a declared layout (`cardiobind.formats.ecg.array_layout`)."""

from __future__ import annotations

import io
import math
import tokenize
import zipfile
from pathlib import PurePosixPath
from typing import Any

import numpy as np
from numpy.typing import NDArray

from cardiobind.errors import RecordError
from cardiobind.formats import reasons
from cardiobind.formats.archive import read_stream
from cardiobind.formats.base import ECG_FORMATS, Format, decoding, masked
from cardiobind.formats.ecg.array_layout import MOST_COLUMNS, NO_LEAD, ArrayLayout, read_layout
from cardiobind.formats.ecg.ecg_recording import LARGEST_ECG_BYTES, checked_samples, finished_record, read_bounded
from cardiobind.formats.ecg.leads import canonical_lead, millivolts_per
from cardiobind.formats.location import location_exists, split_location
from cardiobind.modalities.records import EcgHeader, EcgRecord

LARGEST_CSV_BYTES = LARGEST_NPZ_BYTES = 1 << 24
_TEXT = {".csv", ".tsv"}
_ARRAYS = {".npy", ".npz"}


def recognises(location: str) -> bool:
    """Tell whether there is a CSV, TSV, NPY or NPZ file at `location`."""
    try:
        return _suffix(location) in _TEXT | _ARRAYS and location_exists(location)
    except (OSError, ValueError):
        return False


def read_array_ecg(location: str) -> EcgRecord:
    """Read the leads that the layout names, in mV.

    Args:
        location: path, or ``archive.zip::member``, of a CSV, TSV, NPY or NPZ file.

    Raises:
        RecordError: no layout or a wrong one, another shape than declared, a cell that is not a number, objects.
    """
    if _suffix(location) not in _TEXT | _ARRAYS:
        raise RecordError(reasons.NOT_RECOGNISED, "not CSV, TSV, NPY or NPZ", where=masked(location))
    layout = read_layout(location)
    names, values = (_from_csv if _suffix(location) in _TEXT else _from_array)(location, layout)
    scale = layout.scale * millivolts_per(layout.unit, location)
    leads: dict[str, NDArray[np.float64]] = {}
    for name, samples in zip(names, values, strict=True):
        lead = None if name == NO_LEAD else canonical_lead(name)
        if lead is not None and lead in leads:
            raise RecordError(reasons.BAD_HEADER, "a lead is there twice", where=masked(location), got=lead)
        if lead is not None:
            leads[lead] = np.where(_missing(samples, layout), np.nan, samples.astype(np.float64) * scale)
    return finished_record(leads, layout.rate_hz, EcgHeader(), location)


def _missing(samples: NDArray[Any], layout: ArrayLayout) -> NDArray[np.bool_]:
    return np.isin(samples, [value for value in layout.missing if not isinstance(value, str)])


def _from_csv(location: str, layout: ArrayLayout) -> tuple[list[str], NDArray[Any]]:
    data = read_bounded(location, LARGEST_CSV_BYTES).removeprefix(b"\xef\xbb\xbf").replace(b"\r\n", b"\n")
    lines = data.split(b"\n", layout.skip_rows + (layout.leads == "header"))
    body, before = lines[-1], lines[:-1]
    delimiter = layout.delimiter or ("\t" if _suffix(location) == ".tsv" else ",")
    names = _header_names(before[-1:], delimiter, layout, location) if layout.leads == "header" else list(layout.leads)
    with decoding(reasons.BAD_NUMBER, "a cell is not a number, or a line has too many cells", location):
        if layout.axis == "leads_first":
            values = _rows(body, delimiter, len(names), layout)
        else:
            values = _columns(body, delimiter, layout)
    return names, _by_lead(values, len(names), layout, location)


def _columns(body: bytes, delimiter: str, layout: ArrayLayout) -> NDArray[np.float64]:
    columns = body.partition(b"\n")[0].count(delimiter.encode()) + 1
    if columns > MOST_COLUMNS:
        raise ValueError("too many columns")
    values = _parsed(body, delimiter, columns, layout)
    if body.count(delimiter.encode()) != len(values) * (columns - 1):
        raise ValueError("a line with too few cells")
    return values


def _rows(body: bytes, delimiter: str, leads: int, layout: ArrayLayout) -> NDArray[np.float64]:
    """Parse each line as a column, as a table of as many columns as samples is slow."""
    lines = body.rstrip(b"\n").split(b"\n", leads)
    return np.vstack([_parsed(line.replace(delimiter.encode(), b"\n"), delimiter, 1, layout)[:, 0] for line in lines])


def _parsed(body: bytes, delimiter: str, columns: int, layout: ArrayLayout) -> NDArray[np.float64]:
    import pandas as pd

    frame = pd.read_csv(
        io.BytesIO(body), sep=delimiter, decimal=layout.decimal, header=None, names=range(columns), index_col=False,
        dtype=np.float64, na_values=[word for word in layout.missing if isinstance(word, str)],
        float_precision="round_trip", skip_blank_lines=columns > 1,
    )  # fmt: skip
    return frame.to_numpy()


def _header_names(line: list[bytes], delimiter: str, layout: ArrayLayout, location: str) -> list[str]:
    """Return the column names; one that is none of the twelve leads (a time, say) is not read."""
    if layout.axis == "leads_first":
        raise RecordError(
            reasons.BAD_HEADER, 'leads "header" needs a column a lead', where=masked(location),
            expected='axis "samples_first"',
        )  # fmt: skip
    cells = b"".join(line).decode("latin-1").split(delimiter)
    names = [cell.strip().strip('"') for cell in cells]
    return [name if canonical_lead(name) else NO_LEAD for name in names]


def _by_lead(values: NDArray[Any], number: int, layout: ArrayLayout, location: str) -> NDArray[Any]:
    """Return (leads, samples)."""
    turned = values if layout.axis == "leads_first" else values.T
    if turned.ndim != 2 or len(turned) != number:
        expected = f"({number}, samples)" if layout.axis == "leads_first" else f"(samples, {number})"
        raise RecordError(
            reasons.WRONG_LENGTH, "the file has another shape than its layout says", where=masked(location),
            expected=expected, got=values.shape,
        )  # fmt: skip
    checked_samples(turned.shape[1], location)
    return turned


def _from_array(location: str, layout: ArrayLayout) -> tuple[list[str], NDArray[Any]]:
    if layout.leads == "header":
        raise RecordError(
            reasons.BAD_HEADER, "an array has no header to name its leads", where=masked(location),
            expected="leads: a list of names",
        )  # fmt: skip
    if _suffix(location) == ".npz":
        data = _member(read_bounded(location, LARGEST_NPZ_BYTES), layout, location)
    else:
        data = read_bounded(location)
    return list(layout.leads), _by_lead(_checked_array(data, location), len(layout.leads), layout, location)


def _checked_array(data: bytes, location: str) -> NDArray[Any]:
    """Return the array of an NPY file after comparing the shape in its header with the bytes that follow it."""
    stream = io.BytesIO(data)
    with decoding(reasons.BAD_HEADER, "the NPY header cannot be parsed", location, (tokenize.TokenError,)):
        version = np.lib.format.read_magic(stream)
        read_header = {(1, 0): np.lib.format.read_array_header_1_0, (2, 0): np.lib.format.read_array_header_2_0}
        shape, fortran, dtype = read_header[version](stream)
    if dtype.kind not in "iuf" or dtype.itemsize > 8:
        raise RecordError(
            reasons.UNSUPPORTED, "an array of other things than numbers", where=masked(location),
            expected="integers or floats of up to 64 bits", got=f"kind {dtype.kind!r}",
        )  # fmt: skip
    needed, left = math.prod(shape) * dtype.itemsize, len(data) - stream.tell()
    if needed != left or min(shape, default=0) < 0:
        raise RecordError(
            reasons.TRUNCATED if needed > left else reasons.WRONG_LENGTH,
            "the array has another size than its header says", where=masked(location), expected=f"{needed} bytes",
            got=left,
        )  # fmt: skip
    values: NDArray[Any] = np.frombuffer(data, dtype, offset=stream.tell())
    return values.reshape(shape, order="F" if fortran else "C")


def _member(data: bytes, layout: ArrayLayout, location: str) -> bytes:
    with decoding(reasons.BAD_ZIP, "the NPZ file is damaged", location):
        archive = zipfile.ZipFile(io.BytesIO(data))
        names = [info.filename.removesuffix(".npy") for info in archive.infolist()]
        if (layout.array not in names) if layout.array is not None else len(names) != 1:
            raise RecordError(
                reasons.BAD_HEADER, "the layout does not say which array of the NPZ file to read",
                where=masked(location), expected='key "array" of the layout', got=f"{len(names)} arrays",
            )  # fmt: skip
        chosen = archive.infolist()[names.index(layout.array) if layout.array is not None else 0]
        member = read_stream(archive, chosen.filename, LARGEST_ECG_BYTES + 1)
    if len(member) > LARGEST_ECG_BYTES:
        raise RecordError(reasons.UNSUPPORTED, "the array is too large to be a resting ECG", where=masked(location))
    return member


def _suffix(location: str) -> str:
    return PurePosixPath(split_location(location)[1]).suffix.lower()


ECG_FORMATS.register("array_ecg")(Format("array_ecg", recognises, read_array_ecg))
