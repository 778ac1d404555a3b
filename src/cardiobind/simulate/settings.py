"""What a synthetic cohort is made of: how many subjects, how ill, with which signals."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from typing import Any

from cardiobind.errors import ConfigError

FIRST_EID = 9_000_001
VISIT = "2"
COHORT_VERSION = 1
"""Raised with every change of what is simulated or how it is written, so that old raw files are not mixed with new."""


@dataclass(frozen=True)
class SimulationSettings:
    """Settings of a synthetic cohort.

    Attributes:
        subjects: number of subjects.
        seed: seed; subject i depends on nothing but (seed, i) and the prevalence.
        mi_prevalence: share of subjects with a diagnosed myocardial infarction at any time, 0.005-0.5.
        ecg_fraction: share of subjects who have an ECG.
        cmr_fraction: share of subjects who have a cine MRI.
        slices: short-axis slices of a cine stack, at least 1.
        phases: phases of the cardiac cycle, at least 4.
        image_px: rows and columns of a cine image, at least 48.
        pixel_spacing_mm: distance between neighbouring pixels.
        ecg_rate_hz: samples per second of the ECG.
        ecg_duration_s: length of the ECG in seconds.
    """

    subjects: int = 1000
    seed: int = 0
    mi_prevalence: float = 0.06
    ecg_fraction: float = 0.8
    cmr_fraction: float = 0.4
    slices: int = 10
    phases: int = 50
    image_px: int = 128
    pixel_spacing_mm: float = 1.8
    ecg_rate_hz: int = 500
    ecg_duration_s: float = 10.0

    def __post_init__(self) -> None:
        _check("subjects", self.subjects, 1, 900_000)
        _check("mi_prevalence", self.mi_prevalence, 0.005, 0.5)
        _check("ecg_fraction", self.ecg_fraction, 0.0, 1.0)
        _check("cmr_fraction", self.cmr_fraction, 0.0, 1.0)
        _check("slices", self.slices, 1, 40)
        _check("phases", self.phases, 4, 200)
        _check("image_px", self.image_px, 48, 512)
        _check("pixel_spacing_mm", self.pixel_spacing_mm, 0.5, 5.0)
        _check("ecg_rate_hz", self.ecg_rate_hz, 100, 2000)
        _check("ecg_duration_s", self.ecg_duration_s, 1.0, 60.0)

    @property
    def ecg_samples(self) -> int:
        """Samples of one lead."""
        return round(self.ecg_rate_hz * self.ecg_duration_s)

    @property
    def slice_distance_mm(self) -> float:
        """Distance of neighbouring slices: 10 mm as in UK Biobank, more where few slices must span the ventricle."""
        return max(10.0, 75.0 / self.slices)

    def to_json(self) -> dict[str, Any]:
        """Return the settings as a JSON-compatible mapping."""
        return asdict(self)


def eid(index: int) -> str:
    """Return the identifier of subject `index`; it is outside the range of real UK Biobank identifiers."""
    return str(FIRST_EID + index)


def _check(name: str, value: float, low: float, high: float) -> None:
    if not low <= value <= high:
        raise ConfigError("a simulation setting is out of range", where=name, expected=f"{low} to {high}", got=value)
