"""From a folder or archive of DICOM files to single frames with the few attributes that a cine stack is ordered by."""

from __future__ import annotations

import csv
import io
import math
import re
import warnings
from collections.abc import Iterator
from dataclasses import dataclass, replace
from pathlib import Path, PurePosixPath
from typing import Any

import numpy as np
import pydicom
from numpy.typing import NDArray
from pydicom.config import disable_value_validation
from pydicom.dataset import FileDataset
from pydicom.errors import BytesLengthException, InvalidDicomError
from pydicom.tag import BaseTag
from pydicom.uid import ExplicitVRLittleEndian, ImplicitVRLittleEndian

from cardiobind.errors import RecordError
from cardiobind.formats import reasons
from cardiobind.formats.base import decoding, masked
from cardiobind.formats.location import open_archive, read_bytes, read_member

MR_IMAGE_STORAGE = "1.2.840.10008.5.1.4.1.1.4"
LARGEST_SIDE_PX = 4096
_TAG = {
    keyword: BaseTag(pydicom.datadict.tag_for_keyword(keyword) or 0)
    for keyword in (
        "SOPClassUID", "SeriesDescription", "SeriesInstanceUID", "SeriesNumber", "InstanceNumber", "TriggerTime",
        "CardiacNumberOfImages", "ImagePositionPatient", "ImageOrientationPatient", "PixelSpacing",
        "SpacingBetweenSlices", "SliceThickness", "Rows", "Columns", "BitsAllocated", "BitsStored", "HighBit",
        "PixelRepresentation", "SamplesPerPixel", "PhotometricInterpretation", "NumberOfFrames", "RescaleSlope",
        "RescaleIntercept", "PixelData",
    )
}  # fmt: skip
_TAGS: list[Any] = list(_TAG.values())
_PYDICOM_ERRORS = (InvalidDicomError, BytesLengthException)
_DOCUMENTS = {".csv", ".cvs", ".txt", ".xml", ".json", ".pdf", ".md", ".html", ".jpg", ".png"}
_MANIFESTS = {"manifest.csv", "manifest.cvs"}
_COMMA_DATE = re.compile(r"([A-Z])(\w{2}) (\d{1,2}), 20(\d{2})")


@dataclass(frozen=True)
class Frame:
    """One image of one slice at one phase.

    Attributes:
        name: of its file, masked.
        description: SeriesDescription, else the manifest's, else empty.
        series: sorts repeated series in the order of their acquisition.
        instance, trigger_ms, phases: InstanceNumber, TriggerTime, CardiacNumberOfImages; None where absent.
        position_mm: (3,) ImagePositionPatient. orientation: (6,) ImageOrientationPatient. None where absent.
        spacing_mm: between rows, between columns. step_mm: between slices.
        shape: rows, columns.
        problem: why the image cannot be part of a cine, if so.
    """

    name: str
    description: str
    series: tuple[int, tuple[int, ...]]
    instance: int | None
    trigger_ms: float | None
    phases: int | None
    position_mm: NDArray[np.float64] | None
    orientation: NDArray[np.float64] | None
    spacing_mm: tuple[float, float]
    step_mm: float | None
    shape: tuple[int, int]
    dataset: FileDataset
    problem: RecordError | None = None

    def pixels(self) -> NDArray[np.float32]:
        """Return (rows, columns) intensities after the rescale slope and intercept.

        Raises:
            RecordError: the pixel data are short or cannot be decoded.
        """
        with decoding(reasons.BAD_DICOM, "the pixel data cannot be decoded", self.name, _PYDICOM_ERRORS):
            stored = _decode(self.dataset, self.shape, self.name).astype(np.float32)
            slope = _float(self.dataset, "RescaleSlope")
            if slope is not None:
                stored = stored * slope + (_float(self.dataset, "RescaleIntercept") or 0.0)
        if not np.isfinite(stored).all():
            raise RecordError(reasons.BAD_DICOM, "a pixel is not finite", where=self.name)
        return stored


def read_frames(location: str) -> list[Frame]:
    """Return the frames of all MR images in a folder (with its subfolders) or a zip archive.

    Raises:
        RecordError: no DICOM file, or one of them is damaged.
    """
    descriptions: dict[str, str] = {}
    datasets: list[tuple[str, FileDataset]] = []
    for name, data in _members(location):
        if PurePosixPath(name).name.lower() in _MANIFESTS:
            descriptions |= manifest_descriptions(data.decode("latin-1"))
        elif name.lower().endswith(".dcm") or data[128:132] == b"DICM":
            datasets.append((name, _parse(data, name)))
    frames = [_frame(name, dataset, descriptions) for name, dataset in datasets if _is_image(dataset, name)]
    if not frames:
        raise RecordError(reasons.NO_FRAMES, "there is no DICOM image", where=masked(location))
    return frames


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


def _members(location: str) -> Iterator[tuple[str, bytes]]:
    if Path(location).is_dir():
        for path in sorted(p for p in Path(location).rglob("*") if p.is_file() and _wanted(p.as_posix())):
            yield path.as_posix(), read_bytes(str(path))
        return
    archive = open_archive(location)
    for name in sorted(n for n in archive.namelist() if not n.endswith("/") and _wanted(n)):
        yield name, read_member(archive, name)


def _wanted(name: str) -> bool:
    path = PurePosixPath(name)
    if path.name.lower() in _MANIFESTS:
        return True
    return path.suffix.lower() not in _DOCUMENTS and not path.name.startswith(".") and "__MACOSX" not in path.parts


def _parse(data: bytes, name: str) -> FileDataset:
    with (
        decoding(reasons.BAD_DICOM, "the DICOM file cannot be parsed", name, _PYDICOM_ERRORS),
        disable_value_validation(),
    ):
        return pydicom.dcmread(io.BytesIO(data), force=False, specific_tags=_TAGS)


def _is_image(dataset: FileDataset, name: str) -> bool:
    with decoding(reasons.BAD_DICOM, "the DICOM header cannot be parsed", name, _PYDICOM_ERRORS):
        if _TAG["PixelData"] in dataset:
            return True
        kind = str(dataset.file_meta.get("MediaStorageSOPClassUID", dataset.get("SOPClassUID", "")))
    if kind == MR_IMAGE_STORAGE:
        raise RecordError(reasons.TRUNCATED, "an MR image without pixel data", where=masked(name))
    return False


def _frame(name: str, dataset: FileDataset, descriptions: dict[str, str]) -> Frame:
    with decoding(reasons.BAD_DICOM, "the DICOM header cannot be parsed", name, _PYDICOM_ERRORS):
        spacing = _vector(dataset, "PixelSpacing", 2)
        frame = Frame(
            name=masked(name),
            description=_text(dataset, "SeriesDescription") or descriptions.get(PurePosixPath(name).name, ""),
            series=(_int(dataset, "SeriesNumber") or 0, _natural(_text(dataset, "SeriesInstanceUID"))),
            instance=_int(dataset, "InstanceNumber"),
            trigger_ms=_float(dataset, "TriggerTime"),
            phases=_int(dataset, "CardiacNumberOfImages"),
            position_mm=_vector(dataset, "ImagePositionPatient", 3),
            orientation=_vector(dataset, "ImageOrientationPatient", 6),
            spacing_mm=(float(spacing[0]), float(spacing[1])) if spacing is not None else (0.0, 0.0),
            step_mm=_float(dataset, "SpacingBetweenSlices") or _float(dataset, "SliceThickness"),
            shape=(_word(dataset, "Rows"), _word(dataset, "Columns")),
            dataset=dataset,
        )
        several = (_int(dataset, "NumberOfFrames") or 1) > 1 or _word(dataset, "SamplesPerPixel") > 1
    return replace(frame, problem=_problem(frame, several))


def _problem(frame: Frame, several: bool) -> RecordError | None:
    if several:
        return RecordError(
            reasons.UNSUPPORTED, "an image of several frames or colours", where=frame.name,
            expected="one grey frame a file",
        )  # fmt: skip
    if not all(0 < side <= LARGEST_SIDE_PX for side in frame.shape):
        return RecordError(reasons.BAD_GEOMETRY, "impossible number of rows or columns", where=frame.name)
    if not all(0 < spacing < 100 for spacing in frame.spacing_mm):
        return RecordError(reasons.BAD_GEOMETRY, "PixelSpacing is missing or impossible", where=frame.name)
    return None


def _decode(dataset: FileDataset, shape: tuple[int, int], name: str) -> NDArray[Any]:
    syntax = dataset.file_meta.get("TransferSyntaxUID")
    bits = _word(dataset, "BitsAllocated")
    if syntax not in (ExplicitVRLittleEndian, ImplicitVRLittleEndian) or bits not in (8, 16):
        decoded: NDArray[Any] = dataset.pixel_array.reshape(shape)
        return decoded
    sign = "i" if _word(dataset, "PixelRepresentation") == 1 else "u"
    data, wanted = _bytes(dataset, "PixelData"), shape[0] * shape[1]
    if len(data) < wanted * bits // 8:
        raise RecordError(
            reasons.TRUNCATED, "the pixel data end early", where=name, expected=f"{wanted * bits // 8} bytes",
            got=len(data),
        )  # fmt: skip
    return np.frombuffer(data, f"<{sign}{bits // 8}", count=wanted).reshape(shape)


def _bytes(dataset: FileDataset, keyword: str) -> bytes:
    """Return an element as it stands in the file: decoding each by pydicom would take most of the reading time."""
    if _TAG[keyword] not in dataset:
        return b""
    value: Any = dataset.get_item(_TAG[keyword]).value
    return value if isinstance(value, bytes) else str(value if value is not None else "").encode("latin-1", "replace")


def _text(dataset: FileDataset, keyword: str) -> str:
    return _bytes(dataset, keyword).decode("latin-1").strip(" \0")


def _word(dataset: FileDataset, keyword: str) -> int:
    raw = _bytes(dataset, keyword)
    return int.from_bytes(raw[:2], "little" if dataset.original_encoding[1] else "big")


def _float(dataset: FileDataset, keyword: str) -> float | None:
    text = _text(dataset, keyword)
    number = float(text) if text else None
    return number if number is not None and math.isfinite(number) else None


def _int(dataset: FileDataset, keyword: str) -> int | None:
    number = _float(dataset, keyword)
    return None if number is None else int(number)


def _vector(dataset: FileDataset, keyword: str, length: int) -> NDArray[np.float64] | None:
    parts = _text(dataset, keyword).split("\\")
    if len(parts) != length:
        return None
    vector = np.array([float(part) for part in parts])
    return vector if np.isfinite(vector).all() else None


def _natural(uid: str) -> tuple[int, ...]:
    return tuple(int(part) for part in re.findall(r"\d{1,64}", uid))
