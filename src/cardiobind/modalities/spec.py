"""The shape, unit and names of what a network of one modality is fed."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass
from typing import Any

MODALITIES = ("ecg", "cmr", "tabular")


def split_inputs(inputs: str) -> tuple[str, ...]:
    """Return the modalities in a set of inputs, written ``ecg+tabular``; commas are taken too.

    Example:
        >>> split_inputs("ecg+tabular") == split_inputs("ecg, tabular")
        True
    """
    return tuple(word for part in inputs.split("+") for one in part.split(",") if (word := one.strip()))


@dataclass(frozen=True)
class InputSpec:
    """The input of one modality's encoder.

    Attributes:
        modality: ``"ecg"``, ``"cmr"`` or ``"tabular"``.
        shape: of one subject: ecg (12, samples); cmr (frames, rows, columns); tabular (features, 2), where the last
            axis is (value, observed).
        unit: of the values ("z" for standardised ones).
        rate_hz: sampling rate of an ECG, else None.
        names: leads, frames or features.
        cardinalities: tabular only: 0 for a number, else the number of categories.
    """

    modality: str
    shape: tuple[int, ...]
    unit: str = "z"
    rate_hz: float | None = None
    names: tuple[str, ...] = ()
    cardinalities: tuple[int, ...] = ()

    def to_json(self) -> dict[str, Any]:
        """Return a JSON-compatible description that `from_json` reads back."""
        return asdict(self)

    @classmethod
    def from_json(cls, value: Mapping[str, Any]) -> InputSpec:
        """Return the spec that `to_json` described."""
        tuples = {k: tuple(value[k]) for k in ("shape", "names", "cardinalities")}
        return cls(**{**value, **tuples})
