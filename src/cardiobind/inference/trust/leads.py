"""What leads that are missing cost, measured on validation subjects at export."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from cardiobind.modalities.records import LEADS

SUBSETS: Mapping[str, tuple[str, ...]] = {
    "12 leads": LEADS,
    "6 limb leads": LEADS[:6],
    "I and II": ("I", "II"),
    "I": ("I",),
}


@dataclass(frozen=True)
class LeadCost:
    """How well a subset of the leads does.

    Attributes:
        leads: their names.
        value: of the metric on the validation subjects, the other leads masked; None where it is undefined.
    """

    leads: tuple[str, ...]
    value: float | None


@dataclass(frozen=True)
class LeadTable:
    """What a bundle knows of ECGs with fewer leads.

    Attributes:
        trained: whether the network was trained with leads missing.
        metric: by which the subsets are compared, of the ECG alone; higher is better.
        subjects: validation subjects it was measured on.
        costs: by subset, the whole ECG first; empty where it could not be measured.
    """

    trained: bool
    metric: str = ""
    subjects: int = 0
    costs: tuple[LeadCost, ...] = ()

    @classmethod
    def from_json(cls, value: Mapping[str, Any]) -> LeadTable:
        """Return the table that ``dataclasses.asdict`` described."""
        costs = tuple(LeadCost(tuple(one["leads"]), one["value"]) for one in value["costs"])
        return cls(value["trained"], value["metric"], value["subjects"], costs)

    def says(self, present: Sequence[str]) -> str:
        """Return in words what the leads that are there cost against all twelve."""
        head = f"{len(present)} of 12 leads"
        inside = [one for one in self.costs if set(one.leads) <= set(present) and one.value is not None]
        whole = next((one.value for one in self.costs if len(one.leads) == len(LEADS)), None)
        if not inside or whole is None:
            return f"{head}; what that costs was not measured"
        best = max(inside, key=lambda one: len(one.leads))
        named = next((name for name, leads in SUBSETS.items() if leads == best.leads), ", ".join(best.leads))
        return (
            f"{head}; on {self.subjects} validation subjects the ECG alone had {self.metric} {best.value:.3f} "
            f"with {named} against {whole:.3f} with 12. Risk and interval were calibrated on ECGs as they came"
        )


def present_leads(signal: NDArray[Any]) -> tuple[str, ...]:
    """Return the leads of a prepared ECG (12, samples) that are there: not 0 throughout."""
    return tuple(name for name, row in zip(LEADS, np.asarray(signal), strict=True) if (row != 0).any())


def masked(counts: NDArray[Any], leads: Sequence[str]) -> NDArray[Any]:
    """Return prepared ECGs (n, 12, samples) in which all other leads are absent."""
    kept = np.isin(LEADS, list(leads))
    return np.asarray(np.where(kept[:, None], counts, 0).astype(counts.dtype))
