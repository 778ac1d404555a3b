"""Units in which a medical fact is also written, and how each becomes the unit of the feature's name.

Sources: molar masses of cholesterol (386.65 g/mol), triglycerides as triolein (885.4 g/mol) and creatinine (113.12
g/mol); HbA1c by the IFCC-NGSP master equation (Hoelzel et al., Clinical Chemistry 2004); inch, pound and stone by the
international agreement of 1959; 1 kPa = 7.50062 mmHg.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import TypeVar

import numpy as np
from numpy.typing import NDArray

Number = TypeVar("Number", float, NDArray[np.float64])


@dataclass(frozen=True)
class Conversion:
    """A unit beside the canonical one: canonical value = `factor` x value + `offset`."""

    unit: str
    factor: float
    offset: float = 0.0

    def __call__(self, value: Number) -> Number:
        """Return a number or an array of numbers in the canonical unit."""
        return value * self.factor + self.offset


_LENGTH = (Conversion("m", 100.0), Conversion("mm", 0.1), Conversion("in", 2.54))
_PRESSURE = (Conversion("kPa", 7.50062),)
_CHOLESTEROL = (Conversion("mg/dL", 10 / 386.65),)

OTHER_UNITS: Mapping[str, tuple[Conversion, ...]] = {
    "age_years": (Conversion("months", 1 / 12), Conversion("days", 1 / 365.25)),
    "height_cm": _LENGTH,
    "waist_cm": _LENGTH,
    "hip_cm": _LENGTH,
    "weight_kg": (Conversion("lb", 0.45359237), Conversion("st", 6.35029318), Conversion("g", 1e-3)),
    "sbp_mmhg": _PRESSURE,
    "dbp_mmhg": _PRESSURE,
    "pulse_bpm": (Conversion("Hz", 60.0),),
    "cholesterol_mmol_l": _CHOLESTEROL,
    "ldl_mmol_l": _CHOLESTEROL,
    "hdl_mmol_l": _CHOLESTEROL,
    "triglycerides_mmol_l": (Conversion("mg/dL", 10 / 885.4),),
    "hba1c_mmol_mol": (Conversion("%", 10.929, -10.929 * 2.15),),
    "creatinine_umol_l": (Conversion("mg/dL", 1e4 / 113.12), Conversion("mmol/L", 1e3)),
    "crp_mg_l": (Conversion("mg/dL", 10.0),),
}
"""Feature -> the other units its values are written in."""


def conversion(feature: str, unit: str) -> Conversion | None:
    """Return how a unit becomes that of a feature's name, or None if it is not known; case does not matter.

    Example:
        >>> round(conversion("cholesterol_mmol_l", "mg/dl")(200.0), 2)
        5.17
    """
    spelled = unit.strip().lower()
    return next((c for c in OTHER_UNITS.get(feature, ()) if c.unit.lower() == spelled), None)
