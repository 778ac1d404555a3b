"""The frames of one slice in the order of the heart cycle; a missing one is copied from the phase before."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np

from cardiobind.formats.cine.dicom_frame import Frame

MISSING_PHASES_FRACTION = 0.2


@dataclass(frozen=True)
class Slice:
    """The frames of one slice in the order of their phase; `repaired` lists the phases copied from the one before."""

    frames: tuple[Frame, ...]
    repaired: tuple[int, ...]


def last_series(frames: list[Frame]) -> list[Frame]:
    """Return the last of the repeated series of one slice; one broken off before half of its frames does not count."""
    counts = Counter(frame.series for frame in frames)
    most = max(counts.values())
    last = max(series for series, count in counts.items() if 2 * count >= most)
    return [frame for frame in frames if frame.series == last]


def phase_number(groups: Sequence[Sequence[Frame]]) -> int:
    """Return how many phases the slices have: the usual number, or the one stated if a few are missing."""
    counts = Counter(len(group) for group in groups)
    usual = max(counts, key=lambda n: (counts[n], n))
    stated = Counter(frame.phases for group in groups for frame in group if frame.phases).most_common(1)
    if stated and usual < stated[0][0] <= usual / (1 - MISSING_PHASES_FRACTION):
        return stated[0][0]
    return usual


def order_phases(group: Sequence[Frame], phases: int) -> Slice | None:
    """Return a slice's frames by phase; None if over a fifth of them is missing or there are too many."""
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


def _phase_key(group: Sequence[Frame]) -> Callable[[Frame], tuple[float, str, int]]:
    times = [frame.trigger_ms for frame in group]
    if None not in times and len(set(times)) == len(times):
        return lambda frame: (frame.trigger_ms or 0.0, frame.name, frame.index)
    return lambda frame: (frame.instance or 0, frame.name, frame.index)


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
