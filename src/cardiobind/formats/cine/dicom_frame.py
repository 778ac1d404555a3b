"""One image of a cine as its DICOM file describes it."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from cardiobind.errors import RecordError
from cardiobind.formats import reasons
from cardiobind.formats.base import decoding
from cardiobind.formats.cine.dicom_files import PYDICOM_ERRORS, DicomFiles
from cardiobind.formats.cine.dicom_pixels import stored_pixels

_NOT_MAGNITUDE = {"P", "R", "I", "PHASE MAP", "VELOCITY MAP", "PHASE", "REAL", "IMAGINARY"}


@dataclass(frozen=True)
class Frame:
    """One image of one slice at one phase.

    Attributes:
        name: of its file, masked. member: of its file, as `files` knows it. index: within a file of several frames.
        description: SeriesDescription, else the manifest's, else empty.
        series: sorts repeated series in the order of their acquisition.
        instance, trigger_ms, phases: InstanceNumber, TriggerTime, CardiacNumberOfImages; None where absent.
        position_mm: (3,) ImagePositionPatient. orientation: (6,) ImageOrientationPatient. None where absent.
        spacing_mm: between rows, between columns. step_mm: between slices. thickness_mm: of the slice.
        shape: rows, columns. frames: number of frames in the file.
        rescale: slope and intercept, None where the stored values are the intensities.
        problem: why the image cannot be part of a cine, if so.
    """

    name: str
    member: str
    files: DicomFiles
    description: str
    series: tuple[int, tuple[int, ...]]
    instance: int | None
    trigger_ms: float | None
    phases: int | None
    position_mm: NDArray[np.float64] | None
    orientation: NDArray[np.float64] | None
    spacing_mm: tuple[float, float]
    step_mm: float | None
    thickness_mm: float | None
    shape: tuple[int, int]
    rescale: tuple[float, float] | None
    index: int = 0
    frames: int = 1
    problem: RecordError | None = None

    def pixels_into(self, out: NDArray[np.float32]) -> None:
        """Write (rows, columns) intensities after the rescale slope and intercept to `out`.

        Raises:
            RecordError: the pixel data are short or cannot be decoded.
        """
        dataset = self.files.dataset(self.member)
        with decoding(reasons.BAD_DICOM, "the pixel data cannot be decoded", self.name, PYDICOM_ERRORS):
            out[...] = stored_pixels(dataset, self.index, self.frames, self.shape, self.name)
            if self.rescale is not None:
                out *= self.rescale[0]
                out += self.rescale[1]
        if not np.isfinite(out).all():
            raise RecordError(reasons.BAD_DICOM, "a pixel is not finite", where=self.name)


def is_other_part(image_type: list[str]) -> bool:
    """Tell from ImageType whether an image shows phase, real or imaginary part instead of magnitude."""
    return any(value.strip().upper() in _NOT_MAGNITUDE for value in image_type[2:])
