"""Which frames of a study are the cine of a view: by UK Biobank's series names, else by description and geometry.

Source of the UK Biobank names: ukbb_cardiac (Bai et al. 2018), ml4h; of the planes: Cerqueira et al., Circulation
105:539 (2002), the seventeen segments through which each long-axis view passes.
"""

from __future__ import annotations

import re
from collections import defaultdict
from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from cardiobind.errors import RecordError
from cardiobind.formats import reasons
from cardiobind.formats.base import masked
from cardiobind.formats.cine.cine_geometry import TOWARDS_APEX, slice_normal
from cardiobind.formats.cine.dicom_frame import Frame
from cardiobind.formats.cine.dicom_phases import last_series

SLICE_TOLERANCE_MM = 0.5
PARALLEL_COSINE = 0.995
FEWEST_CINE_PHASES = 5
_NUMBERED = re.compile(r"^CINE_segmented_SAX_b(\d+)$", re.IGNORECASE)
_MIXED = re.compile(r"^CINE_segmented_SAX$", re.IGNORECASE)
_MIXED_LONG = re.compile(r"^CINE_segmented_LAX$", re.IGNORECASE)
_MIXED_ORDER = ("lax_3ch", "lax_4ch", "lax_2ch")
_NO_CINE = re.compile(
    r"inline_?vf|tagging|flow_|shmolli|t[12]_?map|ao_dist|scout|locali[sz]|survey|perf|lge|delayed|haste", re.IGNORECASE
)
_LONG = {
    "lax_2ch": re.compile(r"(?<!\d)2[ _-]?c[hv]|two[ _-]?ch|\bvla\b", re.IGNORECASE),
    "lax_3ch": re.compile(r"(?<!\d)3[ _-]?c[hv]|three[ _-]?ch", re.IGNORECASE),
    "lax_4ch": re.compile(r"(?<!\d)4[ _-]?c[hv]|four[ _-]?ch|\bhla\b", re.IGNORECASE),
}
_NOT_SHORT = re.compile("|".join([r"lax|lvot|long[ _-]?axis", *(p.pattern for p in _LONG.values())]), re.IGNORECASE)
# Angle of the line in which a long-axis plane cuts the short axis, seen from the apex with the head up, 0 to the
# left arm, counter-clockwise: through anterior and inferior, anteroseptal and inferolateral, septal and lateral wall.
_LINE_DEG = {"lax_2ch": 90.0, "lax_3ch": 150.0, "lax_4ch": 30.0}
_LINE_TOLERANCE_DEG = 22.0
_LARGEST_NORMAL_COSINE = 0.35


def slices_of_view(frames: Sequence[Frame], view: str, location: str) -> list[list[Frame]]:
    """Return the frames of each slice of a view, one series a slice.

    Args:
        frames: all of a study.
        view: one of `cardiobind.modalities.records.VIEWS`.
        location: for errors.

    Raises:
        RecordError: the view is not there, cannot be told from others, or its images are unusable.
    """
    groups = by_slice(largest_plane(_short_axis(frames, location))) if view == "sax" else None
    if groups is None:
        groups = [_long_axis(frames, view, location)]
    return [last_series(group) for group in groups]


def numbered_slices(frames: Sequence[Frame]) -> int:
    """Return how many slices UK Biobank's series names number."""
    return len({_slice_number(frame) for frame in frames if _NUMBERED.match(frame.description)})


def _short_axis(frames: Sequence[Frame], location: str) -> list[Frame]:
    for wanted in (_NUMBERED, _MIXED):
        chosen = [frame for frame in frames if wanted.match(frame.description)]
        if chosen:
            _refuse_problems(chosen)
            return chosen
    others = (_NO_CINE, _NOT_SHORT)
    chosen = [frame for frame in frames if not any(pattern.search(frame.description) for pattern in others)]
    if not chosen:
        raise RecordError(
            reasons.NO_FRAMES, "no short-axis cine series", where=masked(location),
            expected="CINE_segmented_SAX_b1 ...", got=f"{len(frames)} images of other series",
        )  # fmt: skip
    usable = [frame for frame in chosen if frame.problem is None and _placed(frame)]
    if not usable:
        _refuse_problems(chosen)
        raise _not_placed(chosen[0])
    return usable


def _long_axis(frames: Sequence[Frame], view: str, location: str) -> list[Frame]:
    cines = [frame for frame in frames if not _NO_CINE.search(frame.description)]
    named = [frame for frame in cines if _LONG[view].search(frame.description)]
    if named:
        _refuse_problems(named)
        return max(_planes(named), key=lambda plane: (len(plane) >= FEWEST_CINE_PHASES, plane[-1].series, len(plane)))
    mixed = [frame for frame in cines if _MIXED_LONG.match(frame.description)]
    if mixed:
        _refuse_problems(mixed)
        return _of_mixed(mixed, view, location)
    if any(pattern.search(frame.description) for frame in cines for pattern in _LONG.values()):
        raise _no_view(view, location, "series of other long-axis views")
    return _by_orientation([f for f in cines if f.problem is None and _placed(f)], view, location)


def _of_mixed(frames: Sequence[Frame], view: str, location: str) -> list[Frame]:
    planes = sorted(_planes(frames), key=lambda plane: min((frame.series, frame.instance or 0) for frame in plane))
    if len(planes) != len(_MIXED_ORDER):
        raise RecordError(
            reasons.BAD_GEOMETRY, "a mixed long-axis series that is not of three planes", where=masked(location),
            expected="3, 4 and 2 chamber view in this order", got=f"{len(planes)} planes",
        )  # fmt: skip
    return planes[_MIXED_ORDER.index(view)]


def _by_orientation(frames: Sequence[Frame], view: str, location: str) -> list[Frame]:
    """Return the one plane along the stack's axis whose line in the short axis is that of the view."""
    planes = [plane for plane in _planes(frames) if len(plane) >= FEWEST_CINE_PHASES]
    stack = largest_plane(frames) if frames else []
    slices = by_slice(stack) if stack else []
    if sum(len(group) >= FEWEST_CINE_PHASES for group in slices) < 3:
        raise _no_view(view, location, "no description and no short-axis stack to tell the views apart by")
    normal = slice_normal(_orientation(stack[0]))
    along = normal * np.sign(normal @ TOWARDS_APEX)
    found = [plane for plane in planes if _view_of(slice_normal(_orientation(plane[0])), along) == view]
    if len({frame.series for plane in found for frame in plane}) != 1:
        raise _no_view(view, location, f"{len(found)} planes of such an orientation, and no description")
    return found[0]


def _view_of(normal: NDArray[np.float64], towards_apex: NDArray[np.float64]) -> str | None:
    if abs(float(normal @ towards_apex)) > _LARGEST_NORMAL_COSINE:
        return None
    up = np.array([0.0, 0.0, 1.0]) - towards_apex[2] * towards_apex
    line = np.cross(towards_apex, normal)
    angle = np.degrees(np.arctan2(line @ up, line @ np.cross(up, towards_apex)))
    away = {view: abs((angle - centre + 90) % 180 - 90) for view, centre in _LINE_DEG.items()}
    nearest = min(away, key=lambda view: away[view])
    return nearest if away[nearest] <= _LINE_TOLERANCE_DEG else None


def _no_view(view: str, location: str, got: str) -> RecordError:
    chambers = view.removeprefix("lax_").removesuffix("ch")
    return RecordError(
        reasons.NO_FRAMES, f"no {chambers}-chamber cine can be told", where=masked(location),
        expected=f"a series whose description holds '{chambers}ch'", got=got,
    )  # fmt: skip


def _refuse_problems(frames: Sequence[Frame]) -> None:
    problem = next((frame.problem for frame in frames if frame.problem is not None), None)
    if problem is not None:
        raise problem


def _placed(frame: Frame) -> bool:
    return frame.position_mm is not None and frame.orientation is not None


def _not_placed(frame: Frame) -> RecordError:
    return RecordError(
        reasons.BAD_GEOMETRY, "slices cannot be told apart", where=frame.name,
        expected="ImagePositionPatient and ImageOrientationPatient",
    )  # fmt: skip


def _planes(frames: Sequence[Frame]) -> list[list[Frame]]:
    """Return the frames of each plane in space; those without a place by series."""
    found: list[list[Frame]] = []
    unplaced: dict[tuple[int, tuple[int, ...]], list[Frame]] = defaultdict(list)
    for frame in frames:
        if not _placed(frame):
            unplaced[frame.series].append(frame)
    for stack in _stacks([frame for frame in frames if _placed(frame)]):
        found += by_slice(stack)
    return [*found, *unplaced.values()]


def largest_plane(frames: Sequence[Frame]) -> list[Frame]:
    """Return the parallel frames of one size that make the most slices of several phases."""

    def size(stack: list[Frame]) -> tuple[int, int]:
        return sum(len(group) > 1 for group in by_slice(stack)), len(stack)

    return max(_stacks(frames), key=size)


def _stacks(frames: Sequence[Frame]) -> list[list[Frame]]:
    stacks: list[list[Frame]] = []
    for frame in frames:
        stack = next((stack for stack in stacks if _alike(stack[0], frame)), None)
        if stack is None:
            stacks.append([frame])
        else:
            stack.append(frame)
    return stacks


def _alike(a: Frame, b: Frame) -> bool:
    """Tell whether two images have one size, pixel spacing and orientation, so that they can be stacked."""
    if a.shape != b.shape or any(abs(x - y) > 1e-3 for x, y in zip(a.spacing_mm, b.spacing_mm, strict=True)):
        return False
    if a.orientation is None or b.orientation is None:
        return a.orientation is b.orientation
    along_rows, along_columns = a.orientation[:3] @ b.orientation[:3], a.orientation[3:] @ b.orientation[3:]
    return bool(min(along_rows, along_columns) > PARALLEL_COSINE)


def by_slice(frames: Sequence[Frame]) -> list[list[Frame]]:
    """Return the frames of each slice: by the number in UK Biobank's series names, else by position."""
    if all(_NUMBERED.match(frame.description) for frame in frames):
        numbered: dict[int, list[Frame]] = defaultdict(list)
        for frame in frames:
            numbered[_slice_number(frame)].append(frame)
        return [numbered[number] for number in sorted(numbered)]
    lost = next((frame for frame in frames if not _placed(frame)), None)
    if lost is not None:
        raise _not_placed(lost)
    return _by_position(frames)


def _slice_number(frame: Frame) -> int:
    match = _NUMBERED.match(frame.description)
    return int(match.group(1)) if match else 0


def _by_position(frames: Sequence[Frame]) -> list[list[Frame]]:
    normal = slice_normal(_orientation(frames[0]))
    places = np.array([np.nan if f.position_mm is None else float(f.position_mm @ normal) for f in frames])
    groups: list[list[Frame]] = []
    last = -np.inf
    for index in np.argsort(places, kind="stable"):
        if places[index] - last > SLICE_TOLERANCE_MM:
            groups.append([])
        groups[-1].append(frames[index])
        last = places[index]
    return groups


def _orientation(frame: Frame) -> NDArray[np.float64]:
    return np.zeros(6) if frame.orientation is None else frame.orientation
