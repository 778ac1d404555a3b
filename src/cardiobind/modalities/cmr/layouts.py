"""Which images of a cine an encoder is fed: places of the heart by moments of the beat, place after place.

An image of one place at one moment is a plane, a channel of the input. The short axis is always there; a long-axis view
may be absent: then its planes are 0 everywhere, which no plane that is there ever is, and encoders leave them out.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from cardiobind.errors import ConfigError, DataContractError
from cardiobind.modalities.cmr.cine_phases import CinePhases
from cardiobind.modalities.records import VIEWS

FRAME_NAMES = ("end_systole", "mid_beat", "end_diastole")
LONG_AXIS = VIEWS[1:]
MID = "mid"
SLICES = ("basal", MID, "apical")
ABSENT_VALUE = -2.0
"""Value of every pixel of an absent plane once bytes are scaled for a network, exact in every precision."""

Array = NDArray[np.float64]


@dataclass(frozen=True)
class CmrPreparation:
    """How a cine is prepared; the defaults are those of arXiv 2411.05900 (78 of 210 pixels of 1.82 mm).

    Attributes:
        size_px: rows and columns of a prepared image.
        crop_mm: side of the square around the heart.
        layout: ``frames`` (end systole, mid-beat and end diastole of the mid slice), ``slices`` (end diastole, mid-beat
            and end systole of a basal, a mid and an apical slice) or ``video`` (those slices over the whole beat).
        video_phases: moments of a video, evenly over the beat from end diastole.
        long_axis: views of `LONG_AXIS` to add at the same moments, each absent where there is none.

    Raises:
        ConfigError: no such layout or view, a view named twice, or fewer than two moments.
    """

    size_px: int = 210
    crop_mm: float = 142.0
    layout: str = "frames"
    video_phases: int = 8
    long_axis: tuple[str, ...] = ()

    def __post_init__(self) -> None:
        object.__setattr__(self, "long_axis", tuple(self.long_axis))
        if self.layout not in LAYOUTS:
            raise ConfigError("no such layout", where="cmr.layout", expected=" | ".join(LAYOUTS), got=self.layout)
        if self.video_phases < 2:
            raise ConfigError("a video has two moments at least", where="cmr.video_phases", got=self.video_phases)
        if len(set(self.long_axis)) < len(self.long_axis) or not set(self.long_axis) <= set(LONG_AXIS):
            raise ConfigError(
                "long-axis views are named wrongly", where="cmr.long_axis",
                expected=f"any of {', '.join(LONG_AXIS)}, each once", got=self.long_axis,
            )  # fmt: skip

    @property
    def planes(self) -> Planes:
        """What an encoder is fed."""
        layout = LAYOUTS[self.layout]
        return Planes((*layout.places, *self.long_axis), layout.moments(self.video_phases))


@dataclass(frozen=True)
class Planes:
    """The grid of planes of an input.

    Attributes:
        places: slices of the short axis from base to apex, then long-axis views.
        moments: of the beat.
    """

    places: tuple[str, ...]
    moments: tuple[str, ...]

    @property
    def names(self) -> tuple[str, ...]:
        """Name of each plane, ``basal.end_systole``; of the mid slice alone the moments' names."""
        if self.places == (MID,):
            return self.moments
        return tuple(f"{place}.{moment}" for place in self.places for moment in self.moments)

    @property
    def optional(self) -> tuple[str, ...]:
        """Places that a subject may lack."""
        return tuple(place for place in self.places if place in LONG_AXIS)

    @classmethod
    def of_names(cls, names: Sequence[str]) -> Planes:
        """Return the grid whose planes have these names.

        Raises:
            DataContractError: they are no full grid, place after place.
        """
        pairs = [name.rpartition(".") for name in names]
        found = cls(
            tuple(dict.fromkeys(place or MID for place, _, _ in pairs)),
            tuple(dict.fromkeys(moment for _, _, moment in pairs)),
        )
        if tuple(names) not in (found.names, tuple(f"{MID}.{moment}" for moment in found.moments)):
            raise DataContractError(
                "the planes are no grid of places by moments", expected=" | ".join(found.names), got=" | ".join(names)
            )
        return found


def optional_places(names: Sequence[str]) -> tuple[str, ...]:
    """Return the places that a subject may lack, of an input whose planes have these names."""
    return tuple(dict.fromkeys(place for name in names if (place := name.rpartition(".")[0]) in LONG_AXIS))


@dataclass(frozen=True)
class Layout:
    """One way of choosing planes.

    Attributes:
        places: slices, from base to apex.
        moments: names of the moments, from the length of a video.
        phases: the phase of each moment, from what was found, the phases' times as fractions of the cycle from the R
            wave (None: unknown), and the length of a video.
    """

    places: tuple[str, ...]
    moments: Callable[[int], tuple[str, ...]]
    phases: Callable[[CinePhases, Array | None, int], tuple[int, ...]]


def even_phases(ed_phase: int, fraction: Array | None, phases: int, count: int) -> tuple[int, ...]:
    """Return the phases nearest to `count` moments that divide the beat evenly from end diastole on.

    Args:
        ed_phase: where the first moment is.
        fraction: (phases,) time after the R wave as a fraction of the cycle; None: the phases are evenly spaced.
        phases: how many there are; where they are fewer than `count` some are taken twice.
        count: of the moments.
    """
    at = phase_fractions(fraction, phases)
    wanted = at[ed_phase] + np.arange(count) / count
    away = cyclic_distance(wanted[:, None], at[None])
    away[0] = np.where(np.arange(phases) == ed_phase, 0.0, np.inf)
    return tuple(int(phase) for phase in away.argmin(axis=1))


def phase_fractions(fraction: Array | None, phases: int) -> Array:
    """Return (phases,) times as fractions of the cycle, evenly spaced from 0 where they are not known."""
    return np.arange(phases) / phases if fraction is None else fraction


def cyclic_distance(a: Array, b: Array) -> Array:
    """Return the distance of two times on the cycle, both as fractions of it, at most 0.5."""
    away = np.abs(a - b) % 1.0
    return np.asarray(np.minimum(away, 1.0 - away))


def spread_slices(first: int, last: int, middle: int) -> tuple[int, int, int]:
    """Return the middles of the three thirds of a run of slices; of fewer than three slices some are taken twice.

    Args:
        first: slice at the base.
        last: slice at the apex; the numbers may fall.
        middle: the mid slice.
    """
    count, way = abs(last - first) + 1, 1 if last >= first else -1
    into = (count - 1) // 6 if count >= 3 else 0
    return first + way * into, middle, last - way * into


LAYOUTS = {
    "frames": Layout((MID,), lambda _: FRAME_NAMES, lambda f, _, __: (f.es_phase, f.mid_phase, f.ed_phase)),
    "slices": Layout(SLICES, lambda _: FRAME_NAMES[::-1], lambda f, _, __: (f.ed_phase, f.mid_phase, f.es_phase)),
    "video": Layout(
        SLICES,
        lambda count: tuple(f"phase_{index}" for index in range(count)),
        lambda f, fraction, count: even_phases(f.ed_phase, fraction, len(f.curve), count),
    ),
}


def stored_planes(images: NDArray[np.uint8]) -> NDArray[np.uint8]:
    """Return planes that are there, (moments, rows, columns), none of them 0 everywhere: that means absent."""
    black = ~images.any(axis=(1, 2))
    images[black] = 1
    return images


def absent_planes(moments: int, size_px: int) -> NDArray[Any]:
    """Return the planes of a place that a subject lacks: (moments, size, size) of 0."""
    return np.zeros((moments, size_px, size_px), dtype=np.uint8)
