"""From the DICOM files of a place to single frames with the few attributes that a cine stack is ordered by."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from pathlib import PurePosixPath

from pydicom.dataset import FileDataset

from cardiobind.errors import RecordError
from cardiobind.formats import reasons
from cardiobind.formats.base import decoding, masked
from cardiobind.formats.cine.dicom_enhanced import enhanced_frames
from cardiobind.formats.cine.dicom_files import PYDICOM_ERRORS, TAG, DicomFiles
from cardiobind.formats.cine.dicom_frame import Frame, is_other_part
from cardiobind.formats.cine.dicom_values import integer, natural, number, text, vector, word
from cardiobind.formats.cine.ukb_manifest import manifest_descriptions

__all__ = ["Frame", "manifest_descriptions", "read_frames"]

MR_IMAGE_STORAGE = "1.2.840.10008.5.1.4.1.1.4"
ENHANCED_MR = (f"{MR_IMAGE_STORAGE}.1", f"{MR_IMAGE_STORAGE}.4")
LARGEST_SIDE_PX = 4096


def read_frames(location: str) -> list[Frame]:
    """Return the frames of all MR magnitude images in a folder (with its subfolders) or a zip archive.

    Raises:
        RecordError: no MR image, images of several patients or days, or a file is damaged.
    """
    files = DicomFiles(location)
    read = [(name, dataset) for name, dataset in files if _is_image(dataset, name)]
    for keyword, what in {"PatientID": "patients", "StudyDate": "days"}.items():
        _refuse_several(keyword, what, [dataset for _, dataset in read], location)
    frames = [frame for name, dataset in read for frame in _frames(name, dataset, files)]
    if not frames:
        raise RecordError(
            reasons.NO_FRAMES, "there is no DICOM image of MR", where=masked(location),
            got=f"{len(read)} images of other kinds",
        )  # fmt: skip
    return frames


def _refuse_several(keyword: str, what: str, datasets: list[FileDataset], location: str) -> None:
    """Refuse to stack one patient's or day's slices on another's; files that do not say belong together."""
    with decoding(reasons.BAD_DICOM, "the DICOM header cannot be parsed", location, PYDICOM_ERRORS):
        found = {text(dataset, keyword) for dataset in datasets} - {""}
    if len(found) > 1:
        raise RecordError(
            reasons.UNSUPPORTED, f"images of several {what} in one place", where=masked(location),
            expected="one patient's visit", got=f"{len(found)} {what}",
            hint="give each visit's folder or archive by itself",
        )  # fmt: skip


def _is_image(dataset: FileDataset, name: str) -> bool:
    with decoding(reasons.BAD_DICOM, "the DICOM header cannot be parsed", name, PYDICOM_ERRORS):
        if TAG["PixelData"] in dataset:
            return True
        kind = str(dataset.file_meta.get("MediaStorageSOPClassUID", dataset.get("SOPClassUID", "")))
    if kind == MR_IMAGE_STORAGE or kind in ENHANCED_MR:
        raise RecordError(reasons.TRUNCATED, "an MR image without pixel data", where=masked(name))
    return False


def _frames(name: str, dataset: FileDataset, files: DicomFiles) -> Iterator[Frame]:
    with decoding(reasons.BAD_DICOM, "the DICOM header cannot be parsed", name, PYDICOM_ERRORS):
        kind = text(dataset, "SOPClassUID")
        if kind in ENHANCED_MR:
            single = _frame(name, dataset, files)
            yield from (replace(frame, problem=_problem(frame)) for frame in enhanced_frames(dataset, single))
        elif kind in (MR_IMAGE_STORAGE, "") and not is_other_part(text(dataset, "ImageType").split("\\")):
            single = _frame(name, dataset, files)
            yield replace(single, problem=_several(dataset, single) or _problem(single))


def _frame(name: str, dataset: FileDataset, files: DicomFiles) -> Frame:
    spacing = vector(dataset, "PixelSpacing", 2)
    slope = number(dataset, "RescaleSlope")
    thickness = number(dataset, "SliceThickness")
    return Frame(
        name=masked(name),
        member=name,
        files=files,
        description=text(dataset, "SeriesDescription") or files.descriptions.get(PurePosixPath(name).name, ""),
        series=(integer(dataset, "SeriesNumber") or 0, natural(text(dataset, "SeriesInstanceUID"))),
        instance=integer(dataset, "InstanceNumber"),
        trigger_ms=number(dataset, "TriggerTime"),
        phases=integer(dataset, "CardiacNumberOfImages"),
        position_mm=vector(dataset, "ImagePositionPatient", 3),
        orientation=vector(dataset, "ImageOrientationPatient", 6),
        spacing_mm=(float(spacing[0]), float(spacing[1])) if spacing is not None else (0.0, 0.0),
        step_mm=number(dataset, "SpacingBetweenSlices") or thickness,
        thickness_mm=thickness,
        shape=(word(dataset, "Rows"), word(dataset, "Columns")),
        rescale=None if slope is None else (slope, number(dataset, "RescaleIntercept") or 0.0),
    )


def _several(dataset: FileDataset, frame: Frame) -> RecordError | None:
    if (integer(dataset, "NumberOfFrames") or 1) <= 1 and word(dataset, "SamplesPerPixel") <= 1:
        return None
    return RecordError(
        reasons.UNSUPPORTED, "an image of several frames or colours", where=frame.name,
        expected="one grey frame a file, or enhanced MR",
    )  # fmt: skip


def _problem(frame: Frame) -> RecordError | None:
    if not all(0 < side <= LARGEST_SIDE_PX for side in frame.shape):
        return RecordError(reasons.BAD_GEOMETRY, "impossible number of rows or columns", where=frame.name)
    if not all(0 < spacing < 100 for spacing in frame.spacing_mm):
        return RecordError(reasons.BAD_GEOMETRY, "PixelSpacing is missing or impossible", where=frame.name)
    return None
