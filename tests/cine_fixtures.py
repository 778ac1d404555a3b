"""Constructed cine files of scanners, archives and open data sets: one synthetic volume, many layouts.

No file of a vendor but Sunnybrook's (GE) can be had here; these are written from the standards and from descriptions.
"""

from __future__ import annotations

import gzip
import io
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import nibabel
import numpy as np
import pytest
from pydicom.dataset import Dataset, FileDataset, FileMetaDataset
from pydicom.sequence import Sequence
from pydicom.uid import ExplicitVRLittleEndian, ImplicitVRLittleEndian

from cardiobind.errors import RecordError
from cardiobind.formats import read_cine

MR = "1.2.840.10008.5.1.4.1.1.4"
SECRET = "SECRETNAME"  # noqa: S105
APEX = np.array([0.62, -0.63, -0.47]) / np.linalg.norm([0.62, -0.63, -0.47])


def short_axis_plane(apex: np.ndarray = APEX) -> tuple[np.ndarray, np.ndarray]:
    """Return row and column direction of a short axis whose normal is the direction from base to apex."""
    row = np.array([apex[1], -apex[0], 0.0])
    row *= np.sign(row[0] + 0.5 * row[1]) / np.linalg.norm(row)
    return row, np.cross(apex, row) * np.sign(np.cross(apex, row) @ (0, 0.5, -1))


def long_axis_plane(line_deg: float, apex: np.ndarray = APEX) -> tuple[np.ndarray, np.ndarray]:
    """Return row and column direction of a plane along the axis, cutting the short axis in a line at an angle."""
    up = np.array([0.0, 0.0, 1.0]) - apex[2] * apex
    up /= np.linalg.norm(up)
    right = np.cross(up, apex)
    return apex, np.cos(np.deg2rad(line_deg)) * right + np.sin(np.deg2rad(line_deg)) * up


@dataclass
class Volume:
    """A stack of slices in space, base first.

    Attributes:
        pixels: (slices, phases, rows, columns) uint16.
        origins_mm: (slices, 3). row, column: direction cosines.
    """

    pixels: np.ndarray
    row: np.ndarray
    column: np.ndarray
    origins_mm: np.ndarray
    spacing_mm: tuple[float, float] = (1.5, 1.25)
    step_mm: float = 10.0
    thickness_mm: float = 8.0
    trigger_ms: np.ndarray = field(default_factory=lambda: np.empty(0))


def volume(slices: int = 4, phases: int = 6, rows: int = 12, columns: int = 14, seed: int = 3) -> Volume:
    """Return distinct pixels in an oblique short axis, base first; as scanners show it."""
    pixels = np.random.default_rng(seed).integers(0, 3000, (slices, phases, rows, columns)).astype(np.uint16)
    row, column = short_axis_plane()
    origins = np.array([-80.0, -120.0, 60.0]) + 10.0 * np.arange(slices)[:, None] * APEX
    return Volume(pixels, row, column, origins, trigger_ms=40.0 * np.arange(phases))


def plane(line_deg: float, phases: int = 6, seed: int = 4) -> Volume:
    """Return one long-axis plane."""
    pixels = np.random.default_rng(seed).integers(0, 3000, (1, phases, 12, 14)).astype(np.uint16)
    row, column = long_axis_plane(line_deg)
    return Volume(pixels, row, column, np.array([[-70.0, -100.0, 70.0]]), trigger_ms=40.0 * np.arange(phases))


def _file(sop: str, syntax: str) -> FileDataset:
    meta = FileMetaDataset()
    meta.MediaStorageSOPClassUID, meta.MediaStorageSOPInstanceUID, meta.TransferSyntaxUID = sop, "1.2.3.4", syntax
    dataset = FileDataset(None, {}, file_meta=meta, preamble=b"\0" * 128)
    dataset.SOPClassUID, dataset.SOPInstanceUID, dataset.Modality = sop, "1.2.3.4", "MR"
    dataset.PatientName, dataset.PatientID, dataset.PatientBirthDate = SECRET, "9000001", "19500101"
    dataset.SamplesPerPixel, dataset.PhotometricInterpretation = 1, "MONOCHROME2"
    dataset.BitsAllocated, dataset.BitsStored, dataset.HighBit, dataset.PixelRepresentation = 16, 12, 11, 0
    return dataset


def saved(dataset: FileDataset) -> bytes:
    """Return a data set as a file."""
    buffer = io.BytesIO()
    dataset.save_as(buffer, enforce_file_format=True)
    return buffer.getvalue()


def classic(
    of: Volume, k: int, p: int, *, syntax: str = ExplicitVRLittleEndian, compress: str | None = None, **values: Any
) -> bytes:
    """Return one image as a file; `values` are further elements, None to leave one out."""
    dataset = _file(str(values.pop("SOPClassUID", MR)), syntax)
    dataset.Rows, dataset.Columns = of.pixels.shape[2:]
    dataset.PixelData = of.pixels[k, p].astype("<u2").tobytes()
    dataset["PixelData"].VR = "OW"
    defaults: dict[str, Any] = {
        "SeriesInstanceUID": "1.2.3", "SeriesNumber": 1, "InstanceNumber": 1, "TriggerTime": f"{of.trigger_ms[p]:.2f}",
        "ImagePositionPatient": [f"{v:.6f}" for v in of.origins_mm[k]],
        "ImageOrientationPatient": [f"{v:.9f}" for v in (*of.row, *of.column)],
        "PixelSpacing": list(of.spacing_mm), "SliceThickness": of.thickness_mm, "SpacingBetweenSlices": of.step_mm,
    }  # fmt: skip
    for name, value in (defaults | values).items():
        if value is not None:
            setattr(dataset, name, value)
    if compress is not None:
        dataset.compress(compress)
    return saved(dataset)


def series(of: Volume, prefix: str = "i", **values: Any) -> dict[str, bytes]:
    """Return all images of a volume as files of one series, numbered through, in no useful order of names."""
    slices, phases = of.pixels.shape[:2]
    return {
        f"{prefix}{(k * 31 + p * 17) % 97:02d}.{k}.{p}.dcm": classic(
            of, k, p, **({"InstanceNumber": k * phases + p + 1} | values)
        )
        for k in range(slices)
        for p in range(phases)
    }


def ge(of: Volume) -> dict[str, bytes]:
    """GE: one series of a FIESTA cine, implicit little endian, signed pixels, a count of images."""
    return series(
        of, SeriesDescription="FIESTA CINE SA", syntax=ImplicitVRLittleEndian, PixelRepresentation=1,
        CardiacNumberOfImages=of.pixels.shape[1], Manufacturer="GE MEDICAL SYSTEMS",
        ImageType=["ORIGINAL", "PRIMARY", "CARDIAC", "NONE"],
    )  # fmt: skip


def siemens(of: Volume) -> dict[str, bytes]:
    """Siemens: a series a slice, the description the same for all."""
    return {
        name: data
        for k in range(len(of.pixels))
        for name, data in series(
            _one(of, k), f"s{k}", SeriesDescription="cine_tf2d13_retro_iPAT_SAX", SeriesNumber=20 + k,
            SeriesInstanceUID=f"1.3.12.2.{k + 1}", ImageType=["ORIGINAL", "PRIMARY", "M", "RETRO", "NORM"],
        ).items()
    }  # fmt: skip


def philips(of: Volume, slope: float = 2.5, intercept: float = 0.0) -> dict[str, bytes]:
    """Philips: one series with a rescale, a private scale, and phase images beside the magnitude."""
    rescale = {"RescaleSlope": str(slope), "RescaleIntercept": str(intercept), "SeriesDescription": "sBTFE_BH_SA"}
    magnitude = series(of, "m", ImageType=["ORIGINAL", "PRIMARY", "M_FFE", "M", "FFE"], **rescale)
    phase = series(of, "p", ImageType=["ORIGINAL", "PRIMARY", "PHASE MAP", "P", "FFE"], **rescale)
    return magnitude | phase


def _one(of: Volume, k: int) -> Volume:
    return Volume(
        of.pixels[k : k + 1], of.row, of.column, of.origins_mm[k : k + 1], of.spacing_mm, of.step_mm, of.thickness_mm,
        of.trigger_ms,
    )  # fmt: skip


def _item(**values: Any) -> Sequence:
    dataset = Dataset()
    for name, value in values.items():
        setattr(dataset, name, value)
    return Sequence([dataset])


def enhanced(of: Volume, *, times: bool = True, phase_first: bool = True, compress: str | None = None) -> bytes:
    """Return a volume as one enhanced multi-frame MR file: phase by phase, or slice by slice."""
    dataset = _file(f"{MR}.1", ExplicitVRLittleEndian)
    slices, phases = of.pixels.shape[:2]
    order = [(k, p) for p in range(phases) for k in range(slices)]
    order = order if phase_first else sorted(order)
    shared = Dataset()
    shared.PixelMeasuresSequence = _item(
        PixelSpacing=list(of.spacing_mm), SliceThickness=of.thickness_mm, SpacingBetweenSlices=of.step_mm
    )
    shared.PlaneOrientationSequence = _item(ImageOrientationPatient=[f"{v:.9f}" for v in (*of.row, *of.column)])
    dataset.SharedFunctionalGroupsSequence = Sequence([shared])
    groups = []
    for k, p in order:
        group = Dataset()
        group.PlanePositionSequence = _item(ImagePositionPatient=[f"{v:.6f}" for v in of.origins_mm[k]])
        group.FrameContentSequence = _item(StackID="1", InStackPositionNumber=k + 1, TemporalPositionIndex=p + 1)
        if times:
            group.CardiacSynchronizationSequence = _item(NominalCardiacTriggerDelayTime=float(of.trigger_ms[p]))
        groups.append(group)
    dataset.PerFrameFunctionalGroupsSequence = Sequence(groups)
    dataset.NumberOfFrames = len(order)
    dataset.Rows, dataset.Columns = of.pixels.shape[2:]
    dataset.SeriesInstanceUID, dataset.SeriesNumber, dataset.InstanceNumber = "1.2.3", 1, 1
    dataset.PixelData = b"".join(of.pixels[k, p].astype("<u2").tobytes() for k, p in order)
    dataset["PixelData"].VR = "OW"
    if compress is not None:
        dataset.compress(compress)
    return saved(dataset)


def ukb_long_axis(views: dict[str, Volume], *, mixed: bool = False) -> dict[str, bytes]:
    """Return the members of a UK Biobank long-axis zip; `views` maps "2Ch", "3Ch", "4Ch" to planes.

    A mixed archive is one series without the views' names, in the order 3, 4, 2 chambers.
    """
    members: dict[str, bytes] = {}
    for number, name in enumerate(("3Ch", "4Ch", "2Ch")):
        of = views[name]
        values: dict[str, Any] = {
            "SeriesDescription": f"CINE_segmented_LAX_{name}",
            "SeriesInstanceUID": f"1.2.{number}",
        }
        if mixed:
            phases = of.pixels.shape[1]
            values = {"SeriesDescription": "CINE_segmented_LAX", "SeriesInstanceUID": "1.2.9"}
            members |= {
                f"{name}.{p}.dcm": classic(of, 0, p, InstanceNumber=number * phases + p + 1, **values)
                for p in range(phases)
            }
        else:
            members |= series(of, name, SeriesNumber=number + 1, **values)
    return members


def affine_of(of: Volume) -> np.ndarray:
    """Return the voxel to world matrix (right, front, head) of an array (columns, rows, slices)."""
    affine = np.eye(4)
    affine[:3, 0], affine[:3, 1] = of.row * of.spacing_mm[1], of.column * of.spacing_mm[0]
    affine[:3, 2] = of.origins_mm[1] - of.origins_mm[0] if len(of.origins_mm) > 1 else np.cross(of.row, of.column)
    affine[:3, 3] = of.origins_mm[0]
    return np.diag([-1.0, -1.0, 1.0, 1.0]) @ affine


def nifti(
    of: Volume, *, flips: tuple[bool, bool, bool] = (False, False, False), phase: int | None = None,
    step: float = 0.04, unit: str = "sec", dtype: str = "<i2", slope: float = 1.0, version: int = 1,
) -> bytes:  # fmt: skip
    """Return a volume as NIfTI, stored with some of its axes reversed, the matrix saying so."""
    array = of.pixels.transpose(3, 2, 0, 1).astype(dtype)
    affine = affine_of(of)
    for axis, flip in enumerate(flips):
        if flip:
            affine[:3, 3] += (array.shape[axis] - 1) * affine[:3, axis]
            affine[:3, axis] *= -1
            array = np.flip(array, axis)
    kind = nibabel.Nifti1Image if version == 1 else nibabel.Nifti2Image
    image = kind(array if phase is None else array[..., phase], affine)
    image.header["descrip"] = SECRET.encode()
    image.header["scl_slope"], image.header["scl_inter"] = slope, 0
    if phase is None:
        image.header.set_zooms((*image.header.get_zooms()[:3], step))
        image.header.set_xyzt_units("mm", unit)
    data = image.to_bytes()
    if slope != 1.0:
        place = 112 if version == 1 else 176
        form = "<f4" if version == 1 else "<f8"
        data = data[:place] + np.array(slope, form).tobytes() + data[place + np.dtype(form).itemsize :]
    return data


def gz(data: bytes) -> bytes:
    """Return gzip of bytes, the same each time."""
    return gzip.compress(data, 1, mtime=0)


def acdc_patient(root: Path, number: int, of: Volume, group: str = "MINF", ed: int = 1, es: int = 4) -> Path:
    """Write one patient as ACDC lays it out and return the folder."""
    folder = root / f"patient{number:03d}"
    folder.mkdir(parents=True)
    stem, phases = folder.name, of.pixels.shape[1]
    (folder / "Info.cfg").write_text(
        f"ED: {ed}\nES: {es}\nGroup: {group}\nHeight: 184.0\nNbFrame: {phases}\nWeight: 95.0\n"
    )
    (folder / f"{stem}_4d.nii.gz").write_bytes(gz(nifti(of)))
    for frame in (ed, es):
        (folder / f"{stem}_frame{frame:02d}.nii.gz").write_bytes(gz(nifti(of, phase=frame - 1)))
        (folder / f"{stem}_frame{frame:02d}_gt.nii.gz").write_bytes(gz(nifti(of, phase=frame - 1)))
    return folder


def refusal(location: object, view: str = "sax") -> RecordError:
    """Return why a cine is refused, which names nobody; fails if it is read."""
    with pytest.raises(RecordError) as caught:
        read_cine(str(location), view)
    assert SECRET not in str(caught.value)
    assert "9000001" not in str(caught.value)
    return caught.value
