"""Enhanced multi-frame MR (SOP classes 1.2.840.10008.5.1.4.1.1.4.1 and .4.4): frames from functional groups.

Source: DICOM PS3.3, C.7.6.16 (multi-frame functional groups) and C.8.13 (enhanced MR image).
"""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import replace
from typing import Any

import numpy as np
from numpy.typing import NDArray
from pydicom.dataset import Dataset, FileDataset

from cardiobind.errors import RecordError
from cardiobind.formats import reasons
from cardiobind.formats.cine.dicom_frame import Frame, is_other_part
from cardiobind.formats.cine.dicom_values import integer

MOST_FRAMES = 20_000


def enhanced_frames(dataset: FileDataset, whole: Frame) -> Iterator[Frame]:
    """Yield the magnitude frames of a multi-frame file; what all frames share is taken from the shared groups.

    Args:
        dataset: the file.
        whole: what its top level says.

    Raises:
        RecordError: the number of functional groups differs from that of frames, or is absurd.
    """
    count = integer(dataset, "NumberOfFrames") or 1
    groups = dataset.get("PerFrameFunctionalGroupsSequence") or []
    if len(groups) != count or not 0 < count <= MOST_FRAMES:
        raise RecordError(
            reasons.BAD_DICOM, "functional groups and frames differ in number", where=whole.name,
            expected=count, got=len(groups),
        )  # fmt: skip
    shared = (dataset.get("SharedFunctionalGroupsSequence") or [Dataset()])[0]
    for index, own in enumerate(groups):
        groups_of_frame = _Groups(own, shared)
        if not _is_other_part(groups_of_frame):
            yield _enhanced(whole, groups_of_frame, index, count)


class _Groups:
    """The functional groups of one frame: its own, else the shared ones."""

    def __init__(self, own: Dataset, shared: Dataset) -> None:
        self._both = (own, shared)

    def value(self, group: str, keyword: str) -> Any:
        for dataset in self._both:
            items = dataset.get(group)
            found = items[0].get(keyword) if items else None
            if found is not None:
                return found
        return None

    def number(self, group: str, keyword: str) -> float | None:
        found = self.value(group, keyword)
        return float(found) if found is not None and math.isfinite(float(found)) else None

    def vector(self, group: str, keyword: str, length: int) -> NDArray[np.float64] | None:
        found = self.value(group, keyword)
        values = np.array([float(part) for part in found]) if found is not None else np.empty(0)
        return values if values.shape == (length,) and np.isfinite(values).all() else None


def _is_other_part(groups: _Groups) -> bool:
    kinds = groups.value("MRImageFrameTypeSequence", "FrameType")
    component = groups.value("MRImageFrameTypeSequence", "ComplexImageComponent")
    return is_other_part([*([] if kinds is None or isinstance(kinds, str) else map(str, kinds))]) or is_other_part(
        ["", "", str(component or "")]
    )


def _enhanced(whole: Frame, groups: _Groups, index: int, count: int) -> Frame:
    spacing = groups.vector("PixelMeasuresSequence", "PixelSpacing", 2)
    thickness = groups.number("PixelMeasuresSequence", "SliceThickness")
    slope = groups.number("PixelValueTransformationSequence", "RescaleSlope")
    intercept = groups.number("PixelValueTransformationSequence", "RescaleIntercept")
    position = groups.number("FrameContentSequence", "TemporalPositionIndex")
    return replace(
        whole,
        index=index,
        frames=count,
        instance=index + 1 if position is None else int(position),
        trigger_ms=groups.number("CardiacSynchronizationSequence", "NominalCardiacTriggerDelayTime"),
        phases=None,
        position_mm=groups.vector("PlanePositionSequence", "ImagePositionPatient", 3),
        orientation=groups.vector("PlaneOrientationSequence", "ImageOrientationPatient", 6),
        spacing_mm=whole.spacing_mm if spacing is None else (float(spacing[0]), float(spacing[1])),
        step_mm=groups.number("PixelMeasuresSequence", "SpacingBetweenSlices") or thickness or whole.step_mm,
        thickness_mm=thickness or whole.thickness_mm,
        rescale=whole.rescale if slope is None else (slope, intercept or 0.0),
    )
