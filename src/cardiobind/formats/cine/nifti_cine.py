"""Cine MR from NIfTI-1 and NIfTI-2: (x, y, z) of one phase or (x, y, z, t), with the layouts of open data sets.

Source: the NIfTI-1 standard (nifti1.h); the axes of its world point to the right, front and head, DICOM's to the left,
back and head.
"""

from __future__ import annotations

import gzip
import io
import math
import os
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, BinaryIO, cast

import numpy as np
from numpy.typing import NDArray

from cardiobind.errors import RecordError
from cardiobind.formats import reasons
from cardiobind.formats.base import CINE_FORMATS, Format, decoding, masked
from cardiobind.formats.cine.cine_geometry import LARGEST_STACK_BYTES, SliceOrder, order_slices
from cardiobind.formats.cine.nifti_layouts import (
    find_nifti,
    is_nifti_folder,
    is_segmentation,
    known_phases,
    stem_of,
    view_of_name,
)
from cardiobind.formats.location import LARGEST_FILE_BYTES, read_bytes, split_location
from cardiobind.modalities.records import CineRecord

_TO_THE_RIGHT, _DOWNWARDS = (1.0, 0.5, 0.0), (0.0, 0.5, -1.0)
_MM = {0: 1.0, 1: 1000.0, 2: 1.0, 3: 0.001}
_SECONDS, _MILLISECONDS = 8, 16
_MS = {_SECONDS: 1000.0, _MILLISECONDS: 1.0, 24: 0.001}
_SHORTEST_CYCLE_MS, _LONGEST_CYCLE_MS = 200.0, 5000.0
_LARGEST_INFLATION = 1040
"""Deflate cannot pack more than 1,032 bytes into one."""


@dataclass(frozen=True)
class Header:
    """What is needed of a NIfTI header.

    Attributes:
        shape: (columns, rows, slices, phases): x, y, z, t.
        dtype: of the stored values. offset: of the first in the file.
        scale: slope and intercept, None where the stored values are the intensities.
        affine: (4, 4) voxel to DICOM's patient axes in mm; None where the file has no orientation.
        spacing_mm: along x, y, z. step_ms: between phases, NaN where unknown.
    """

    shape: tuple[int, int, int, int]
    dtype: np.dtype[Any]
    offset: int
    scale: tuple[float, float] | None
    affine: NDArray[np.float64] | None
    spacing_mm: tuple[float, float, float]
    step_ms: float


@dataclass(frozen=True)
class Geometry:
    """Where the slices of an image are.

    Attributes:
        orientation: (6,) of the image as it is shown. origins_mm: (slices, 3), ordered. NaN where unknown.
        order: of the slices. row_step, column_step: -1 where rows, or columns, are reversed to be shown.
    """

    orientation: NDArray[np.float64]
    origins_mm: NDArray[np.float64]
    order: SliceOrder
    row_step: int
    column_step: int


def recognises(location: str) -> bool:
    """Tell whether the location is a NIfTI file or a folder that holds some."""
    try:
        if split_location(location)[0] is None and Path(location).is_dir():
            return is_nifti_folder(location)
        return stem_of(location) is not None
    except (OSError, ValueError):
        return False


def read_nifti_cine(location: str, view: str = "sax") -> CineRecord:
    """Read the cine of one view; a 3-D file is a cine of one phase.

    Rows and columns are turned (by flips alone) as scanners show them: columns go downwards, rows to the left or the
    back. Known end-diastole and end-systole are in ``meta["ed_phase"]`` and ``meta["es_phase"]``, counted from 0.

    Args:
        location: a file, also a member of a zip archive, or the folder of one subject.
        view: one of `cardiobind.modalities.records.VIEWS`.

    Raises:
        RecordError: no image of this view, damaged, or larger than any cine.
    """
    with decoding(reasons.BAD_NIFTI, "the place of the NIfTI file cannot be read", location):
        if split_location(location)[0] is None and Path(location).is_dir():
            location = find_nifti(location, view)
    _refuse_other_view(location, view)
    with decoding(reasons.BAD_NIFTI, "the NIfTI file cannot be decoded", location), _open(location) as (stream, size):
        header = read_header(stream, location)
        _refuse_size(header, size, location)
        geometry = _geometry(header)
        frames = _frames(stream, header, geometry, location)
    return _record(frames, header, geometry, view, known_phases(location, header.shape[3]))


def _refuse_other_view(location: str, view: str) -> None:
    if is_segmentation(location):
        raise RecordError(reasons.NO_FRAMES, "a segmentation instead of an image", where=masked(location))
    stated = view_of_name(location)
    if stated not in (None, view):
        raise RecordError(
            reasons.NO_FRAMES, "the file's name says that it is another view", where=masked(location), expected=view,
            got=stated,
        )  # fmt: skip


@contextmanager
def _open(location: str) -> Iterator[tuple[BinaryIO, int]]:
    """Yield a stream of the unpacked file and the most bytes that it can hold."""
    packed = location.lower().endswith(".gz")
    with open(location, "rb") if split_location(location)[0] is None else io.BytesIO(read_bytes(location)) as raw:
        size = raw.seek(0, os.SEEK_END)
        raw.seek(0)
        if size == 0:
            raise RecordError(reasons.EMPTY, "the file has no bytes", where=masked(location))
        if packed:
            with gzip.GzipFile(fileobj=raw) as stream:
                yield cast(BinaryIO, stream), size * _LARGEST_INFLATION
        else:
            yield raw, size


def read_header(stream: BinaryIO, location: str) -> Header:
    """Return the header at the beginning of an unpacked NIfTI file.

    Raises:
        RecordError: it is none, or of a kind that is not read.
    """
    import nibabel

    start = stream.read(4)
    length = next((n for n in (348, 540) for order in ("little", "big") if int.from_bytes(start, order) == n), 0)
    block = start + stream.read(max(length - 4, 0))
    if length == 0 or len(block) < length:
        raise RecordError(reasons.BAD_NIFTI, "the file does not begin as NIfTI files do", where=masked(location))
    kind: Any = nibabel.Nifti1Header if length == 348 else nibabel.Nifti2Header
    errors = (nibabel.spatialimages.HeaderDataError, nibabel.spatialimages.HeaderTypeError)
    with decoding(reasons.BAD_NIFTI, "the NIfTI header is damaged", location, errors):
        header = kind(binaryblock=block, check=False)
        if bytes(header["magic"])[:2] != b"n+":
            raise RecordError(
                reasons.UNSUPPORTED, "a header whose image is in another file", where=masked(location),
                expected="a single .nii or .nii.gz file",
            )  # fmt: skip
        return _header(header, length, location)


def _header(header: Any, length: int, location: str) -> Header:
    shape = tuple(int(n) for n in header.get_data_shape())
    while len(shape) > 3 and shape[-1] == 1:
        shape = shape[:-1]
    if len(shape) not in (2, 3, 4) or min(shape) < 1:
        raise RecordError(
            reasons.BAD_GEOMETRY, "not an image of three or four dimensions", where=masked(location),
            expected="(x, y, z) or (x, y, z, t)", got=f"{len(shape)} dimensions",
        )  # fmt: skip
    dtype = header.get_data_dtype()
    if dtype.kind not in "iuf" or dtype.itemsize > 8:
        raise RecordError(
            reasons.UNSUPPORTED, "pixels that are no plain numbers", where=masked(location), got=str(dtype.kind)
        )
    space, time = int(header["xyzt_units"]) % 8, int(header["xyzt_units"]) // 8 * 8
    columns, rows, slices, phases = (*shape, 1, 1)[:4]
    affine = _affine(header, _MM.get(space, 1.0))
    return Header(
        shape=(columns, rows, slices, phases),
        dtype=dtype,
        offset=max(int(header.get_data_offset()), length),
        scale=_scale(float(header["scl_slope"]), float(header["scl_inter"])),
        affine=affine,
        spacing_mm=_spacing(header, affine, _MM.get(space, 1.0), location),
        step_ms=_step_ms(float(header["pixdim"][4]), time, phases),
    )


def _scale(slope: float, intercept: float) -> tuple[float, float] | None:
    if not math.isfinite(slope) or slope == 0 or (slope, intercept) == (1, 0):
        return None
    return slope, intercept if math.isfinite(intercept) else 0.0


def _affine(header: Any, mm: float) -> NDArray[np.float64] | None:
    """Return the voxel to patient matrix; None where the header has no orientation or an impossible one."""
    if int(header["sform_code"]) <= 0 and int(header["qform_code"]) <= 0:
        return None
    affine = np.asarray(header.get_best_affine(), np.float64)
    turned = np.diag([-mm, -mm, mm, 1.0]) @ affine
    lengths = np.linalg.norm(turned[:3, :3], axis=0)
    if not np.isfinite(turned).all() or not (lengths > 0).all():
        return None
    axes = turned[:3, :3] / lengths
    return turned if abs(np.linalg.det(axes)) > 0.5 else None


def _spacing(header: Any, affine: NDArray[np.float64] | None, mm: float, location: str) -> tuple[float, float, float]:
    stated = np.abs(np.asarray(header["pixdim"][1:4], np.float64)) * mm
    lengths = stated if affine is None else np.linalg.norm(affine[:3, :3], axis=0)
    if not (np.isfinite(lengths).all() and (lengths > 0).all() and (lengths < 100).all()):
        raise RecordError(reasons.BAD_GEOMETRY, "the pixel size is missing or impossible", where=masked(location))
    return float(lengths[0]), float(lengths[1]), float(lengths[2])


def _step_ms(step: float, unit: int, phases: int) -> float:
    """Return the time between phases; NaN where its unit, or without one s or ms, makes no plausible heart beat."""
    scales = [_MS[unit]] if unit in _MS else [_MS[_SECONDS], _MS[_MILLISECONDS]]
    steps = (step * scale for scale in scales)
    return next((ms for ms in steps if _SHORTEST_CYCLE_MS <= ms * phases <= _LONGEST_CYCLE_MS), math.nan)


def _refuse_size(header: Header, most_bytes: int, location: str) -> None:
    count = math.prod(header.shape)
    if count * 4 > LARGEST_STACK_BYTES or header.offset > LARGEST_FILE_BYTES:
        raise RecordError(
            reasons.TOO_LARGE, "the image is too large to be a cine", where=masked(location),
            expected=f"at most {LARGEST_STACK_BYTES} bytes of float32", got=count * 4,
        )  # fmt: skip
    needed = header.offset + count * header.dtype.itemsize
    if needed > most_bytes:
        raise _too_short(location, needed)


def _too_short(location: str, needed: int) -> RecordError:
    return RecordError(
        reasons.TRUNCATED, "the image is shorter than its header says", where=masked(location),
        expected=f"{needed} bytes",
    )  # fmt: skip


def _frames(stream: BinaryIO, header: Header, geometry: Geometry, location: str) -> NDArray[np.float32]:
    """Return (slices, phases, rows, columns), read image by image so that little more than the result is in memory."""
    columns, rows, slices, phases = header.shape
    stream.seek(header.offset)
    out = np.empty((slices, phases, rows, columns), np.float32)
    wanted = columns * rows * header.dtype.itemsize
    for phase in range(phases):
        for place in np.argsort(geometry.order.indices):
            data = stream.read(wanted)
            if len(data) < wanted:
                raise _too_short(location, header.offset + wanted * slices * phases)
            image = np.frombuffer(data, header.dtype).reshape(rows, columns)
            _write(image[:: geometry.row_step, :: geometry.column_step], header.scale, out[place, phase], location)
    return out


def _write(image: NDArray[Any], scale: tuple[float, float] | None, out: NDArray[np.float32], location: str) -> None:
    with np.errstate(all="ignore"):
        out[...] = image
        if scale is not None:
            out *= scale[0]
            out += scale[1]
    if not np.isfinite(out).all():
        raise RecordError(reasons.BAD_NIFTI, "a pixel is not finite", where=masked(location))


def _geometry(header: Header) -> Geometry:
    """Return where the slices are, with rows and columns turned so that the image looks as scanners show it."""
    columns, rows, slices, _ = header.shape
    step_mm = header.spacing_mm[2]
    if header.affine is None:
        nowhere = np.full((slices, 3), np.nan)
        return Geometry(np.full(6, np.nan), nowhere, order_slices(nowhere, np.full(6, np.nan), step_mm), 1, 1)
    along_row, along_column, along_slices = (header.affine[:3, axis] for axis in range(3))
    corner = header.affine[:3, 3]
    flip_columns, flip_rows = bool(along_row @ _TO_THE_RIGHT < 0), bool(along_column @ _DOWNWARDS < 0)
    if flip_columns:
        corner, along_row = corner + (columns - 1) * along_row, -along_row
    if flip_rows:
        corner, along_column = corner + (rows - 1) * along_column, -along_column
    origins = corner + np.arange(slices)[:, None] * along_slices
    orientation = np.concatenate([axis / np.linalg.norm(axis) for axis in (along_row, along_column)])
    order = order_slices(origins, orientation, step_mm)
    row_step, column_step = (-1 if flip else 1 for flip in (flip_rows, flip_columns))
    return Geometry(orientation, origins[order.indices], order, row_step, column_step)


def _record(
    frames: NDArray[np.float32], header: Header, geometry: Geometry, view: str, known: dict[str, int]
) -> CineRecord:
    slices, phases = frames.shape[:2]
    return CineRecord(
        frames,
        (header.spacing_mm[1], header.spacing_mm[0]),
        geometry.order.positions_mm,
        np.tile(np.arange(phases) * header.step_ms, (slices, 1)),
        view=view,
        orientation=geometry.orientation,
        origins_mm=geometry.origins_mm,
        base_to_apex=geometry.order.base_to_apex,
        meta={"series": [], "repaired_frames": [], "dropped_slices": 0, **known},
    )


CINE_FORMATS.register("nifti")(Format("nifti", recognises, read_nifti_cine))
