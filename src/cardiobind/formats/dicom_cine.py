"""Short-axis cine MR from DICOM: UK Biobank's zip archives (field 20209) and plain folders of any scanner.

Frames are chosen by series description where it is UK Biobank's, else by geometry: the largest stack of parallel
slices that have several phases. Source of the UK Biobank conventions: ukbb_cardiac (Bai et al. 2018), ml4h.
"""

from __future__ import annotations

import re
from collections import Counter, defaultdict
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from cardiobind.errors import RecordError
from cardiobind.formats import reasons
from cardiobind.formats.base import CINE_FORMATS, Format, masked
from cardiobind.formats.dicom_frames import Frame, read_frames
from cardiobind.modalities.records import CineRecord

SLICE_TOLERANCE_MM = 0.5
PARALLEL_COSINE = 0.995
MISSING_PHASES_FRACTION = 0.2
_NUMBERED = re.compile(r"^CINE_segmented_SAX_b(\d+)$", re.IGNORECASE)
_MIXED = re.compile(r"^CINE_segmented_SAX$", re.IGNORECASE)
_OTHER = re.compile(r"inline_?vf|lax|tagging|flow_|shmolli|t1map|lvot|ao_dist|scout|localis|localiz", re.IGNORECASE)


@dataclass(frozen=True)
class Slice:
    """The frames of one slice in the order of their phase; `repaired` lists the phases copied from the one before."""

    frames: tuple[Frame, ...]
    repaired: tuple[int, ...]


def recognises(location: str) -> bool:
    """Tell whether the location is a folder or a zip archive."""
    return location.lower().endswith(".zip") or Path(location).is_dir()


def read_dicom_cine(location: str) -> CineRecord:
    """Read a short-axis cine stack.

    A slice that lacks a few phases gets copies of the phase before (cyclically), listed in
    ``meta["repaired_frames"]`` as (slice, phase); one that lacks over a fifth of them, or has too many, is left
    out and counted in ``meta["dropped_slices"]``.

    Args:
        location: folder or zip archive.

    Raises:
        RecordError: no short-axis cine, or a file of it is damaged.
    """
    chosen = _short_axis(read_frames(location), location)
    groups = [_last_series(group) for group in _by_slice(_largest_plane(chosen))]
    phases = _phase_number(groups)
    ordered = [one for group in groups if (one := _order_phases(group, phases)) is not None]
    if phases < 2 or not ordered:
        raise RecordError(
            reasons.NO_FRAMES, "no slice has several phases", where=masked(location), got=f"{len(groups)} slices"
        )
    slices, positions = _order_slices(ordered)
    numbers = {_slice_number(frame) for frame in chosen}
    return _record(slices, positions, dropped=max(len(groups), len(numbers)) - len(ordered))


def _short_axis(frames: Sequence[Frame], location: str) -> list[Frame]:
    for wanted in (_NUMBERED, _MIXED):
        chosen = [frame for frame in frames if wanted.match(frame.description)]
        if chosen:
            _refuse_problems(chosen)
            return chosen
    chosen = [frame for frame in frames if not _OTHER.search(frame.description)]
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


def _largest_plane(frames: Sequence[Frame]) -> list[Frame]:
    planes: list[list[Frame]] = []
    for frame in frames:
        plane = next((plane for plane in planes if _alike(plane[0], frame)), None)
        if plane is None:
            planes.append([frame])
        else:
            plane.append(frame)

    def size(plane: list[Frame]) -> tuple[int, int]:
        return sum(len(group) > 1 for group in _by_slice(plane)), len(plane)

    return max(planes, key=size)


def _alike(a: Frame, b: Frame) -> bool:
    """Tell whether two images have one size, pixel spacing and orientation, so that they can be stacked."""
    if a.shape != b.shape or any(abs(x - y) > 1e-3 for x, y in zip(a.spacing_mm, b.spacing_mm, strict=True)):
        return False
    if a.orientation is None or b.orientation is None:
        return a.orientation is b.orientation
    along_rows, along_columns = a.orientation[:3] @ b.orientation[:3], a.orientation[3:] @ b.orientation[3:]
    return bool(min(along_rows, along_columns) > PARALLEL_COSINE)


def _by_slice(frames: Sequence[Frame]) -> list[list[Frame]]:
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
    normal = _normal(frames[0])
    places = np.array([_along(frame, normal) for frame in frames])
    groups: list[list[Frame]] = []
    last = -np.inf
    for index in np.argsort(places, kind="stable"):
        if places[index] - last > SLICE_TOLERANCE_MM:
            groups.append([])
        groups[-1].append(frames[index])
        last = places[index]
    return groups


def _normal(frame: Frame) -> NDArray[np.float64]:
    axes = np.zeros(6) if frame.orientation is None else frame.orientation
    return np.cross(axes[:3], axes[3:])


def _along(frame: Frame, normal: NDArray[np.float64]) -> float:
    return float("nan") if frame.position_mm is None else float(frame.position_mm @ normal)


def _last_series(frames: list[Frame]) -> list[Frame]:
    last = max(frame.series for frame in frames)
    return [frame for frame in frames if frame.series == last]


def _phase_number(groups: Sequence[Sequence[Frame]]) -> int:
    counts = Counter(len(group) for group in groups)
    usual = max(counts, key=lambda n: (counts[n], n))
    stated = Counter(frame.phases for group in groups for frame in group if frame.phases).most_common(1)
    if stated and usual < stated[0][0] <= usual / (1 - MISSING_PHASES_FRACTION):
        return stated[0][0]
    return usual


def _order_phases(group: Sequence[Frame], phases: int) -> Slice | None:
    frames = sorted(group, key=_phase_key(group))
    if len(frames) == phases:
        return Slice(tuple(frames), ())
    if len(frames) > phases or len(frames) < (1 - MISSING_PHASES_FRACTION) * phases:
        return None
    present = _phase_indices(frames, phases)
    filled = [present[max((k for k in present if k <= phase), default=max(present))] for phase in range(phases)]
    return Slice(
        tuple(frames[index] for index in filled), tuple(phase for phase in range(phases) if phase not in present)
    )


def _phase_key(group: Sequence[Frame]) -> Callable[[Frame], tuple[float, str]]:
    times = [frame.trigger_ms for frame in group]
    if None not in times and len(set(times)) == len(times):
        return lambda frame: (frame.trigger_ms or 0.0, frame.name)
    return lambda frame: (frame.instance or 0, frame.name)


def _phase_indices(frames: Sequence[Frame], phases: int) -> dict[int, int]:
    """Return phase -> index into `frames`: by instance number, else trigger time, else as if the last were missing."""
    instances = [((frame.instance or 0) - 1) % phases for frame in frames]
    if instances == sorted(set(instances)):
        return {phase: index for index, phase in enumerate(instances)}
    times = np.array([np.nan if frame.trigger_ms is None else frame.trigger_ms for frame in frames])
    steps = np.diff(times)
    if np.isfinite(steps).all() and (steps > 0).all():
        places = np.round((times - times[0]) / np.median(steps)).astype(int)
        if len(set(places)) == len(places) and places[-1] < phases:
            return {int(phase): index for index, phase in enumerate(places)}
    return {index: index for index in range(len(frames))}


def _order_slices(slices: list[Slice]) -> tuple[list[Slice], NDArray[np.float64]]:
    first = slices[0].frames[0]
    normal = _normal(first)
    positions = np.array([_along(one.frames[0], normal) for one in slices])
    if not np.isfinite(positions).all() or (len(positions) > 1 and np.ptp(positions) == 0):
        return slices, np.arange(len(slices), dtype=np.float64) * (first.step_mm or 1.0)
    if (np.diff(positions) <= 0).all() and len(positions) > 1:
        return slices, -positions
    order = np.argsort(positions, kind="stable")
    return [slices[index] for index in order], positions[order].astype(np.float64)


def _record(slices: Sequence[Slice], positions: NDArray[np.float64], dropped: int) -> CineRecord:
    frames = np.stack([np.stack([frame.pixels() for frame in one.frames]) for one in slices])
    times = np.array([[np.nan if f.trigger_ms is None else f.trigger_ms for f in one.frames] for one in slices])
    repaired = [(index, phase) for index, one in enumerate(slices) for phase in one.repaired]
    for index, phase in repaired:
        times[index, phase] = np.nan
    return CineRecord(
        frames,
        slices[0].frames[0].spacing_mm,
        positions,
        times,
        meta={
            "series": [one.frames[0].description for one in slices],
            "repaired_frames": repaired,
            "dropped_slices": dropped,
        },
    )


CINE_FORMATS.register("dicom")(Format("dicom", recognises, read_dicom_cine))
