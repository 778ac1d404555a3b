"""The DICOM files of a folder or archive: found, parsed once, their pixels kept in memory or read again when asked."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path, PurePosixPath
from typing import Any

import pydicom
from pydicom.config import disable_value_validation
from pydicom.dataset import FileDataset
from pydicom.errors import BytesLengthException, InvalidDicomError
from pydicom.tag import BaseTag

from cardiobind.errors import RecordError
from cardiobind.formats import reasons
from cardiobind.formats.base import decoding, masked
from cardiobind.formats.cine.ukb_manifest import MANIFESTS, manifest_descriptions
from cardiobind.formats.location import CountedBytes, open_archive, read_bytes, read_member

MOST_FILES = 20_000
KEPT_BYTES = 160 << 20
MOST_SEQUENCE_ITEMS = 200_000
MOST_READS = 1_000_000
PYDICOM_ERRORS = (InvalidDicomError, BytesLengthException)
TAG = {
    keyword: BaseTag(pydicom.datadict.tag_for_keyword(keyword) or 0)
    for keyword in (
        "SOPClassUID", "ImageType", "SeriesDescription", "SeriesInstanceUID", "SeriesNumber", "InstanceNumber",
        "TriggerTime", "CardiacNumberOfImages", "ImagePositionPatient", "ImageOrientationPatient", "PixelSpacing",
        "SpacingBetweenSlices", "SliceThickness", "Rows", "Columns", "BitsAllocated", "BitsStored", "HighBit",
        "PixelRepresentation", "SamplesPerPixel", "PhotometricInterpretation", "NumberOfFrames", "RescaleSlope",
        "RescaleIntercept", "SharedFunctionalGroupsSequence", "PerFrameFunctionalGroupsSequence", "PixelData",
        "ExtendedOffsetTable", "ExtendedOffsetTableLengths", "PatientID", "StudyDate",
    )
}  # fmt: skip
_TAGS: list[Any] = list(TAG.values())
_DOCUMENTS = {".csv", ".cvs", ".txt", ".xml", ".json", ".pdf", ".md", ".html", ".jpg", ".png", ".zip", ".gz", ".nii"}
_DEFLATED = b"1.2.840.10008.1.2.1.99"
_ITEM = b"\xfe\xff\x00\xe0"


class DicomFiles:
    """The DICOM files at one location.

    The pixels of the first 160 MB are kept with their headers; those of later files are read again when they are
    asked for, so that memory is bounded whatever the size of a study.

    Args:
        location: a folder (with its subfolders), a zip archive, or one DICOM file.

    Attributes:
        descriptions: file name -> series description of a UK Biobank manifest beside the files.
    """

    def __init__(self, location: str) -> None:
        self.location = location
        self.descriptions: dict[str, str] = {}
        self._kept: dict[str, FileDataset] = {}
        self._last: tuple[str, FileDataset] | None = None
        self._is_single = is_dicom_file(location)

    def __iter__(self) -> Iterator[tuple[str, FileDataset]]:
        """Yield name and header of each DICOM file.

        Raises:
            RecordError: a file is damaged, there are too many, or the archive is unsafe.
        """
        kept_bytes = 0
        for name in self._names():
            if PurePosixPath(name).name.lower() in MANIFESTS:
                self.descriptions |= manifest_descriptions(self._bytes(name).decode("latin-1"))
            elif name.lower().endswith(".dcm") or self._bytes(name, 132)[128:] == b"DICM":
                data = self._bytes(name)
                dataset = _parse(data, name)
                kept_bytes += len(data)
                if kept_bytes <= KEPT_BYTES:
                    self._kept[name] = dataset
                    yield name, dataset
                else:
                    yield name, _without_pixels(dataset)

    def dataset(self, name: str) -> FileDataset:
        """Return a file with its pixels.

        Raises:
            RecordError: it cannot be read again.
        """
        if name in self._kept:
            return self._kept[name]
        if self._last is None or self._last[0] != name:
            self._last = None
            self._last = name, _parse(self._bytes(name), name)
        return self._last[1]

    def _names(self) -> list[str]:
        folder = Path(self.location)
        if self._is_single:
            return [self.location]
        if folder.is_dir():
            found = [path.as_posix() for path in folder.rglob("*") if path.is_file()]
        else:
            found = [name for name in open_archive(self.location).namelist() if not name.endswith("/")]
        names = sorted(name for name in found if _wanted(name))
        if len(names) > MOST_FILES:
            raise RecordError(
                reasons.TOO_LARGE, "too many files for one participant's images", where=masked(self.location),
                expected=f"at most {MOST_FILES}", got=len(names),
            )  # fmt: skip
        if not names and any(name.lower().endswith(".zip") for name in found):
            raise RecordError(
                reasons.UNSUPPORTED, "archives within the archive or folder", where=masked(self.location),
                hint="give the inner archives one by one",
            )  # fmt: skip
        return names

    def _bytes(self, name: str, limit: int | None = None) -> bytes:
        if not self._is_single and not Path(self.location).is_dir():
            return read_member(open_archive(self.location), name, limit)
        with decoding(reasons.UNREADABLE, "the file cannot be read", name):
            return read_bytes(name, limit) if Path(name).stat().st_size else b""


def is_dicom_file(location: str) -> bool:
    """Tell whether the location is a file that begins as DICOM files do."""
    try:
        return Path(location).is_file() and read_bytes(location, limit=132)[128:] == b"DICM"
    except (OSError, ValueError, RecordError):
        return False


def _wanted(name: str) -> bool:
    path = PurePosixPath(name)
    if path.name.lower() in MANIFESTS:
        return True
    return path.suffix.lower() not in _DOCUMENTS and not path.name.startswith(".") and "__MACOSX" not in path.parts


def _parse(data: bytes, name: str) -> FileDataset:
    _refuse_hostile(data, name)
    with (
        decoding(reasons.BAD_DICOM, "the DICOM file cannot be parsed", name, PYDICOM_ERRORS),
        disable_value_validation(),
    ):
        return pydicom.dcmread(CountedBytes(data, name, MOST_READS), force=False, specific_tags=_TAGS)


def _refuse_hostile(data: bytes, name: str) -> None:
    """Refuse what would make the parser take memory or time out of all proportion, before it is parsed."""
    if _DEFLATED in data[:1024]:
        raise RecordError(
            reasons.UNSUPPORTED, "a deflated DICOM file", where=masked(name), expected="any other transfer syntax"
        )
    if data.count(_ITEM) > MOST_SEQUENCE_ITEMS:
        raise RecordError(reasons.TOO_LARGE, "a DICOM header of absurdly many items", where=masked(name))


def _without_pixels(dataset: FileDataset) -> FileDataset:
    if TAG["PixelData"] in dataset:
        dataset[TAG["PixelData"]] = pydicom.DataElement(TAG["PixelData"], "OW", b"")
    return dataset
